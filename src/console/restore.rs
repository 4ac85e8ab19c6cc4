//! The screen from which is restored: recovery points, and what is in one of them.

use std::collections::BTreeSet;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};
use strongroom_api::PointView;
use strongroom_engine::restore::Conflict;

use super::dialog::{Dialog, Purpose, Restoring, Typing};
use super::effect::{Effect, Wanted, What};
use super::look::Look;
use super::message::{Listed, Row};
use super::plain::{plain, plain_path};
use super::state::Console;
use super::window::{Chosen, draw_rows};
use crate::terminal::{bytes, moment};

/// Where names stand in a line, and room for the slash of a folder.
const NAME_AT: usize = 36;

/// So many names can be marked.
const MARKS_MAX: usize = 10_000;

/// What is shown of recovery points.
#[derive(Debug, Clone, Default)]
pub(super) struct Restore {
    /// Newest first.
    points: Option<Result<Vec<PointView>, String>>,
    chosen: Chosen,
    /// The part of a recovery point that is looked at.
    open: Option<Open>,
    /// What was asked for and is not there yet.
    awaited: Option<Wanted>,
    /// Of the point that is open.
    marks: BTreeSet<Vec<u8>>,
    note: Option<String>,
}

#[derive(Debug, Clone)]
struct Open {
    wanted: Wanted,
    listed: Listed,
    chosen: Chosen,
}

impl Restore {
    /// Has the points listed, whenever the screen is opened and none of them is.
    pub(super) fn begin(&self) -> Vec<Effect> {
        match self.open {
            Some(_) => Vec::new(),
            None => vec![Effect::ListPoints],
        }
    }

    pub(super) fn take_points(&mut self, points: Result<Vec<PointView>, String>) {
        self.chosen.0 = self
            .chosen
            .0
            .min(points.as_ref().map_or(0, |points| points.len().saturating_sub(1)));
        self.points = Some(points);
    }

    /// Notes what is awaited.
    pub(super) fn awaits(&mut self, wanted: Wanted) {
        self.note = None;
        self.awaited = Some(wanted);
    }

    /// Shows what was awaited, or says why it is not there. What nobody awaits any more comes too late.
    pub(super) fn take_listing(&mut self, wanted: &Wanted, listed: Result<Listed, String>) -> Result<(), String> {
        if self.awaited.as_ref() != Some(wanted) {
            return Ok(());
        }
        self.awaited = None;
        let listed = listed?;
        let before = self.open.as_ref().map(|open| &open.wanted);
        if before.is_none_or(|before| before.point != wanted.point) {
            self.marks.clear();
        }
        // Back in a folder, the one that was left is chosen.
        let left = before.and_then(|before| match &before.what {
            What::Folder(folder) => listed.rows.iter().position(|row| row.path == *folder),
            What::Pattern(_) => None,
        });
        self.open = Some(Open {
            wanted: wanted.clone(),
            listed,
            chosen: Chosen(left.unwrap_or(0)),
        });
        Ok(())
    }

    /// What a key does; `None`: nothing here.
    pub(super) fn key(&mut self, key: KeyEvent, dialog: &mut Option<Dialog>) -> Option<Vec<Effect>> {
        match &mut self.open {
            None => self.key_of_points(key),
            Some(open) => {
                if open.chosen.moved(key, open.listed.rows.len()) {
                    return Some(Vec::new());
                }
                self.key_of_names(key, dialog)
            }
        }
    }

    fn key_of_points(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let points = self.points.as_ref().and_then(|points| points.as_ref().ok());
        let points = points.map_or(&[][..], |points| points);
        if self.chosen.moved(key, points.len()) {
            return Some(Vec::new());
        }
        match (key.code, points.get(self.chosen.0)) {
            (KeyCode::Enter, Some(point)) => Some(vec![Effect::List(Wanted {
                point: point.id,
                created: point.created,
                what: What::Folder(Vec::new()),
            })]),
            (KeyCode::Esc, _) => {
                self.awaited = None;
                Some(Vec::new())
            }
            _ => None,
        }
    }

    fn key_of_names(&mut self, key: KeyEvent, dialog: &mut Option<Dialog>) -> Option<Vec<Effect>> {
        let open = self.open.as_mut()?;
        let row = open.listed.rows.get(open.chosen.0);
        match (key.code, row) {
            (KeyCode::Enter, Some(row)) if row.is_folder => {
                let what = What::Folder(row.path.clone());
                return Some(vec![Effect::List(Wanted {
                    what,
                    ..open.wanted.clone()
                })]);
            }
            (KeyCode::Backspace | KeyCode::Esc, _) => return Some(self.back()),
            (KeyCode::Char(' '), Some(row)) => {
                let path = row.path.clone();
                open.chosen.0 = (open.chosen.0 + 1).min(open.listed.rows.len() - 1);
                self.mark(path);
            }
            (KeyCode::Char('u'), _) => self.marks.clear(),
            (KeyCode::Char('/'), _) => {
                *dialog = Some(Dialog::Typing(Typing {
                    title: "Search this recovery point".to_owned(),
                    text: String::new(),
                    refused: None,
                    purpose: Purpose::Search(open.wanted.clone()),
                }));
            }
            (KeyCode::Char('r'), row) => {
                let paths = match (self.marks.is_empty(), row) {
                    (false, _) => self.marks.iter().cloned().collect(),
                    (true, Some(row)) => vec![row.path.clone()],
                    (true, None) => return Some(Vec::new()),
                };
                *dialog = Some(Dialog::Restoring(Box::new(Restoring {
                    point: open.wanted.point,
                    paths,
                    to: None,
                    conflict: Conflict::Skip,
                })));
            }
            _ => return None,
        }
        Some(Vec::new())
    }

    fn mark(&mut self, path: Vec<u8>) {
        self.note = None;
        if self.marks.remove(&path) {
            return;
        }
        match self.marks.len() < MARKS_MAX {
            true => drop(self.marks.insert(path)),
            false => self.note = Some(format!("No more than {MARKS_MAX} can be marked: mark the folder.")),
        }
    }

    /// To the folder above, from what was found to the root, and from the root to the points.
    fn back(&mut self) -> Vec<Effect> {
        if self.awaited.take().is_some() {
            return Vec::new();
        }
        let Some(open) = &self.open else { return Vec::new() };
        let above = match &open.wanted.what {
            What::Pattern(_) => Vec::new(),
            What::Folder(folder) if folder.is_empty() => {
                self.open = None;
                self.marks.clear();
                return vec![Effect::ListPoints];
            }
            What::Folder(folder) => {
                let end = folder.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                folder[..end].to_vec()
            }
        };
        let what = What::Folder(above);
        vec![Effect::List(Wanted {
            what,
            ..open.wanted.clone()
        })]
    }

    /// What is said below the list.
    fn said(&self) -> String {
        if let Some(wanted) = &self.awaited {
            return match &wanted.what {
                What::Folder(folder) => format!("Reading {} … Esc ends it", plain_path(folder)),
                What::Pattern(pattern) => format!("Searching for {} … Esc ends it", plain(pattern)),
            };
        }
        let listed = self.open.as_ref().and_then(|open| open.listed.note.as_deref());
        let said = self.note.as_deref().or(listed).map(plain);
        let marked = match self.marks.len() {
            0 => None,
            many => Some(format!("{many} marked")),
        };
        marked.into_iter().chain(said).collect::<Vec<_>>().join("; ")
    }
}

/// Draws the screen.
pub(super) fn draw(console: &Console, look: &Look, frame: &mut Frame<'_>, area: Rect) {
    let restore = &console.restore;
    let heights = [Constraint::Length(1), Constraint::Min(0), Constraint::Length(1)];
    let [head, list, foot] = Layout::vertical(heights).areas(area);
    frame.render_widget(Line::from(restore.said()), foot);
    if let Some(open) = &restore.open {
        frame.render_widget(Line::from(heading(&open.wanted)).style(look.title()), head);
        let is_found = matches!(open.wanted.what, What::Pattern(_));
        let room = usize::from(list.width).saturating_sub(NAME_AT);
        let name = |row: &Row| match is_found {
            true => end_of(&plain_path(&row.path), room),
            false => last_of(&plain_path(&row.path)).to_owned(),
        };
        let line = |row: &Row| Line::from(name_line(row, restore.marks.contains(&row.path), &name(row)));
        draw_rows(&open.listed.rows, open.chosen, line, look, frame, list);
        return;
    }
    match &restore.points {
        None => frame.render_widget(Line::from("Asking for the recovery points …"), head),
        Some(Err(why)) => frame.render_widget(Paragraph::new(plain(why)).wrap(Wrap { trim: false }), list),
        Some(Ok(points)) if points.is_empty() => {
            frame.render_widget(Line::from("There is no recovery point yet. b begins a backup."), head);
        }
        Some(Ok(points)) => {
            let headings = format!("{:<23}  {:>9}  {:>9}  {}", "RECOVERY POINT OF", "ENTRIES", "SIZE", "ID");
            frame.render_widget(Line::from(headings).style(look.title()), head);
            draw_rows(points, restore.chosen, point_line, look, frame, list);
        }
    }
}

fn heading(wanted: &Wanted) -> String {
    let created = moment(wanted.created);
    match &wanted.what {
        What::Folder(folder) => format!("{created}  {}", plain_path(folder)),
        What::Pattern(pattern) => format!("{created}  what fits {}", plain(pattern)),
    }
}

fn point_line(point: &PointView) -> Line<'static> {
    let (created, size) = (moment(point.created), bytes(point.total_bytes));
    Line::from(format!("{created:<23}  {:>9}  {size:>9}  {}", point.files, point.id))
}

fn name_line(row: &Row, is_marked: bool, name: &str) -> String {
    let mark = if is_marked { '*' } else { ' ' };
    let (slash, size) = match row.is_folder {
        true => ("/", String::new()),
        false => ("", bytes(row.size)),
    };
    format!("{mark} {size:>10}  {:<19}  {name}{slash}", row.modified)
}

/// The last part of a path.
fn last_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A path of which the beginning is left out if there is no room for it.
fn end_of(path: &str, room: usize) -> String {
    let too_many = path.chars().count().saturating_sub(room);
    match too_many {
        0 => path.to_owned(),
        _ => format!("…{}", path.chars().skip(too_many + 1).collect::<String>()),
    }
}
