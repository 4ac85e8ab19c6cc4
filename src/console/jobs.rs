//! The screen of jobs: a list, and one of them with all that is known.

use jiff::Timestamp;
use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};
use strongroom_api::JobView;
use strongroom_model::{JobId, JobState};

use super::effect::Effect;
use super::look::Look;
use super::plain::plain;
use super::state::Console;
use super::window::{Chosen, draw_rows};
use crate::commands::job::{shown, took};
use crate::terminal::{bytes, moment};

/// What is shown of jobs.
#[derive(Debug, Clone, Default)]
pub(super) struct Jobs {
    pub(super) chosen: Chosen,
    chosen_id: Option<JobId>,
    is_open: bool,
}

impl Jobs {
    /// What a key does; `None`: nothing here.
    pub(super) fn key(&mut self, key: KeyEvent, jobs: &[JobView]) -> Option<Vec<Effect>> {
        match key.code {
            KeyCode::Enter if !jobs.is_empty() => self.is_open = true,
            KeyCode::Backspace | KeyCode::Esc => self.is_open = false,
            _ if !self.chosen.moved(key, jobs.len()) => return None,
            _ => {}
        }
        self.chosen_id = jobs.get(self.chosen.0).map(|job| job.id);
        Some(Vec::new())
    }

    /// Keeps to the same job when the list changes.
    pub(super) fn keep_chosen(&mut self, jobs: &[JobView]) {
        let same = self.chosen_id.and_then(|id| jobs.iter().position(|job| job.id == id));
        self.chosen.0 = same.unwrap_or(self.chosen.0).min(jobs.len().saturating_sub(1));
    }
}

/// Draws the screen.
pub(super) fn draw(console: &Console, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let jobs = console.told.as_ref().map_or(&[][..], |told| &told.jobs);
    let chosen = console.jobs.chosen;
    match jobs.get(chosen.0) {
        None if console.told.is_none() => frame.render_widget(Line::from("Asking the service …"), area),
        None => frame.render_widget(Line::from("There are no jobs yet. b begins a backup."), area),
        Some(job) if console.jobs.is_open => {
            let lines: Vec<Line<'_>> = shown(job).lines().map(|line| Line::from(plain(line))).collect();
            frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
        }
        Some(_) => {
            let [head, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
            let headings = format!(
                "{:<23} {:<16} {:<21} {:>7} {:>9}",
                "MADE", "JOB", "STATE", "TOOK", "BYTES"
            );
            frame.render_widget(Line::from(headings).style(look.title()), head);
            draw_rows(jobs, chosen, |job| row(job, console.now, look), look, frame, list);
        }
    }
}

fn row(job: &JobView, now: Option<Timestamp>, look: &Look) -> Line<'static> {
    let state = match (job.state, job.percent) {
        (JobState::InProgress, Some(percent)) => format!("{} {percent} %", job.state),
        (state, _) => state.to_string(),
    };
    let took = match (job.started, job.ended, now) {
        (Some(started), None, Some(now)) => format!("{} s", now.duration_since(started).as_secs().max(0)),
        _ => took(job),
    };
    let line = Line::from(format!(
        "{:<23} {:<16} {state:<21} {took:>7} {:>9}",
        moment(job.created),
        job.operation.as_str(),
        bytes(job.progress.bytes)
    ));
    match job.state {
        JobState::Failed => line.style(look.bad()),
        JobState::Completed => line.style(look.good()),
        _ => line,
    }
}
