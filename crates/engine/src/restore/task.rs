//! What the writer is told to do, in path order.

use strongroom_format::entry::{Extent, Node};

use super::archive::Stretch;
use crate::chunks::Opened;
use crate::slot::Slot;

/// An extent with the contents that it needs, if any.
#[derive(Debug)]
pub struct Part {
    pub extent: Extent,
    pub chunk: Option<Slot<Opened>>,
}

/// What becomes of an entry in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Nothing is there: it is made.
    New,
    /// Something else is there, which it replaces.
    Replaced,
    /// It is there, and right.
    Kept,
    /// Something else is there, which stays; it is not restored.
    Skipped,
    /// Something else is there, which stays; it gets another name.
    Copied,
}

/// Where an entry goes.
#[derive(Clone, Debug)]
pub struct Place {
    pub path: Vec<u8>,
    pub fate: Fate,
}

/// One step.
#[derive(Debug)]
pub enum Task {
    /// Something without contents.
    Make(Place, Box<Node>),
    /// It is there and right.
    Keep(Vec<u8>, Box<Node>),
    /// Something else is there and stays.
    Skip(Vec<u8>, Box<Node>),
    /// Begin a file: [`Task::Write`]s and one [`Task::Finish`] or [`Task::Abandon`] follow. For an archive, if it has holes:
    /// where its data lies.
    Begin(Place, Box<Node>, Option<Vec<Stretch>>),
    /// The next extents of the file that was begun.
    Write(Vec<Part>),
    /// The file that was begun is complete.
    Finish,
    /// The file that was begun cannot be completed.
    Abandon(String),
}
