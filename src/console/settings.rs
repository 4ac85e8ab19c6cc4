//! The screen of settings: what is protected, and the throttle, which can be changed here.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use strongroom_agent::Here;

use super::dialog::{Dialog, Purpose, Typing};
use super::effect::Effect;
use super::look::Look;
use super::plain::plain;
use super::state::Console;
use super::window::{Chosen, draw_rows};
use crate::settings_flags::lines;
use crate::throttle_flags::{ThrottlePart, usual};

/// What is shown of settings.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    chosen: Chosen,
}

impl Settings {
    /// What a key does; `None`: nothing here.
    pub(super) fn key(
        &mut self,
        key: KeyEvent,
        here: Option<&Here>,
        dialog: &mut Option<Dialog>,
    ) -> Option<Vec<Effect>> {
        if self.chosen.moved(key, ThrottlePart::ALL.len()) {
            return Some(Vec::new());
        }
        let (KeyCode::Enter, Some(here)) = (key.code, here) else {
            return None;
        };
        let part = ThrottlePart::ALL[self.chosen.0];
        *dialog = Some(Dialog::Typing(Typing {
            title: part.name().to_owned(),
            text: value(part, here),
            refused: None,
            purpose: Purpose::Throttle(part),
        }));
        Some(Vec::new())
    }
}

/// A part of the throttle as it is; of one that is not set, as it would be.
fn value(part: ThrottlePart, here: &Here) -> String {
    let throttle = here.settings.throttle.clone();
    part.of(&throttle.unwrap_or_else(usual))
}

/// Draws the screen.
pub(super) fn draw(console: &Console, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let Some(here) = &console.here else { return };
    let parts = u16::try_from(ThrottlePart::ALL.len()).unwrap_or(u16::MAX);
    let heights = [
        Constraint::Length(1),
        Constraint::Length(parts),
        Constraint::Length(2),
        Constraint::Min(0),
    ];
    let [head, list, middle, rest] = Layout::vertical(heights).areas(area);
    let title = match here.settings.throttle {
        Some(_) => "THROTTLE",
        None => "THROTTLE (none is set)",
    };
    frame.render_widget(Line::from(title).style(look.title()), head);
    let line = |part: &ThrottlePart| Line::from(format!("{:<34}{}", part.name(), plain(&value(*part, here))));
    draw_rows(&ThrottlePart::ALL, console.settings.chosen, line, look, frame, list);
    let protected = vec![
        Line::default(),
        Line::from("PROTECTED (`strongroom agent settings` changes it)").style(look.title()),
    ];
    frame.render_widget(Paragraph::new(protected), middle);
    let without_throttle = strongroom_model::MachineSettings {
        throttle: None,
        ..here.settings.clone()
    };
    let lines: Vec<Line<'_>> = lines(&without_throttle)
        .lines()
        .map(|line| Line::from(plain(line)))
        .collect();
    frame.render_widget(Paragraph::new(lines), rest);
}
