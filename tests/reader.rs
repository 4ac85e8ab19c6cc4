//! `docs/format.md` is enough to write another reader: one was, in Python, and it restores what we back up.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 150,
    large: 3,
    large_bytes: 3 << 20,
};

fn reader_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reader")
}

/// A Python with what the reader needs, made once.
fn python() -> PathBuf {
    let output = Command::new(reader_folder().join("prepare")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

#[test]
fn another_program_reads_the_format() {
    let python = python();
    let (mut world, mut random) = (World::new(), Random::new());
    let (source, before) = (world.path("source"), world.path("before"));
    tree::make(&source, &mut random, &SIZE);
    let machine = world.machine("written");
    machine.back_up(&source);
    tree::copy(&source, &before);
    (0..5).for_each(|_| tree::edit(&source, &mut random));
    machine.back_up(&source);
    let points = machine.points();
    let (store, passphrase) = (
        world.service.vault_folder(),
        world.passphrase_file("reader", PASSPHRASE),
    );
    world.service.stop();
    for (point, expected) in points.iter().zip([&before, &source]) {
        let target = world.path(&format!("extracted-{point}"));
        let output = Command::new(&python)
            .arg(reader_folder().join("read_vault.py"))
            .args([&store, &passphrase])
            .args(["extract", point])
            .arg(&target)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_same(expected, &target.join(source.strip_prefix("/").unwrap()));
    }
}
