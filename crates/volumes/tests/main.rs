//! Disks made by the real tools, read by ours, and compared with what was put into them.

mod file_systems;
mod hostile;
mod journal;
mod logical_volumes;
mod partitions;
mod world;
