//! The whole screen: head, one of the screens, foot, and what stands over them.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::look::Look;
use super::overview::doing;
use super::plain::plain;
use super::state::{Console, Tab};
use super::{jobs, overview, restore, settings};
use crate::terminal::moment;

/// Draws the console.
pub(super) fn draw(console: &Console, look: &Look, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let heights = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [head, tabs, _, body, note, keys] = Layout::vertical(heights).areas(screen);
    draw_head(console, look, frame, head);
    draw_tabs(console.tab, look, frame, tabs);
    match console.tab {
        Tab::Overview => overview::draw(console, look, frame, body),
        Tab::Jobs => jobs::draw(console, look, frame, body),
        Tab::Restore => restore::draw(console, look, frame, body),
        Tab::Settings => settings::draw(console, look, frame, body),
    }
    frame.render_widget(Line::from(said(console)).style(look.label()), note);
    frame.render_widget(Line::from(keys_of(console.tab)).style(look.chosen()), keys);
    if let Some(dialog) = &console.dialog {
        dialog.draw(look, frame, screen);
    }
}

fn draw_head(console: &Console, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let name = format!(
        "strongroom  {} in vault {}",
        plain(&console.machine),
        plain(&console.vault)
    );
    let now = console.now.map_or(String::new(), moment);
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(24)]).areas(area);
    frame.render_widget(Line::from(name).style(look.title()), left);
    frame.render_widget(Line::from(now).right_aligned(), right);
}

fn draw_tabs(open: Tab, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let mut spans = Vec::new();
    for (number, tab) in (1..).zip(Tab::ALL) {
        let style = if tab == open { look.chosen() } else { look.label() };
        spans.push(Span::styled(format!(" {number} {} ", tab.name()), style));
        spans.push(Span::raw(" "));
    }
    frame.render_widget(Line::from(spans), area);
}

/// What was told last; else what the console does, or that the service is away.
fn said(console: &Console) -> String {
    if let Some(note) = &console.note {
        return plain(note);
    }
    match (console.tab, console.work, &console.away) {
        (Tab::Overview, _, _) => String::new(),
        (_, Some(work), _) => doing(work),
        (_, None, Some(away)) => format!("service away since {}: {}", moment(away.since), plain(&away.why)),
        (_, None, None) => String::new(),
    }
}

fn keys_of(tab: Tab) -> &'static str {
    match tab {
        Tab::Overview => " b back up now   c cancel   1-4 screens   ? help   q leave ",
        Tab::Jobs => " Enter open   Backspace back   c cancel   b back up now   ? help   q leave ",
        Tab::Restore => " Enter open  Backspace back  Space mark  / search  r restore  ? help  q leave ",
        Tab::Settings => " Enter change   1-4 screens   ? help   q leave ",
    }
}
