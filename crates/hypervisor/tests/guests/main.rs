//! Promises about virtual machines, each against a real guest under a real QEMU.

mod failures;
mod found;
#[allow(dead_code, reason = "the tests of the whole need more of it")]
mod guest;
mod losses;
mod points;
