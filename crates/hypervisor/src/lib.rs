//! What the virtual machines of a KVM host are, and frozen points of their disks: asked of QEMU itself.
//!
//! ```text
//! descriptions ──▶ discovery ──▶ machine ──▶ snapshot ──▶ point, as an NBD export on a unix socket
//!                      │                        │
//!                      └── qmp, guest_agent ────┘
//! ```
//!
//! QEMU is asked on a monitor of our own, the guest on the socket of its agent. What this crate does to a guest that others
//! depend on follows three rules. A guest is never frozen or stopped before a file that survives us says so ([`snapshot`]).
//! Nothing is removed that this crate did not make. And what a backup needs may fail at any moment, but the guest's own
//! writes may not: its disks are never put behind anything that can refuse them.

#![forbid(unsafe_code)]

mod block;
mod capabilities;
mod description;
mod discovery;
mod disk;
mod guest_agent;
mod json_lines;
mod machine;
pub mod off;
mod qmp;
pub mod snapshot;

pub use capabilities::Capabilities;
pub use description::{DescribedDisk, Description, DescriptionError, MachineName};
pub use discovery::{Discovered, Found, discover};
pub use disk::{Bitmaps, Disk, DiskFormat, DiskSize, LeftOut, NodeName, QomPath, WhyLeftOut};
pub use guest_agent::{AgentError, Executed, FileSystem, FreezeState, GuestAgent, OsInfo};
pub use machine::{AgentState, Machine, State, Unasked};
pub use qmp::{Event, Monitor, MonitorError, QemuVersion};
