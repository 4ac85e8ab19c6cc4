//! Two files that a program rewrites in step, the second after the first: whether a recovery point has both as they were at one moment.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::common::machine::{Machine, restored};
use crate::common::program::run;
use crate::common::random::Random;
use crate::common::world::World;
use crate::common::writing::AtTheEnd;

/// Writes to a file and waits until that lasts, as a database does.
fn write_through(file: &File, number: u64) {
    file.write_all_at(&number.to_le_bytes(), 0).unwrap();
    file.sync_data().unwrap();
}

/// Two files that a program rewrites in step: the second is never ahead of the first, nor more than one behind.
pub struct InStep {
    first: PathBuf,
    second: PathBuf,
}

impl InStep {
    /// Between them lies, in path order, a file of this size, which takes long to read.
    pub fn make(folder: &Path, large_bytes: usize) -> Self {
        let files = Self {
            first: folder.join("1-first"),
            second: folder.join("3-second"),
        };
        for file in [&files.first, &files.second] {
            write_through(&File::create_new(file).unwrap(), 0);
        }
        fs::write(folder.join("2-large"), Random::from_seed(1).bytes(large_bytes)).unwrap();
        files
    }

    fn rewrite_until(&self, stop: &AtomicBool) {
        let open = |path| File::options().write(true).open(path).unwrap();
        let (first, second) = (open(&self.first), open(&self.second));
        for number in 1.. {
            write_through(&first, number);
            write_through(&second, number);
            if stop.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// What they are in a recovery point.
    fn restored(&self, machine: &Machine, point: &str, target: &Path) -> (u64, u64) {
        let mut command = machine.restore_command(point, target);
        command.args([&self.first, &self.second]);
        run(command).done();
        let number = |path: &Path| u64::from_le_bytes(fs::read(restored(target, path)).unwrap().try_into().unwrap());
        (number(&self.first), number(&self.second))
    }

    /// Backs them up while they are rewritten. Returns what each recovery point has.
    pub fn back_up(&self, machine: &Machine, world: &World, snapshot: &str, times: usize) -> Vec<(u64, u64)> {
        let stop = AtomicBool::new(false);
        let points: Vec<String> = thread::scope(|scope| {
            scope.spawn(|| self.rewrite_until(&stop));
            let _stop = AtTheEnd(&stop);
            let point = |_| {
                let mut command = machine.backup_command(self.first.parent().unwrap());
                command.args(["--force-rehash", "--snapshot", snapshot]);
                let ended = run(command);
                assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended}");
                ended.value()["point"].as_str().unwrap().to_owned()
            };
            (0..times).map(point).collect()
        });
        let restored = |point: &String| self.restored(machine, point, &world.path(point));
        points.iter().map(restored).collect()
    }
}

/// Whether they are of one moment.
pub fn agree(&(first, second): &(u64, u64)) -> bool {
    first == second || first == second + 1
}
