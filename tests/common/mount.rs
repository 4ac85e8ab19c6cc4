//! Small file systems that are full soon. Only root can mount them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs; it is unmounted when this is dropped, also by a panic.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts one of `size` (such as `8m`) on a folder.
    pub fn tmpfs(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(
            &["-t", "tmpfs", "-o", &format!("size={size},mode=755"), "strongroom-test"],
            at,
        );
        Self(at.to_owned())
    }

    /// Changes its options, such as `size=64m` or `ro`.
    pub fn remount(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}")], &self.0);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process that is just being killed may still have a file open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            println!("could not unmount {}", self.0.display());
        }
    }
}

fn mount(arguments: &[&str], at: &Path) {
    let mounted = Command::new("mount").args(arguments).arg(at).output().unwrap();
    let why = String::from_utf8_lossy(&mounted.stderr).into_owned();
    assert!(
        mounted.status.success(),
        "these tests need root, to mount small file systems: {why}"
    );
}
