//! A list of which a window is shown, with one row chosen.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{List, ListState};

use super::look::Look;

/// How far one page goes.
const PAGE: usize = 15;

/// The row that is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Chosen(pub(super) usize);

impl Chosen {
    /// Moves in a list of so many rows. `false`: the key is none that moves.
    pub(super) fn moved(&mut self, key: KeyEvent, rows: usize) -> bool {
        let last = rows.saturating_sub(1);
        self.0 = match key.code {
            KeyCode::Up | KeyCode::Char('k') => self.0.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.0 + 1,
            KeyCode::PageUp => self.0.saturating_sub(PAGE),
            KeyCode::PageDown => self.0 + PAGE,
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => return false,
        }
        .min(last);
        true
    }
}

/// Draws the rows that fit, the chosen one among them. Only what is shown is made into text.
pub(super) fn draw_rows<T>(
    rows: &[T],
    chosen: Chosen,
    line: impl Fn(&T) -> Line<'static>,
    look: &Look,
    frame: &mut Frame<'_>,
    area: Rect,
) {
    let height = usize::from(area.height).max(1);
    let first = (chosen.0 + 1).saturating_sub(height);
    let shown = rows.iter().skip(first).take(height).map(line);
    let list = List::new(shown).highlight_style(look.chosen());
    let mut state = ListState::default().with_selected(Some(chosen.0 - first));
    frame.render_stateful_widget(list, area, &mut state);
}
