//! What the writer is told to do, in path order.

use strongroom_format::entry::{Extent, Node};

use crate::chunks::Opened;
use crate::slot::Slot;

/// An extent with the contents that it needs, if any.
#[derive(Debug)]
pub struct Part {
    pub extent: Extent,
    pub chunk: Option<Slot<Opened>>,
}

/// One step.
#[derive(Debug)]
pub enum Task {
    /// Something without contents.
    Make(Vec<u8>, Box<Node>),
    /// Take over a file that is there and right.
    Keep(Vec<u8>, Box<Node>),
    /// Begin a file: [`Task::Write`]s and one [`Task::Finish`] follow.
    Begin(Vec<u8>, Box<Node>),
    /// The next extents of the file that was begun.
    Write(Vec<Part>),
    /// The file that was begun is complete.
    Finish,
    /// The file that was begun cannot be completed.
    Abandon(String),
}
