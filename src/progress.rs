//! A running job, as people see it: a bar with rate and time left on a terminal, plain lines when piped.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom_agent::AgentError;
use strongroom_engine::{EngineError, Figures, Progress};

use crate::terminal::{Terminal, bytes};
use crate::waiting::Waiting;

/// How often a bar is drawn.
const TICK: Duration = Duration::from_millis(200);
/// How often a line is printed when nobody watches a terminal.
const LINE: Duration = Duration::from_secs(10);

/// Runs `work` while its figures are shown, tells when the service that it needs is away, and turns the first Ctrl-C or
/// SIGTERM into a polite stop, which does not wait for a service.
pub(crate) async fn watch<T>(
    terminal: &Terminal,
    verb: &'static str,
    progress: &Progress,
    mut waiting: Option<Waiting>,
    work: impl Future<Output = Result<T, AgentError>>,
) -> Result<T, AgentError> {
    let mut shown = Shown::new(terminal, verb);
    let mut ticks = tokio::time::interval(TICK);
    let mut stopping = false;
    // One for the whole time: another one in each round would not know of a signal that came in the round before.
    let interrupted = crate::interrupt::requested();
    tokio::pin!(work, interrupted);
    loop {
        tokio::select! {
            result = &mut work => {
                shown.end();
                return result.map_err(|error| if stopping { as_interruption(error) } else { error });
            }
            notice = next_notice(&mut waiting) => shown.note(&notice),
            _ = ticks.tick() => shown.draw(progress.figures()),
            () = &mut interrupted, if !stopping => {
                stopping = true;
                shown.note("stopping; what was done so far is kept …");
                progress.cancel();
                waiting.iter().for_each(Waiting::give_up);
            }
        }
    }
}

async fn next_notice(waiting: &mut Option<Waiting>) -> String {
    match waiting {
        Some(waiting) => waiting.notice().await,
        None => std::future::pending().await,
    }
}

/// A call that failed because nobody waited for the service any more.
fn as_interruption(error: AgentError) -> AgentError {
    match error {
        AgentError::Client(_) | AgentError::Engine(EngineError::Remote(_)) => EngineError::Cancelled.into(),
        error => error,
    }
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines {
        verb: &'static str,
        began: Instant,
        printed: Instant,
    },
}

impl Shown {
    fn new(terminal: &Terminal, verb: &'static str) -> Self {
        if terminal.is_quiet() {
            return Self::Nothing;
        }
        if !std::io::stderr().is_terminal() {
            let now = Instant::now();
            return Self::Lines {
                verb,
                began: now,
                printed: now,
            };
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_prefix(verb);
        Self::Bar(bar)
    }

    fn draw(&mut self, figures: Figures) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => draw_bar(bar, figures),
            Self::Lines { verb, began, printed } => {
                if printed.elapsed() >= LINE {
                    *printed = Instant::now();
                    eprintln!("{verb}: {}", line(figures, began.elapsed()));
                }
            }
        }
    }

    fn note(&self, text: &str) {
        match self {
            Self::Nothing => {}
            Self::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Self::Lines { .. } => eprintln!("{text}"),
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn draw_bar(bar: &ProgressBar, figures: Figures) {
    const KNOWN: &str = "{prefix} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
    const UNKNOWN: &str = "{prefix} {spinner} {bytes}  {bytes_per_sec}  {elapsed}  {msg}";
    let known = figures.bytes_expected > 0;
    let style = ProgressStyle::with_template(if known { KNOWN } else { UNKNOWN }).expect("the templates are right");
    bar.set_style(style);
    if known {
        bar.set_length(figures.bytes_expected.max(figures.bytes));
    }
    bar.set_position(figures.bytes);
    bar.set_message(details(figures));
}

fn details(figures: Figures) -> String {
    let mut text = format!(
        "{} entries, {} over the line",
        figures.entries,
        bytes(figures.new_bytes)
    );
    if figures.issues > 0 {
        text.push_str(&format!(", {} warnings", figures.issues));
    }
    text
}

fn line(figures: Figures, elapsed: Duration) -> String {
    let rate = figures.bytes as f64 / elapsed.as_secs_f64().max(0.001);
    let mut text = format!(
        "{}, {}/s, {}",
        bytes(figures.bytes),
        bytes(rate as u64),
        details(figures)
    );
    if figures.bytes_expected > figures.bytes && rate > 0.0 {
        let left = (figures.bytes_expected - figures.bytes) as f64 / rate;
        text.push_str(&format!(", about {left:.0} s left"));
    }
    text
}
