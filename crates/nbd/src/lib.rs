//! The network block device protocol, both sides.
//!
//! A [`Client`] reads the disks of a virtual machine as QEMU exports them for a backup; a [`Server`] shows recovery points
//! as disks that QEMU, or any other client, can read. Both speak the fixed newstyle of NBD's `doc/proto.md` with
//! structured replies, over any stream; in practice over unix sockets, since there is no TLS here.
//!
//! ```text
//! callers ──requests──▶ one task per connection ──▶ server      (client::connection)
//!         ◀──answers──  by the cookie of each   ◀──
//! ```
//!
//! Neither side believes the other: every length is bounded before anything is allocated, every wait has a limit.

#![forbid(unsafe_code)]

mod client;
mod error;
mod server;
pub mod wire;

pub use client::{Allocation, Client, ConnectOptions, Dirty, ExportInfo, Extent, ListedExport};
pub use error::NbdError;
pub use server::{Export, ExportError, Server, ServerLimits, Stretch};
