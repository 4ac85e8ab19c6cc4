//! The long-running client: waits on the link for work, and does it, one job after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use strongroom_api::{ClientError, Code, JobView, LINK_SECONDS_MAX, LinkAnswer, LinkRequest, Protection};
use strongroom_engine::Progress;
use strongroom_model::{JobId, Operation};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::AgentError;
use crate::held::{Held, WaitsFor};
use crate::host::Host;
use crate::machine::Machine;

/// How long to wait after the first failed call; each further one doubles it.
const WAIT_FIRST: Duration = Duration::from_secs(2);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// While a job is being stopped the service answers at once: so long until it is asked again.
const WAIT_STOPPING: Duration = Duration::from_secs(2);

/// How long a job that is stopped may take to end, besides the command after it.
const FAREWELL: Duration = Duration::from_secs(5);

/// After this, a machine that is not registered any more asks again.
const WAIT_STRANGER: Duration = Duration::from_secs(300);

/// What a running client tells whoever started it.
#[derive(Debug, Clone)]
pub enum Event {
    /// The service answers; this is what the machine's item is under.
    Linked(Protection),
    /// The service does not answer, or refuses; it is tried again after a while.
    Away {
        /// Why.
        why: String,
        /// When.
        again: Duration,
    },
    /// A job waits.
    Held(Box<JobView>, WaitsFor),
    /// The settings here were not those of the vault: how it was, or why that cannot be mended now.
    Settings(String),
    /// A job began.
    Began(Box<JobView>),
    /// A job is over.
    Ended {
        /// Which.
        job: JobId,
        /// How, as a sentence.
        how: String,
        /// Whether it did what it should.
        succeeded: bool,
    },
}

struct Running {
    job: JobId,
    progress: Progress,
    task: JoinHandle<Result<String, AgentError>>,
}

/// As what a machine works.
#[derive(Clone)]
pub(crate) enum Role {
    /// It backs up its own files.
    Agent,
    /// So it does, and looks for virtual machines when somebody wants that.
    Host {
        /// Tells that somebody does.
        discovery: mpsc::Sender<()>,
    },
    /// It is a virtual machine, for which its host works.
    VirtualMachine(Arc<Host>),
}

/// Works until `stop`. A job that is under way then is stopped, and its service not told: whoever starts the client again
/// goes on with it, and otherwise it fails after some minutes of silence.
pub async fn run(machine: Arc<Machine>, stop: impl Future<Output = ()>, tell: impl FnMut(Event)) {
    run_as(Role::Agent, machine, stop, tell).await;
}

/// As [`run`], in a role.
pub(crate) async fn run_as(
    role: Role,
    machine: Arc<Machine>,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Event),
) {
    let _client = (machine.folder().note_client())
        .inspect_err(|error| tracing::warn!("{error}; `strongroom agent status` does not know that this runs"));
    let left = machine.clone();
    match spawn_blocking(move || left.remove_left_snapshots()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!("{error}; whether an earlier backup has left snapshots is looked at again before the next")
        }
        Err(_) => {
            tracing::warn!("the program has a fault: snapshots that an earlier backup has left may be there still")
        }
    }
    let mut queue: VecDeque<JobView> = VecDeque::new();
    let mut running: Option<Running> = None;
    let mut held: Option<Held> = None;
    let mut wait = WAIT_FIRST;
    let mut known: Option<Protection> = None;
    tokio::pin!(stop);
    let mut seen = None;
    let link = ask(role.clone(), machine.clone(), Vec::new(), seen, Duration::ZERO);
    tokio::pin!(link);
    loop {
        if running.is_none()
            && let Some(job) = queue.pop_front()
        {
            if held.is_none()
                && let Some(waits_for) = machine.waits_for(&job).await
            {
                tell(Event::Held(Box::new(job.clone()), waits_for));
                held = Some(Held::new(machine.clone(), job));
                continue;
            }
            tell(Event::Began(Box::new(job.clone())));
            running = Some(begin(&role, machine.clone(), job));
        }
        tokio::select! {
            () = &mut stop => break,
            ended = finished(&mut running) => {
                tell(ended);
                running = None;
            }
            released = Held::released(&mut held) => queue.extend(released),
            answer = &mut link => {
                let pause = match answer {
                    Ok((answer, news)) => {
                        wait = WAIT_FIRST;
                        seen = Some(answer.settings);
                        news.into_iter().for_each(|news| tell(Event::Settings(news)));
                        if known.as_ref() != Some(&answer.protection) {
                            known = Some(answer.protection.clone());
                            tell(Event::Linked(answer.protection));
                        }
                        if answer.discover && let Role::Host { discovery } = &role {
                            // If it is full somebody is about to look.
                            let _told = discovery.try_send(());
                        }
                        let is_asked = !answer.stop.is_empty() || answer.discover;
                        let pause = if is_asked { WAIT_STOPPING } else { Duration::ZERO };
                        for job in answer.stop {
                            queue.retain(|queued| queued.id != job);
                            held = held.filter(|held| held.job.id != job);
                            running.iter().filter(|running| running.job == job).for_each(|running| running.progress.cancel());
                        }
                        queue.extend(answer.jobs);
                        pause
                    }
                    Err(error) => {
                        known = None;
                        let pause = patience(&error, &mut wait);
                        tell(Event::Away { why: error.to_string(), again: pause });
                        pause
                    }
                };
                let running = running.iter().map(|running| running.job);
                let waiting = held.iter().map(|held| &held.job).chain(&queue).map(|job| job.id);
                link.set(ask(role.clone(), machine.clone(), running.chain(waiting).collect(), seen, pause));
            }
        }
    }
    if let Some(running) = running {
        running.progress.cancel();
        // Its end is of no interest any more; but a session is given back if that is possible at once, and the command after
        // the backup has its time.
        let post = machine.commands().ok().and_then(|commands| commands.post);
        let patience = FAREWELL + Duration::from_secs(post.map_or(0, |post| post.limit_seconds));
        let _ = tokio::time::timeout(patience, running.task).await;
    }
}

/// Asks for work, and if the vault has other settings than were seen, brings those here and there together. Work does not
/// wait for that: each backup on schedule tries it again, and says why it cannot begin.
async fn ask(
    role: Role,
    machine: Arc<Machine>,
    running: Vec<JobId>,
    seen: Option<u64>,
    pause: Duration,
) -> Result<(LinkAnswer, Option<String>), ClientError> {
    tokio::time::sleep(pause).await;
    let request = LinkRequest {
        program: concat!("strongroom ", env!("CARGO_PKG_VERSION")).to_owned(),
        running,
        // The first time it is told at once how things are.
        wait_seconds: seen.map_or(0, |_| LINK_SECONDS_MAX),
        settings: seen,
        discovers: matches!(role, Role::Host { .. }),
    };
    let answer = machine.client().link(&request).await?;
    let has_settings = !matches!(role, Role::VirtualMachine(_));
    let news = match seen == Some(answer.settings) || !has_settings {
        true => None,
        false => match machine.sync_settings().await {
            Ok(synced) => synced.news,
            Err(error) => Some(format!(
                "the settings here and in the vault cannot be compared now: {error}"
            )),
        },
    };
    Ok((answer, news))
}

/// How long to wait before the service is asked again: longer each time, and not all machines at once.
fn patience(error: &ClientError, wait: &mut Duration) -> Duration {
    if let ClientError::Refused(problem) = error
        && matches!(
            problem.code,
            Code::MachineNotFound | Code::AssertionRefused | Code::Forbidden
        )
    {
        return WAIT_STRANGER;
    }
    let now = *wait;
    *wait = (now * 2).min(WAIT_MAX);
    let mut noise = [0; 2];
    noise.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..2]);
    now / 2 + now.mul_f64(f64::from(u16::from_le_bytes(noise)) / f64::from(u16::MAX))
}

async fn finished(running: &mut Option<Running>) -> Event {
    let Some(running) = running else {
        return std::future::pending().await;
    };
    let ended = (&mut running.task).await;
    let (how, succeeded) = match ended {
        Ok(Ok(how)) => (how, true),
        Ok(Err(error)) => (error.to_string(), false),
        Err(_) => ("the program has a fault: the job broke off".to_owned(), false),
    };
    Event::Ended {
        job: running.job,
        how,
        succeeded,
    }
}

fn begin(role: &Role, machine: Arc<Machine>, job: JobView) -> Running {
    let progress = Progress::default();
    let (id, watched, role) = (job.id, progress.clone(), role.clone());
    let task = tokio::spawn(async move {
        match (job.operation, role) {
            (Operation::Backup, Role::VirtualMachine(host)) => {
                let made = host.back_up(&machine, job.id, watched).await;
                made.map(|made| made.in_words())
            }
            (Operation::Backup, _) => machine.back_up_as_set(&job, watched).await,
            (other, _) => Err(AgentError::UnknownWork(other)),
        }
    });
    Running {
        job: id,
        progress,
        task,
    }
}
