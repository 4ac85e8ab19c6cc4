//! A file whose records are coming in.

use strongroom_format::entry::{Extent, Node};

/// A file whose records are coming in.
pub struct OpenFile {
    /// The path of its records.
    pub record: Vec<u8>,
    /// The path that it should have in the target.
    pub origin: Vec<u8>,
    pub size: u64,
    /// Bytes that the records so far stand for.
    pub covered: u64,
    pub stage: Stage,
}

pub enum Stage {
    /// Something of the same size is there, or the extents have to be known first: they are collected.
    Compared(Candidate),
    /// It was begun: its extents go to the writer.
    Written,
    /// It is not restored.
    Skipped,
}

pub struct Candidate {
    pub node: Box<Node>,
    pub extents: Vec<Extent>,
    /// Where the other one is.
    pub path: Vec<u8>,
    /// How many names were tried before this one.
    pub attempt: u32,
}
