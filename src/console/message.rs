//! What the console hears of.

use jiff::Timestamp;
use ratatui::crossterm::event::KeyEvent;
use strongroom_agent::{Here, Told};
use strongroom_api::PointView;
use strongroom_engine::Figures;

use super::effect::Wanted;

/// A key, the time, or an answer. Errors are sentences.
#[derive(Debug, Clone)]
pub(super) enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size: the screen is to be drawn again.
    Resized,
    /// It is so late, and here it looks like this.
    Tick(Timestamp, Box<Result<Here, String>>),
    /// The service said how this machine stands, or nothing.
    Told(Box<Result<Told, String>>),
    /// This machine's recovery points, newest first.
    Points(Result<Vec<PointView>, String>),
    /// What is in a part of a recovery point.
    Listed(Wanted, Result<Listed, String>),
    /// How far a restore is.
    Progress(Figures),
    /// What the console did itself is over.
    Ended(Result<String, String>),
    /// Something small was done.
    Done(Result<String, String>),
    /// The system wants this to end.
    Stop,
}

/// Names in a recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) rows: Vec<Row>,
    /// What is not shown, or could not be read.
    pub(super) note: Option<String>,
}

/// A name in a recovery point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// As it is stored, below "/".
    pub(super) path: Vec<u8>,
    pub(super) is_folder: bool,
    /// Bytes of a file.
    pub(super) size: u64,
    /// When it changed last.
    pub(super) modified: String,
}
