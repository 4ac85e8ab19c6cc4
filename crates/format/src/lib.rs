//! Bytes to structures and back, both ways and pure: no I/O, no clock, no key.
//!
//! `docs/format.md` is the specification; each module states its part in one line of grammar. All integers are little
//! endian, `varint` is LEB128 with at most ten bytes in its shortest form. Every parser bounds a length before it trusts
//! it and refuses what a writer would not have written, so that one structure has exactly one encoding.

#![deny(unsafe_code)]

pub mod cutter;
pub mod entry;
pub mod keyset;
pub mod leaf;
pub mod pack;
pub mod page;
pub mod point;
mod rules;
pub mod salvage;
pub mod tree;
pub mod vaultfile;
mod wire;

pub use pack::blob_id;
