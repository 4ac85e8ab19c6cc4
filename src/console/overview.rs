//! The screen that tells how this machine stands.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use strongroom_agent::{Here, Told};
use strongroom_api::{AlertView, JobView};
use strongroom_engine::Figures;
use strongroom_model::JobState;

use super::look::Look;
use super::plain::plain;
use super::state::{Console, Work};
use crate::commands::agent::status::under_way;
use crate::commands::job::took;
use crate::terminal::{bytes, moment};

/// So many jobs are shown that are over.
const LAST: usize = 5;
/// So many of the selected paths are shown.
const PATHS: usize = 3;

/// Draws the screen.
pub(super) fn draw(console: &Console, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let lines = Facts {
        look,
        lines: Vec::new(),
    }
    .of(console);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

struct Facts<'a> {
    look: &'a Look,
    lines: Vec<Line<'static>>,
}

impl Facts<'_> {
    fn of(mut self, console: &Console) -> Vec<Line<'static>> {
        let service = plain(&console.service);
        match &console.away {
            Some(away) => {
                let text = format!("{service} away since {}: {}", moment(away.since), plain(&away.why));
                self.bad("service", text);
            }
            None if console.told.is_none() => self.say("service", format!("{service}: asking …")),
            None => self.say("service", format!("{service} answers")),
        }
        if let Some(here) = &console.here {
            self.here(here);
        }
        if let Some(told) = &console.told {
            self.told(told);
        }
        if let Some(work) = console.work {
            self.say("this console", doing(work));
        }
        self.lines
    }

    fn here(&mut self, here: &Here) {
        match here.has_client {
            true => self.say("agent", "waits for work (`strongroom agent run`)".to_owned()),
            false => self.bad("agent", "does not run: nothing is backed up on schedule".to_owned()),
        }
        for (word, what) in here.circumstances() {
            self.say(word, what);
        }
        let paths = &here.settings.paths;
        let mut shown: Vec<String> = paths.iter().take(PATHS).map(|path| plain(path)).collect();
        match paths.len() {
            0 => shown.push("nothing yet: `strongroom agent settings --path PATH`".to_owned()),
            many if many > PATHS => shown.push(format!("and {} more", many - PATHS)),
            _ => {}
        }
        self.say("backs up", shown.join(", "));
        let limits = here.limits;
        let now = format!("upload {}, download {} now", limits.upload, limits.download);
        self.say("throttle", now);
    }

    fn told(&mut self, told: &Told) {
        let protection = &told.own.protection;
        let policy = protection
            .policy
            .as_ref()
            .map_or("no policy".to_owned(), |policy| format!("policy {policy}"));
        self.say("protection", format!("{}, {policy}", protection.state));
        self.say(
            "next backup",
            protection.next_backup.map_or("none planned".to_owned(), moment),
        );
        let latest = told.latest.as_ref().map_or("none yet".to_owned(), |point| {
            format!(
                "{}, {} entries, {}",
                moment(point.created),
                point.files,
                bytes(point.total_bytes)
            )
        });
        self.say("newest point", latest);
        let mut jobs = told.open_jobs().peekable();
        if jobs.peek().is_none() {
            self.say("under way", "nothing".to_owned());
        }
        for job in jobs {
            self.say("under way", plain(&under_way(job)));
        }
        self.lines.push(Line::default());
        for (job, name) in told.ended_jobs().take(LAST).zip(["last jobs", "", "", "", ""]) {
            self.ended(name, job);
        }
        for alert in &told.alerts {
            self.bad("alert", plain(&alert_line(alert)));
        }
    }

    fn ended(&mut self, name: &str, job: &JobView) {
        let at = moment(job.ended.unwrap_or(job.created));
        let text = format!("{at}  {}  {}  {}", job.operation, job.state, took(job));
        match job.state {
            JobState::Failed => self.bad(name, text),
            _ => self.say(name, text),
        }
    }

    fn say(&mut self, name: &str, text: String) {
        let label = Span::styled(format!("{name:<14}"), self.look.label());
        self.lines.push(Line::from(vec![label, Span::raw(text)]));
    }

    fn bad(&mut self, name: &str, text: String) {
        let label = Span::styled(format!("{name:<14}"), self.look.label());
        self.lines
            .push(Line::from(vec![label, Span::styled(text, self.look.bad())]));
    }
}

fn alert_line(alert: &AlertView) -> String {
    format!("{}: {} {}", alert.title, alert.message, alert.recommendation)
}

/// What the console does itself, in one line.
pub(super) fn doing(work: Work) -> String {
    match work {
        Work::BackUp => "backs up; c cancels".to_owned(),
        Work::Restore(figures) => format!("restores: {}; c cancels", restored(figures)),
    }
}

fn restored(figures: Figures) -> String {
    let all = match figures.bytes_expected {
        0 => String::new(),
        expected => format!(" of {}", bytes(expected)),
    };
    format!("{} entries, {}{all}", figures.entries, bytes(figures.bytes))
}
