use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::world::{Noise, assert_same, expected, found, image, only_volume, run, run_shell};

/// A disk copied while its file system is in use, read by us, and by the kernel, which replays the journal.
fn check(options: &str, block_size: usize, mode: &str) {
    let folder = tempfile::tempdir().unwrap();
    let (used, copy, mount) = (
        image(folder.path(), "used", 100 << 20),
        folder.path().join("copy"),
        folder.path().join("mount"),
    );
    fs::create_dir(&mount).unwrap();
    run_shell(&format!("mke2fs -q -t ext4 {options} '{}'", used.display()));
    run_shell(&format!(
        "mount -o loop,commit=300,data={mode} '{}' '{}'",
        used.display(),
        mount.display()
    ));
    busy(&mount, block_size);
    run("cp", &[&"--sparse=always", &used, &copy]);
    run("umount", &[&mount]);

    let file_system = only_volume(&copy).open().unwrap();
    let remarks = file_system.remarks();
    assert!(remarks[0].contains("its journal has been read"), "{remarks:?}");
    let found = found(&file_system);
    run_shell(&format!("mount -o loop '{}' '{}'", copy.display(), mount.display()));
    let replayed = expected(&mount);
    run("umount", &[&mount]);
    assert!(replayed.contains_key(b"kept/fifty 49".as_slice()));
    assert_same(replayed, found, options);
}

/// Names that are in the journal only, and blocks that were folders and are contents now.
fn busy(root: &Path, block_size: usize) {
    let mut noise = Noise(11);
    for round in 0..6 {
        let gone = root.join(format!("gone {round}"));
        fs::create_dir(&gone).unwrap();
        for number in 0..300 {
            fs::write(
                gone.join(format!("a name that takes some room in its folder {number}")),
                "x",
            )
            .unwrap();
        }
        sync(&gone);
        fs::remove_dir_all(&gone).unwrap();
        sync(root);
        fs::write(root.join(format!("instead {round}")), noise.bytes(400_000)).unwrap();
        sync(&root.join(format!("instead {round}")));
    }
    fs::create_dir(root.join("kept")).unwrap();
    for number in 0..50 {
        let path = root.join("kept").join(format!("fifty {number}"));
        fs::write(&path, noise.bytes(number * 1000)).unwrap();
        sync(&path);
    }
    // A block that begins as those of a journal do.
    let magic = fs::File::create(root.join("magic")).unwrap();
    for block in 0..4 {
        magic
            .write_all_at(&[0xc0, 0x3b, 0x39, 0x98, 1, 2, 3, 4], (block * block_size) as u64)
            .unwrap();
    }
    magic.sync_all().unwrap();
}

fn sync(path: &Path) {
    fs::File::open(path).unwrap().sync_all().unwrap();
}

#[test]
fn a_journal_with_changes() {
    check("-b 4096", 4096, "ordered");
}

#[test]
fn journals_of_other_forms() {
    check("-b 1024 -O ^metadata_csum,^64bit", 1024, "ordered");
    check("-b 4096 -O ^metadata_csum,64bit", 4096, "ordered");
}

#[test]
fn contents_in_the_journal() {
    check("-b 4096", 4096, "journal");
    check("-b 1024 -O ^64bit", 1024, "journal");
}

#[test]
fn a_journal_that_cannot_be_read_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "image", 50 << 20);
    run_shell(&format!(
        "mke2fs -q -t ext4 '{0}'; debugfs -w -R 'feature needs_recovery' '{0}' 2>/dev/null >/dev/null
         debugfs -w -R 'zap_block -f <8> 0' '{0}' 2>/dev/null",
        image.display()
    ));
    let remarks = only_volume(&image).open().unwrap().remarks();
    assert!(remarks[0].contains("its journal cannot be read"), "{remarks:?}");
}
