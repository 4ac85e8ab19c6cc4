//! Promises about virtual machines, each against a real guest under a real QEMU.

mod failures;
mod found;
mod guest;
mod losses;
mod points;
