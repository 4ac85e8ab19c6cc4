//! Policies in ARM's shapes and in ours.
//!
//! Of times only the time of day counts, on the clocks of the policy's zone, whatever date and offset stand beside it: so
//! Azure reads and writes them. A Windows name is written for a zone that has one.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::{management_type, write};

#[cfg(test)]
mod tests;
