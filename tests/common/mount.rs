//! Small file systems, real ones: full soon, read-only, or made up by a program. Only root can mount them.

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

    /// Makes a file system of a kind (such as `btrfs`) in a new file of this size, and mounts it.
    pub fn image(kind: &str, file: &Path, bytes: u64, at: &Path, options: &str) -> Self {
        std::fs::File::create_new(file).unwrap().set_len(bytes).unwrap();
        make(kind, file);
        Self::existing_with(file, at, options)
    }

    /// Makes a file system of a kind on a block device, and mounts it.
    pub fn device(kind: &str, device: &Path, at: &Path) -> Self {
        make(kind, device);
        Self::existing_device(device, at)
    }

    /// Mounts a file system that is on a block device already.
    pub fn existing_device(device: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(&[device.to_str().unwrap()], at);
        Self(at.to_owned())
    }

    /// Mounts a file system that is in a file already.
    pub fn existing(file: &Path, at: &Path) -> Self {
        Self::existing_with(file, at, "")
    }

    fn existing_with(file: &Path, at: &Path, options: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("loop,{options}");
        mount(&["-o", &options, file.to_str().unwrap()], at);
        Self(at.to_owned())
    }

    /// A folder, at another place too.
    pub fn bind(folder: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        mount(&["--bind", folder.to_str().unwrap()], at);
        Self(at.to_owned())
    }

    /// What is in a folder, made up by a program (FUSE) of this name.
    pub fn of_program(program: &str, folder: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("subtype={program}");
        let mounted = Command::new("bindfs")
            .args(["-o", &options])
            .arg(folder)
            .arg(at)
            .output();
        let mounted = mounted.expect("bindfs is there; ./scripts/test installs it");
        let why = String::from_utf8_lossy(&mounted.stderr);
        assert!(mounted.status.success(), "these tests need root and /dev/fuse: {why}");
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

fn make(kind: &str, file: &Path) {
    let quiet: &[&str] = if kind == "ext4" { &["-q", "-F"] } else { &["-q"] };
    let made = Command::new(format!("mkfs.{kind}"))
        .args(quiet)
        .arg(file)
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "mkfs.{kind}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}
