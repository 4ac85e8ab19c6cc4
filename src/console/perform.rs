//! Does what the console wants to have done, in tasks that answer with messages.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{self, Event};
use strongroom_agent::{Machine, Told};
use strongroom_api::PointFilter;
use strongroom_engine::Progress;
use strongroom_engine::browse::{Browser, Name};
use strongroom_engine::restore::RestoreOptions;
use strongroom_format::entry::{Kind, Node, Record};
use strongroom_model::{JobId, PointId};
use strongroom_sources::files::Patterns;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};

use super::effect::{Effect, Wanted, What};
use super::message::{Listed, Message, Row};
use super::own::{self, Own};
use crate::commands::restore::restored_text;
use crate::listing::modified_shortly;
use crate::{clock, interrupt};

/// How often the machine is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How long after an answer the service is asked again.
const ASK: Duration = Duration::from_secs(2);
/// A service that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a restore says how far it is.
const PROGRESS: Duration = Duration::from_millis(250);
/// How long what is stopped may take when somebody leaves.
const FAREWELL: Duration = Duration::from_secs(20);
/// So many warnings of a restore are told.
const WARNINGS: usize = 8;
/// More names of one folder, or of one search, are not shown.
const ROWS_MAX: usize = 10_000;

/// Does what takes time.
pub(super) struct Performer {
    machine: Arc<Machine>,
    /// The one that restores.
    patient: Arc<Machine>,
    own: Own,
    browser: Browser,
    messages: Sender<Message>,
    ask: Arc<Notify>,
    /// The listing under way: only the last one is of interest.
    listing: Option<JoinHandle<()>>,
    work: Option<Working>,
}

/// A backup or restore under way.
struct Working {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Performer {
    /// Begins to look at keys, at the machine and at its service.
    pub(super) fn start(machine: Machine, patient: Machine, own: Own) -> (Self, Receiver<Message>) {
        let (messages, heard) = super::channel();
        let performer = Self {
            browser: machine.browser(),
            machine: Arc::new(machine),
            patient: Arc::new(patient),
            own,
            messages: messages.clone(),
            ask: Arc::default(),
            listing: None,
            work: None,
        };
        let keys = messages.clone();
        // It ends with the process: whoever waits for a key cannot be stopped.
        std::thread::spawn(move || hear_keys(&keys));
        tokio::spawn(look(performer.machine.clone(), messages.clone()));
        tokio::spawn(ask(performer.machine.clone(), messages.clone(), performer.ask.clone()));
        tokio::spawn(async move {
            interrupt::requested().await;
            let _ = messages.send(Message::Stop).await;
        });
        (performer, heard)
    }

    /// Begins it.
    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            // The end is whoever owns this.
            Effect::Leave => {}
            Effect::Ask => self.ask.notify_one(),
            Effect::ListPoints => drop(self.answer(points(self.machine.clone()))),
            Effect::List(wanted) => self.list(wanted),
            Effect::BackUp => self.back_up(),
            Effect::Restore(point, options) => self.restore(point, *options),
            Effect::Stop => self.stop(),
            Effect::CancelJob(job) => drop(self.answer(cancel(self.machine.clone(), job))),
            Effect::Change(flag) => drop(self.answer(change(self.own.clone(), flag))),
        }
    }

    /// Stops what is under way, and waits a while for it.
    pub(super) async fn end(mut self) {
        self.stop();
        if let Some(Working { task, .. }) = self.work.take() {
            let _ = timeout(FAREWELL, task).await;
        }
    }

    fn answer(&self, answer: impl Future<Output = Message> + Send + 'static) -> JoinHandle<()> {
        let messages = self.messages.clone();
        tokio::spawn(async move {
            // Nobody hears it when the console is left.
            let _ = messages.send(answer.await).await;
        })
    }

    fn list(&mut self, wanted: Wanted) {
        self.listing.take().iter().for_each(JoinHandle::abort);
        let (machine, browser) = (self.machine.clone(), self.browser.clone());
        self.listing = Some(self.answer(async move {
            let listed = match &wanted.what {
                What::Folder(folder) => in_folder(&browser, &wanted, folder).await,
                What::Pattern(pattern) => found(&machine, wanted.point, pattern).await,
            };
            Message::Listed(wanted, listed)
        }));
    }

    fn back_up(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let own = self.own.clone();
        let task = self.answer(async move { Message::Ended(back_up(&own, stopped).await) });
        self.work = Some(Working { stop: Some(stop), task });
    }

    fn restore(&mut self, point: PointId, options: RestoreOptions) {
        let (stop, stopped) = oneshot::channel();
        let (machine, messages) = (self.patient.clone(), self.messages.clone());
        let task = self.answer(async move {
            let done = restore(&machine, point, &options, stopped, &messages).await;
            Message::Ended(done)
        });
        self.work = Some(Working { stop: Some(stop), task });
    }

    fn stop(&mut self) {
        if let Some(stop) = self.work.as_mut().and_then(|work| work.stop.take()) {
            // It may be over already.
            let _ = stop.send(());
        }
    }
}

/// Hears keys until the console is left.
fn hear_keys(messages: &Sender<Message>) {
    loop {
        let message = match event::read() {
            Ok(Event::Key(key)) => Message::Key(key),
            Ok(Event::Resize(..)) => Message::Resized,
            Ok(_) => continue,
            // The terminal has gone.
            Err(_) => Message::Stop,
        };
        let is_end = matches!(message, Message::Stop);
        if messages.blocking_send(message).is_err() || is_end {
            return;
        }
    }
}

async fn look(machine: Arc<Machine>, messages: Sender<Message>) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        let looked = machine.clone();
        let here = tokio::task::spawn_blocking(move || looked.here()).await;
        let Ok(here) = here else { return };
        let here = here.map_err(|error| error.to_string());
        let tick = Message::Tick(clock::system().now(), Box::new(here));
        if messages.send(tick).await.is_err() {
            return;
        }
    }
}

async fn ask(machine: Arc<Machine>, messages: Sender<Message>, sooner: Arc<Notify>) {
    let mut before: Option<Told> = None;
    loop {
        let told = match timeout(PATIENCE, machine.told(before.as_ref())).await {
            Ok(told) => told.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {} seconds", PATIENCE.as_secs())),
        };
        if let Ok(told) = &told {
            before = Some(told.clone());
        }
        if messages.send(Message::Told(Box::new(told))).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(ASK) => {}
            () = sooner.notified() => {}
        }
    }
}

async fn points(machine: Arc<Machine>) -> Message {
    let points = machine.points(&PointFilter::Own).await;
    Message::Points(points.map_err(|error| error.to_string()).map(|mut points| {
        points.reverse();
        points
    }))
}

async fn cancel(machine: Arc<Machine>, job: JobId) -> Message {
    let cancelled = machine.client().cancel_own_job(job).await;
    Message::Done(match cancelled {
        Ok(job) => Ok(format!("{} is {}.", job.operation, job.state)),
        Err(error) => Err(error.to_string()),
    })
}

async fn change(own: Own, flag: String) -> Message {
    let done = match own.begin(&["--quiet", "agent", "settings", &flag]) {
        Ok(mut child) => own::outcome(&mut child).await,
        Err(error) => Err(not_begun(&error)),
    };
    Message::Done(done.map(|_| "The settings are changed.".to_owned()))
}

fn not_begun(error: &io::Error) -> String {
    format!("cannot start another process of this program: {error}")
}

async fn back_up(own: &Own, stopped: oneshot::Receiver<()>) -> Result<String, String> {
    let mut child = own.begin(&["backup"]).map_err(|error| not_begun(&error))?;
    let process = own::process(&child);
    let outcome = own::outcome(&mut child);
    tokio::pin!(outcome, stopped);
    let mut is_stopped = false;
    loop {
        tokio::select! {
            outcome = &mut outcome => return outcome,
            _ = &mut stopped, if !is_stopped => {
                is_stopped = true;
                own::interrupt(process);
            }
        }
    }
}

async fn restore(
    machine: &Machine,
    point: PointId,
    options: &RestoreOptions,
    stopped: oneshot::Receiver<()>,
    messages: &Sender<Message>,
) -> Result<String, String> {
    let (progress, began) = (Progress::default(), Instant::now());
    let work = async {
        let point = machine.open_point(point).await?;
        machine.restore(&point, options, progress.clone()).await
    };
    tokio::pin!(work, stopped);
    let mut ticks = interval(PROGRESS);
    let mut is_stopped = false;
    let report = loop {
        tokio::select! {
            report = &mut work => break report.map_err(|error| error.to_string())?,
            _ = &mut stopped, if !is_stopped => {
                is_stopped = true;
                progress.cancel();
            }
            _ = ticks.tick() => {
                // One that is not heard is followed by another.
                let _ = messages.try_send(Message::Progress(progress.figures()));
            }
        }
    };
    let mut said = restored_text(&options.target, &report, began.elapsed());
    let issues = report.issues.iter().take(WARNINGS);
    for issue in issues {
        said += &format!("\n{}: {}", crate::shown_path::shown(&issue.path), issue.why);
    }
    let more = (report.issues.len() as u64 + report.issues_omitted).saturating_sub(WARNINGS as u64);
    if more > 0 {
        said += &format!("\nand {more} more warnings; `strongroom restore` lists them all");
    }
    Ok(said)
}

/// What lies directly in a folder, or the first so many of it.
async fn in_folder(browser: &Browser, wanted: &Wanted, folder: &[u8]) -> Result<Listed, String> {
    let point = browser.point(wanted.point, wanted.created);
    let tree = point.tree().await.map_err(|error| error.to_string())?;
    let mut next = match folder {
        b"" => 0,
        folder => match tree.find(folder).await.map_err(|error| error.to_string())? {
            Some(found) => found.number() + 1,
            None => return Err(format!("there is no {} any more", crate::shown_path::shown(folder))),
        },
    };
    let mut rows = Vec::new();
    while let Some(name) = tree.next_in(folder, next).await.map_err(|error| error.to_string())? {
        if rows.len() == ROWS_MAX {
            let note = Some(format!("Only the first {ROWS_MAX} names are shown: / searches all"));
            return Ok(Listed { rows, note });
        }
        next = tree.after(&name).await.map_err(|error| error.to_string())?;
        rows.push(row_of(&name));
    }
    Ok(Listed { rows, note: None })
}

fn row_of(name: &Name) -> Row {
    Row {
        path: name.path().to_vec(),
        is_folder: name.is_folder(),
        size: name.size(),
        modified: modified_shortly(name.node()),
    }
}

/// What fits a pattern in a recovery point, or the first so many of it.
async fn found(machine: &Machine, point: PointId, pattern: &str) -> Result<Listed, String> {
    let patterns = Patterns::of("the search", [pattern]).map_err(|error| error.to_string())?;
    let searched = machine.find_in(vec![point], patterns, Progress::default()).await;
    let (versions, lost) = searched.map_err(|error| error.to_string())?;
    let names = versions.iter().filter_map(|version| match &version.entry.record {
        Record::Node(node) => Some(found_row(&version.entry.path, node)),
        Record::More(_) => None,
    });
    let rows: Vec<Row> = names.take(ROWS_MAX).collect();
    let note = match (rows.len(), lost.first()) {
        (_, Some(why)) => Some(why.clone()),
        (0, None) => Some("Nothing fits.".to_owned()),
        (ROWS_MAX, None) => Some(format!("Only the first {ROWS_MAX} are shown: say more in the pattern")),
        (many, None) => Some(format!("{many} found")),
    };
    Ok(Listed { rows, note })
}

fn found_row(path: &[u8], node: &Node) -> Row {
    Row {
        path: path.to_vec(),
        is_folder: matches!(node.kind, Kind::Directory),
        size: match node.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        },
        modified: modified_shortly(node),
    }
}
