//! What the tests of the whole share: a service, machines and trees, all of them real.

pub mod canary;
pub mod consistency;
pub mod guest;
pub mod in_step;
pub mod later;
pub mod line;
pub mod listing;
pub mod machine;
pub mod mount;
pub mod names;
pub mod network_manager;
pub mod people;
pub mod program;
pub mod proxy;
pub mod pty;
pub mod random;
pub mod service;
pub mod tree;
#[allow(dead_code, reason = "the tests of the crate hypervisor need more of it")]
#[path = "../../crates/hypervisor/tests/guests/guest/mod.rs"]
pub mod virtual_machine;
pub mod world;
pub mod writing;
