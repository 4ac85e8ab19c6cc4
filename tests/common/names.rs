//! Processes that find no host by its name.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `EAI_NONAME`: there is no such host.
pub const UNKNOWN: i32 = -2;
/// `EAI_AGAIN`: nobody can be asked at the moment.
pub const NOT_ASKED: i32 = -3;

/// Something to preload.
pub struct Names(PathBuf);

impl Names {
    /// Compiles it into this folder.
    pub fn compile(folder: &Path) -> Self {
        let library = folder.join("names.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/names.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(source)
            .status();
        assert!(compiled.unwrap().success());
        Self(library)
    }

    /// Has the command's look-ups end with `error`.
    pub fn fail(&self, command: &mut Command, error: i32) {
        command.env("LD_PRELOAD", &self.0).env("NAMES_ERROR", error.to_string());
    }
}
