//! Makes small files below a folder, as a restore does, and prints how many per second of CPU time.
//!
//! `cargo run --release -p strongroom-sources --example restore_speed -- FOLDER [COUNT]`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};
use strongroom_sources::files::{Attributes, RestoreOptions, Target};

const FILES_PER_FOLDER: u64 = 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let count: u64 = arguments.next().map_or(Ok(50_000), |count| count.parse())?;
    let mut target = Target::open(Path::new(&folder), RestoreOptions::default())?;
    let file = Attributes {
        mode: 0o644,
        mtime: (1_700_000_000, 1),
        ..Attributes::default()
    };
    let dir = Attributes {
        mode: 0o755,
        ..file.clone()
    };
    let contents = vec![b'x'; 6000];
    let (begun, cpu) = (Instant::now(), cpu_time());
    for number in 0..count {
        let parent = number / FILES_PER_FOLDER;
        if number % FILES_PER_FOLDER == 0 {
            target.make_dir(format!("d{parent:06}").as_bytes(), &dir)?;
        }
        let path = format!("d{parent:06}/f{number:08}");
        let mut writer = target.begin_file(path.as_bytes(), contents.len() as u64, &file)?;
        writer.write_at(0, &contents)?;
        writer.finish(&file)?;
    }
    target.finish();
    let (wall, cpu) = (begun.elapsed(), cpu_time() - cpu);
    let rate = count as f64 / cpu.as_secs_f64();
    println!(
        "{count} files of {} bytes: {wall:.3?}, CPU {cpu:.3?}, {rate:.0} files per CPU second",
        contents.len()
    );
    Ok(())
}

/// CPU time of this thread, in user and kernel mode.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = stat.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
