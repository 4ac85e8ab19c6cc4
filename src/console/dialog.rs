//! What stands over the screen and has the keys: a question, a line to type, a form, a notice.

use std::path::{Path, PathBuf};

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};
use strongroom_engine::restore::{Conflict, Picked, RestoreOptions};
use strongroom_model::PointId;

use super::effect::{Effect, Wanted, What};
use super::look::Look;
use super::plain::{plain, plain_path};
use crate::throttle_flags::ThrottlePart;

/// The longest line that can be typed.
const LINE_MAX: usize = 4096;

/// The keys, for people.
const HELP: [&str; 17] = [
    "1 2 3 4, Tab    the screens",
    "b               back up now what the settings select",
    "c               cancel what is under way, after a question",
    "q, Ctrl-C       leave; what the console does itself is stopped",
    "",
    "Up Down PageUp PageDown Home End      choose a row",
    "Enter           open: a job, a recovery point, a folder, a setting",
    "Backspace       back",
    "",
    "Restore: Space marks, u takes all marks away, / searches everything",
    "         (patterns as in .gitignore: *.odt, /home/**/*.odt),",
    "         r restores what is marked, or what is chosen if nothing is.",
    "",
    "Settings: Enter changes a value. The throttle holds within seconds,",
    "          also for what is running.",
    "",
    "A key closes this.",
];

/// Something that has the keys.
#[derive(Debug, Clone)]
pub(super) enum Dialog {
    /// What the keys do.
    Help,
    /// Something to be read.
    Notice(String),
    /// Yes or no.
    Question(String, Vec<Effect>),
    /// A line to type.
    Typing(Typing),
    /// How to restore.
    Restoring(Box<Restoring>),
}

/// What a key made of a dialog.
#[derive(Debug)]
pub(super) enum Answer {
    Open(Dialog),
    Closed,
    Wants(Vec<Effect>),
}

/// What a line is typed for.
#[derive(Debug, Clone)]
pub(super) enum Purpose {
    /// A pattern to look for in a recovery point.
    Search(Wanted),
    /// A part of the throttle.
    Throttle(ThrottlePart),
    /// The folder to restore to.
    Folder(Box<Restoring>),
}

/// A line that somebody types.
#[derive(Debug, Clone)]
pub(super) struct Typing {
    pub(super) title: String,
    pub(super) text: String,
    /// Why the text is not taken.
    pub(super) refused: Option<String>,
    pub(super) purpose: Purpose,
}

/// How to restore, as it is chosen.
#[derive(Debug, Clone)]
pub(super) struct Restoring {
    pub(super) point: PointId,
    /// As they are stored; none: all.
    pub(super) paths: Vec<Vec<u8>>,
    /// The folder; `None`: to where everything was.
    pub(super) to: Option<PathBuf>,
    pub(super) conflict: Conflict,
}

impl Restoring {
    /// The same options as those of `strongroom restore`.
    fn options(&self) -> RestoreOptions {
        RestoreOptions {
            picked: Picked {
                paths: self.paths.clone(),
                ..Picked::default()
            },
            conflict: self.conflict,
            in_use: self.to.is_none(),
            ..RestoreOptions::to(self.to.clone().unwrap_or_else(|| PathBuf::from("/")))
        }
    }

    fn conflict_words(&self) -> &'static str {
        match self.conflict {
            Conflict::Overwrite => "overwrite: it is replaced; folders are merged",
            Conflict::Skip => "skip: it stays as it is",
            Conflict::KeepBoth => "keep both: restored beside it as NAME.restored-TIME",
        }
    }

    fn next_conflict(&self) -> Conflict {
        match self.conflict {
            Conflict::Overwrite => Conflict::Skip,
            Conflict::Skip => Conflict::KeepBoth,
            Conflict::KeepBoth => Conflict::Overwrite,
        }
    }

    fn key(mut self: Box<Self>, key: KeyEvent) -> Answer {
        match key.code {
            KeyCode::Esc => return Answer::Closed,
            KeyCode::Enter => {
                let options = Box::new(self.options());
                return Answer::Wants(vec![Effect::Restore(self.point, options)]);
            }
            KeyCode::Char('o') => self.to = None,
            KeyCode::Char('x') => self.conflict = self.next_conflict(),
            KeyCode::Char('t') => {
                let text = self.to.as_deref().unwrap_or(Path::new("/")).display().to_string();
                return Answer::Open(Dialog::Typing(Typing {
                    title: "Restore to the folder".to_owned(),
                    text,
                    refused: None,
                    purpose: Purpose::Folder(self),
                }));
            }
            _ => {}
        }
        Answer::Open(Dialog::Restoring(self))
    }

    fn lines(&self) -> Vec<String> {
        let what = match &self.paths[..] {
            [] => "all of the recovery point".to_owned(),
            [path] => plain_path(path),
            [first, others @ ..] => format!("{} and {} more", plain_path(first), others.len()),
        };
        let to = match &self.to {
            None => "to where everything was".to_owned(),
            Some(folder) => format!("below {}", plain(&folder.display().to_string())),
        };
        vec![
            format!("What       {what}"),
            format!("Where      {to}"),
            format!("In the way {}", self.conflict_words()),
            String::new(),
            "Enter begins   o original place   t to another folder".to_owned(),
            "x what to do with what is in the way   Esc closes this".to_owned(),
        ]
    }
}

impl Typing {
    fn key(mut self, key: KeyEvent) -> Answer {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        self.refused = None;
        match key.code {
            KeyCode::Esc => {
                return match self.purpose {
                    Purpose::Folder(restoring) => Answer::Open(Dialog::Restoring(restoring)),
                    _ => Answer::Closed,
                };
            }
            KeyCode::Enter => return self.taken(),
            KeyCode::Backspace => drop(self.text.pop()),
            KeyCode::Char('u') if is_control => self.text.clear(),
            KeyCode::Char(character) if !is_control && self.text.len() < LINE_MAX => self.text.push(character),
            _ => {}
        }
        Answer::Open(Dialog::Typing(self))
    }

    fn taken(mut self) -> Answer {
        let text = self.text.trim().to_owned();
        let refused = match &self.purpose {
            Purpose::Throttle(part) => part.refused(&text),
            Purpose::Search(_) if text.is_empty() => Some("type a pattern, such as *.odt".to_owned()),
            Purpose::Folder(_) if !text.starts_with('/') => Some("a folder begins with a slash here".to_owned()),
            Purpose::Search(_) | Purpose::Folder(_) => None,
        };
        if refused.is_some() {
            self.refused = refused;
            return Answer::Open(Dialog::Typing(self));
        }
        match self.purpose {
            Purpose::Throttle(part) => Answer::Wants(vec![Effect::Change(part.argument(&text))]),
            Purpose::Search(wanted) => Answer::Wants(vec![Effect::List(Wanted {
                what: What::Pattern(text),
                ..wanted
            })]),
            Purpose::Folder(mut restoring) => {
                restoring.to = Some(PathBuf::from(text));
                Answer::Open(Dialog::Restoring(restoring))
            }
        }
    }
}

impl Dialog {
    /// Asks before these are done.
    pub(super) fn question(text: &str, effects: Vec<Effect>) -> Self {
        Self::Question(text.to_owned(), effects)
    }

    /// What a key makes of it.
    pub(super) fn key(self, key: KeyEvent) -> Answer {
        match self {
            Self::Help => Answer::Closed,
            Self::Notice(text) => match key.code {
                KeyCode::Enter | KeyCode::Esc => Answer::Closed,
                _ => Answer::Open(Self::Notice(text)),
            },
            Self::Question(text, effects) => match key.code {
                KeyCode::Char('y') => Answer::Wants(effects),
                KeyCode::Char('n') | KeyCode::Esc => Answer::Closed,
                _ => Answer::Open(Self::Question(text, effects)),
            },
            Self::Typing(typing) => typing.key(key),
            Self::Restoring(restoring) => restoring.key(key),
        }
    }

    fn title(&self) -> &str {
        match self {
            Self::Help => "Keys",
            Self::Notice(_) => "Told",
            Self::Question(..) => "Sure?",
            Self::Typing(typing) => &typing.title,
            Self::Restoring(_) => "Restore",
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            Self::Help => HELP.map(str::to_owned).to_vec(),
            Self::Notice(text) => {
                let lines = text.lines().map(plain);
                lines.chain([String::new(), "Enter closes this".to_owned()]).collect()
            }
            Self::Question(text, _) => vec![plain(text), String::new(), "y yes   n no".to_owned()],
            Self::Typing(typing) => {
                let refused = typing.refused.as_deref().unwrap_or_default();
                let keys = "Enter takes it   Ctrl-U empties it   Esc closes this";
                vec![format!("{}_", plain(&typing.text)), plain(refused), keys.to_owned()]
            }
            Self::Restoring(restoring) => restoring.lines(),
        }
    }

    /// Draws it over the middle of the screen, as high as its text needs.
    pub(super) fn draw(&self, look: &Look, frame: &mut Frame<'_>, screen: Rect) {
        let width = screen.width.saturating_sub(4).min(78);
        let inner = usize::from(width.saturating_sub(4)).max(1);
        let lines = self.lines();
        let rows: usize = lines
            .iter()
            .map(|line| line.chars().count().div_ceil(inner).max(1))
            .sum();
        let height = u16::try_from(rows + 2).unwrap_or(u16::MAX).min(screen.height);
        let area = screen.centered(Constraint::Length(width), Constraint::Length(height));
        let block = Block::bordered()
            .title(format!(" {} ", self.title()))
            .title_style(look.title());
        let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
        let text = Paragraph::new(lines).wrap(Wrap { trim: false });
        frame.render_widget(Clear, area);
        frame.render_widget(
            text.block(block.padding(ratatui::widgets::Padding::horizontal(1))),
            area,
        );
    }
}
