//! Source to recovery point to restore, on the client.
//!
//! The only place where keys (`seal`), stored structures (`format`), what is protected (`sources`) and the vault meet.
//! [`backup`] writes, [`restore`], [`listing`], [`browse`] and [`verify`] read; both sides speak to a [`remote`] vault, which is the
//! service or, for `rescue`, a bare object store.

#![deny(unsafe_code)]

pub mod backup;
pub mod browse;
mod chunks;
pub mod difference;
mod error;
pub mod history;
mod keys;
mod leaves;
pub mod listing;
mod pages;
mod point;
mod progress;
pub mod remote;
pub mod restore;
mod resync;
mod scratch;
mod slot;
pub mod verify;

pub use error::EngineError;
pub use point::OpenPoint;
pub use progress::{Figures, Progress};
pub use scratch::Scratch;
