//! What the console wants to have done.

use jiff::Timestamp;
use strongroom_engine::restore::RestoreOptions;
use strongroom_model::{JobId, PointId};

/// Something that takes time, or ends it all.
#[derive(Debug, Clone)]
pub(super) enum Effect {
    /// Leaves the console; what it does itself is stopped.
    Leave,
    /// Asks the service at once, rather than in a while.
    Ask,
    /// Lists this machine's recovery points.
    ListPoints,
    /// Lists a part of a recovery point.
    List(Wanted),
    /// Makes a backup of what the settings select.
    BackUp,
    /// Restores from a recovery point.
    Restore(PointId, Box<RestoreOptions>),
    /// Stops what the console itself does.
    Stop,
    /// Tells a job of this machine to stop.
    CancelJob(JobId),
    /// Changes the settings: a flag of `strongroom agent settings` with its value.
    Change(String),
}

/// A part of a recovery point, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) point: PointId,
    /// When that was made.
    pub(super) created: Timestamp,
    pub(super) what: What,
}

/// Which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// What lies directly in a folder; "" is the root.
    Folder(Vec<u8>),
    /// What fits a pattern.
    Pattern(String),
}
