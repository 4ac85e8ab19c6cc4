//! Walks folders and prints how many entries per second, in wall-clock and in CPU time: twice as a
//! backup that finds nothing changed, then reading small files and extended attributes too.
//!
//! `cargo run --release -p strongroom-sources --example walk_speed -- /usr [/more …]`

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use strongroom_sources::files::{Found, Kind, Rules, Selection, Walker, read_link, read_small, xattrs};

const SMALL_BYTES: u64 = 256 << 10;

fn main() -> Result<(), Box<dyn Error>> {
    let roots: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let roots = if roots.is_empty() {
        vec![PathBuf::from("/usr")]
    } else {
        roots
    };
    let mut buffer = Vec::new();
    for (round, reads) in [("first", false), ("again", false), ("reading", true)] {
        let mut walker = Walker::new(Selection::new(roots.clone(), Rules::default())?)?;
        let (begun, cpu) = (Instant::now(), cpu_time());
        let (mut entries, mut bytes, mut issues) = (0_u64, 0_u64, 0_u64);
        for item in &mut walker {
            match item {
                Ok(found) => {
                    (entries, bytes) = (entries + 1, bytes + found.meta.size);
                    if reads {
                        issues += u64::from(read(&found, &mut buffer).is_err());
                    }
                }
                Err(_) => issues += 1,
            }
        }
        let (wall, cpu) = (begun.elapsed(), cpu_time() - cpu);
        println!(
            "{round}: {entries} entries, {} MiB, {issues} issues, {wall:.3?}, CPU {cpu:.3?}: {:.0} entries per CPU second",
            bytes >> 20,
            entries as f64 / cpu.as_secs_f64(),
        );
    }
    Ok(())
}

fn read(found: &Found, buffer: &mut Vec<u8>) -> Result<(), Box<dyn Error>> {
    buffer.clear();
    match found.meta.kind {
        Kind::File if found.meta.size < SMALL_BYTES => {
            read_small(found, buffer)?.file.xattrs()?;
        }
        Kind::Symlink => {
            read_link(found)?;
            xattrs(found)?;
        }
        _ => {
            xattrs(found)?;
        }
    }
    Ok(())
}

/// CPU time of this thread, in user and kernel mode.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
