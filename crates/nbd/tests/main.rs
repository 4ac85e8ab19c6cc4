//! Both sides against the programs that they are for, each other, and peers that mean no good. One program, because each
//! further one costs time to build.

#![forbid(unsafe_code)]

mod client;
mod hostile_client;
mod hostile_server;
mod interruption;
mod server;
mod snapshot;
mod world;
