//! Processes that live later than the others.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Something to preload.
pub struct Later(PathBuf);

impl Later {
    /// Compiles it into this folder.
    pub fn compile(folder: &Path) -> Self {
        let library = folder.join("later.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/later.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(compiled.unwrap().success());
        Self(library)
    }

    /// Puts the command's clock forward.
    pub fn put_forward(&self, command: &mut Command, days: i64) {
        self.put_forward_by(command, days * 24 * 60 * 60);
    }

    /// Puts the command's clock forward by so many seconds.
    pub fn put_forward_by(&self, command: &mut Command, seconds: i64) {
        command
            .env("LD_PRELOAD", &self.0)
            .env("LATER_SECONDS", seconds.to_string());
    }
}
