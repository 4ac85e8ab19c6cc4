//! The rules of this code base that neither the compiler nor clippy knows.
//!
//! Each test is one rule; it fails with `file:line` and what to do instead. The lists of exceptions, in
//! `exceptions.rs`, should only ever shrink: an entry that is no longer needed fails as well.

#![forbid(unsafe_code)]

mod documents;
mod exceptions;
mod fuzzing;
mod graph;
mod manifests;
mod places;
mod report;
mod shape;
mod source;
mod tree;
