//! Screens at 80 by 24, letter by letter, and what keys make of them.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};
use strongroom_agent::{Here, MachineState, Told};
use strongroom_engine::Figures;
use strongroom_engine::restore::Conflict;
use strongroom_model::{Limits, MachineSettings};

use super::draw::draw;
use super::effect::{Effect, Wanted, What};
use super::look::Look;
use super::message::{Listed, Message, Row};
use super::state::{Console, Tab};

const JOB: &str = "019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a";
const POINT: &str = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";
const MACHINE: &str = "0199f3a0-7c1e-7b4a-9d2e-000000000001";

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn job(state: &str, ended: Option<&str>) -> Value {
    json!({
        "id": JOB, "operation": "Backup", "state": state, "trigger": "Schedule", "item": MACHINE, "name": "web-1",
        "container": MACHINE, "due": null, "created": "2026-11-21T18:30:00Z", "started": "2026-11-21T18:30:01Z",
        "ended": ended, "progress": {"bytes": 3 << 20, "moved_bytes": 1 << 20}, "percent": 40, "rate": null,
        "seconds_left": 90, "tasks": [], "point": null,
        "errors": [{"code": "NoSpace", "message": "The service's disk is full", "recommendations": ["Make room there"]}],
    })
}

fn point() -> Value {
    json!({
        "id": POINT, "vault": MACHINE, "item": MACHINE, "machine": "web-1", "key_set": MACHINE, "root": "0".repeat(64),
        "created": "2026-11-21T18:30:05Z", "committed": "2026-11-21T18:30:06Z", "consistency": "FileSystemConsistent",
        "total_bytes": 5_u64 << 30, "new_bytes": 7, "files": 1234, "digest": "0".repeat(64),
    })
}

fn told() -> Told {
    Told {
        own: parsed(json!({
            "name": "web-1", "container": MACHINE, "item": MACHINE, "latest_point": POINT,
            "protection": {"state": "Protected", "policy": "nightly", "next_backup": "2026-11-22T22:00:00Z"},
        })),
        latest: Some(parsed(point())),
        jobs: vec![
            parsed(job("InProgress", None)),
            parsed(job("Failed", Some("2026-11-21T18:31:01Z"))),
        ],
        alerts: Vec::new(),
    }
}

fn here() -> Here {
    Here {
        state: "/var/lib/strongroom".into(),
        has_client: true,
        on_battery: false,
        metered: false,
        settings: MachineSettings {
            paths: vec!["/etc".to_owned(), "/home".to_owned()],
            ..MachineSettings::default()
        },
        limits: Limits::default(),
    }
}

fn console() -> Console {
    let machine: MachineState = parsed(json!({
        "url": "https://backup:8443", "ca_certificate": "", "container": MACHINE, "item": MACHINE, "name": "web-1",
        "vault": MACHINE, "vault_name": "main", "key_set": MACHINE,
    }));
    let mut console = Console::new(&machine);
    tick(&mut console, "2026-11-21T18:30:31Z");
    console.update(Message::Told(Box::new(Ok(told()))));
    console
}

fn tick(console: &mut Console, now: &str) {
    console.update(Message::Tick(now.parse().unwrap(), Box::new(Ok(here()))));
}

fn press(console: &mut Console, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys.chars() {
        let code = match key {
            '\r' => KeyCode::Enter,
            '\x7f' => KeyCode::Backspace,
            '↓' => KeyCode::Down,
            key => KeyCode::Char(key),
        };
        effects = console.update(Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
    effects
}

fn screen(console: &Console) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(console, &Look::plain(), frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| {
        (0..80)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
            .trim_end()
            .to_owned()
    };
    (0..24).map(line).collect()
}

/// Compares whole screens; empty lines at the end of the body need not be written.
#[track_caller]
fn assert_shows(console: &Console, expected: &[&str], foot: [&str; 2]) {
    let shown = screen(console);
    let mut whole = vec![
        "strongroom  web-1 in vault main                          2026-11-21 18:30:31 UTC",
        " 1 Overview   2 Jobs   3 Restore   4 Settings",
        "",
    ];
    whole.extend(expected);
    whole.resize(22, "");
    whole.extend(foot);
    assert_eq!(shown, whole, "\n{}", shown.join("\n"));
}

const OVERVIEW_KEYS: &str = " b back up now   c cancel   1-4 screens   ? help   q leave";

#[test]
fn the_overview() {
    let mut console = console();
    let facts = [
        "agent         waits for work (`strongroom agent run`)",
        "backs up      /etc, /home",
        "throttle      upload unlimited, download unlimited now",
        "protection    Protected, policy nightly",
        "next backup   2026-11-22 22:00:00 UTC",
        "newest point  2026-11-21 18:30:05 UTC, 1234 entries, 5.0 GiB",
        "under way     Backup InProgress, 40 %, 3.0 MiB looked at, 1.0 MiB over the line,",
        "90 s left (019aa5e2-5d3c-7c61-9f0e-3f1d7e3c2b1a)",
        "",
        "last jobs     2026-11-21 18:31:01 UTC  Backup  Failed  60 s",
    ];
    let answers = ["service       https://backup:8443 answers"];
    assert_shows(&console, &[&answers[..], &facts].concat(), ["", OVERVIEW_KEYS]);

    // The beginning of an absence stays, however often it is noticed.
    for (now, why) in [
        ("2026-11-21T18:30:30Z", "no"),
        ("2026-11-21T18:30:31Z", "connection\x1b refused"),
    ] {
        tick(&mut console, now);
        console.update(Message::Told(Box::new(Err(why.to_owned()))));
    }
    let since = console.away.as_ref().unwrap().since;
    assert_eq!(since.to_string(), "2026-11-21T18:30:30Z");
    let away = [
        "service       https://backup:8443 away since 2026-11-21 18:30:30 UTC:",
        "connection\u{fffd} refused",
    ];
    assert_shows(&console, &[&away[..], &facts].concat(), ["", OVERVIEW_KEYS]);
    console.update(Message::Told(Box::new(Ok(told()))));
    assert_eq!(console.away, None);
}

#[test]
fn jobs_and_one_of_them() {
    let mut console = console();
    press(&mut console, "2");
    let keys = " Enter open   Backspace back   c cancel   b back up now   ? help   q leave";
    let list = [
        "MADE                    JOB              STATE                    TOOK     BYTES",
        "2026-11-21 18:30:00 UTC Backup           InProgress 40 %          30 s   3.0 MiB",
        "2026-11-21 18:30:00 UTC Backup           Failed                   60 s   3.0 MiB",
    ];
    assert_shows(&console, &list, ["", keys]);
    press(&mut console, "↓\r");
    let shown = screen(&console).join("\n");
    for words in [
        "state       Failed",
        "NoSpace: The service's disk is full",
        "Make room there",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    press(&mut console, "\x7f");
    assert_shows(&console, &list, ["", keys]);
}

#[test]
fn cancelling_and_leaving_are_asked_about() {
    let mut console = console();
    assert!(press(&mut console, "c").is_empty());
    assert!(screen(&console).join("\n").contains("Stop the job Backup"));
    assert!(press(&mut console, "n").is_empty() && console.dialog.is_none());
    let effects = press(&mut console, "cy");
    assert!(
        matches!(effects[..], [Effect::CancelJob(job)] if job.to_string() == JOB),
        "{effects:?}"
    );
    assert!(matches!(press(&mut console, "q")[..], [Effect::Leave]));

    assert!(matches!(press(&mut console, "by")[..], [Effect::BackUp]));
    assert!(press(&mut console, "b").is_empty(), "one at a time");
    assert!(
        screen(&console)
            .join("\n")
            .contains("this console  backs up; c cancels")
    );
    assert!(press(&mut console, "q").is_empty());
    assert!(screen(&console).join("\n").contains("Stop the backup and leave?"));
    press(&mut console, "n");
    assert!(matches!(press(&mut console, "cy")[..], [Effect::Stop]));
    console.update(Message::Ended(Err("interrupted".to_owned())));
    assert!(screen(&console).join("\n").contains("Not done: interrupted"));
    press(&mut console, "\r");
    assert!(matches!(press(&mut console, "q")[..], [Effect::Leave]));
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(matches!(console.update(Message::Key(control_c))[..], [Effect::Leave]));
    assert!(matches!(console.update(Message::Stop)[..], [Effect::Leave]));
}

fn row(path: &[u8], is_folder: bool) -> Row {
    Row {
        path: path.to_vec(),
        is_folder,
        size: if is_folder { 0 } else { 1536 },
        modified: "2026-11-20 08:00:00".to_owned(),
    }
}

fn wanted(what: What) -> Wanted {
    Wanted {
        point: POINT.parse().unwrap(),
        created: "2026-11-21T18:30:05Z".parse().unwrap(),
        what,
    }
}

fn listed(rows: Vec<Row>) -> Result<Listed, String> {
    Ok(Listed { rows, note: None })
}

#[test]
fn from_a_point_to_a_restore() {
    let mut console = console();
    assert!(matches!(press(&mut console, "3")[..], [Effect::ListPoints]));
    console.update(Message::Points(Ok(vec![parsed(point())])));
    let keys = " Enter open  Backspace back  Space mark  / search  r restore  ? help  q leave";
    let points = [
        "RECOVERY POINT OF          ENTRIES       SIZE  ID",
        "2026-11-21 18:30:05 UTC       1234    5.0 GiB  0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9",
    ];
    assert_shows(&console, &points, ["", keys]);
    let effects = press(&mut console, "\r");
    let root = wanted(What::Folder(Vec::new()));
    assert!(
        matches!(&effects[..], [Effect::List(asked)] if *asked == root),
        "{effects:?}"
    );

    // What nobody asked for is not shown.
    let other = wanted(What::Folder(b"else".to_vec()));
    console.update(Message::Listed(other, listed(vec![row(b"else/x", false)])));
    assert!(screen(&console).iter().any(|line| line.starts_with("Reading / …")));
    let rows = vec![
        row(b"etc", true),
        row(b"evil\x1b[2J", false),
        row("名前".as_bytes(), false),
    ];
    console.update(Message::Listed(root.clone(), listed(rows)));
    press(&mut console, "↓ ");
    let mut names = vec![
        "2026-11-21 18:30:05 UTC  /",
        "              2026-11-20 08:00:00  etc/",
        "*    1.5 KiB  2026-11-20 08:00:00  evil\\u{1b}[2J",
        "     1.5 KiB  2026-11-20 08:00:00  名 前",
    ];
    names.resize(18, "");
    names.push("1 marked");
    let shown = screen(&console);
    assert_eq!(shown[3..22], names, "\n{}", shown.join("\n"));
    assert_eq!(shown[23], keys);

    press(&mut console, "rx");
    let shown = screen(&console).join("\n");
    for words in ["/evil\\u{1b}[2J", "to where everything was", "keep both"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    press(&mut console, "t");
    let effects = press(&mut console, "srv/r\r\r");
    let [Effect::Restore(_, options)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(options.picked.paths, [b"evil\x1b[2J".to_vec()]);
    assert_eq!((options.conflict, options.in_use), (Conflict::KeepBoth, false));
    assert_eq!(options.target.to_str(), Some("/srv/r"));
    let half = Figures {
        entries: 3,
        bytes: 1 << 20,
        bytes_expected: 2 << 20,
        ..Figures::default()
    };
    console.update(Message::Progress(half));
    assert_eq!(
        screen(&console)[22],
        "restores: 3 entries, 1.0 MiB of 2.0 MiB; c cancels"
    );
    assert!(press(&mut console, "r\r").is_empty(), "one at a time");
}

#[test]
fn a_search_and_the_way_back() {
    let mut console = console();
    press(&mut console, "3");
    console.update(Message::Points(Ok(vec![parsed(point())])));
    press(&mut console, "\r");
    let root = wanted(What::Folder(Vec::new()));
    console.update(Message::Listed(
        root.clone(),
        listed(vec![row(b"a", true), row(b"etc", true)]),
    ));
    assert!(press(&mut console, "/\r").is_empty(), "nothing to look for");
    assert!(screen(&console).join("\n").contains("type a pattern"));
    let effects = press(&mut console, "*.o\r");
    let search = wanted(What::Pattern("*.o".to_owned()));
    assert!(
        matches!(&effects[..], [Effect::List(asked)] if *asked == search),
        "{effects:?}"
    );
    console.update(Message::Listed(search, Err("page 7 cannot be had".to_owned())));
    assert!(screen(&console).join("\n").contains("page 7 cannot be had"));
    press(&mut console, "\r");
    // Into a folder and out of it: it is chosen again.
    let effects = press(&mut console, "↓\r");
    let etc = wanted(What::Folder(b"etc".to_vec()));
    assert!(
        matches!(&effects[..], [Effect::List(asked)] if *asked == etc),
        "{effects:?}"
    );
    console.update(Message::Listed(etc, listed(vec![row(b"etc/hosts", false)])));
    assert!(matches!(&press(&mut console, "\x7f")[..], [Effect::List(asked)] if *asked == root));
    console.update(Message::Listed(root, listed(vec![row(b"a", true), row(b"etc", true)])));
    let effects = press(&mut console, "r\r");
    let [Effect::Restore(_, options)] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(options.picked.paths, [b"etc".to_vec()]);
    assert_eq!(
        (options.conflict, options.in_use),
        (Conflict::Skip, true),
        "nothing is lost by one key"
    );
}

#[test]
fn the_throttle_is_typed() {
    let mut console = console();
    press(&mut console, "4");
    let shown = screen(&console);
    assert_eq!(shown[3], "THROTTLE (none is set)");
    assert_eq!(shown[7], "upload in work hours              unlimited");
    press(&mut console, "↓↓↓\r");
    let effects = press(&mut console, &("\x7f".repeat(9) + "5kbit\r"));
    assert!(effects.is_empty());
    assert!(screen(&console).join("\n").contains("\"5kbit\" is no limit"));
    let effects = press(&mut console, &("\x7f".repeat(5) + "20mbit\r"));
    assert!(
        matches!(&effects[..], [Effect::Change(flag)] if flag == "--upload-work=20mbit"),
        "{effects:?}"
    );
    console.update(Message::Done(Err("the settings are kept in the vault".to_owned())));
    assert!(
        screen(&console)
            .join("\n")
            .contains("Not done: the settings are kept in the vault")
    );
    press(&mut console, "\r");
    console.update(Message::Done(Ok("The settings are changed.".to_owned())));
    assert_eq!(screen(&console)[22], "The settings are changed.");
}

#[test]
fn every_screen_fits_wherever_it_is_drawn() {
    for (width, height) in [(1, 1), (20, 5), (79, 23), (300, 100)] {
        for tab in Tab::ALL {
            for keys in ["", "?", "b", "c"] {
                let mut console = console();
                console.tab = tab;
                press(&mut console, keys);
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|frame| draw(&console, &Look::plain(), frame)).unwrap();
            }
        }
    }
}
