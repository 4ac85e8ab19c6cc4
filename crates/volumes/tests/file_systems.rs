use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use strongroom_volumes::{Contents, Kind, PAGE_ENTRIES_MAX, VolumeError};

use crate::world::{Noise, Odd, assert_same, expected, found, image, only_volume, plant, run, run_shell};

fn check_ext(options: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source, Odd::Unix, 1500);
    if options.contains("inline_data") {
        // With this, mke2fs forgets the hole at the end of a file.
        fs::remove_file(source.join("sparse")).unwrap();
    }
    let image = image(folder.path(), "image", 200 << 20);
    run_shell(&format!(
        "mke2fs -q -L named {options} -d '{}' '{}'",
        source.display(),
        image.display()
    ));
    let volume = only_volume(&image);
    assert_eq!(
        (volume.contents, volume.label.as_deref(), &volume.problem),
        (Contents::Ext, Some("named"), &None)
    );
    let file_system = volume.open().unwrap();
    assert_same(expected(&source), found(&file_system), options);
    assert_eq!(file_system.remarks(), Vec::<String>::new());
    assert_eq!(
        volume.uuid.unwrap(),
        run("blkid", &[&"-p", &"-s", &"UUID", &"-o", &"value", &image]).trim()
    );
}

#[test]
fn ext4() {
    check_ext("-t ext4 -N 20000");
}

#[test]
fn ext2_and_ext3() {
    check_ext("-t ext2 -b 1024 -N 20000");
    check_ext("-t ext3 -b 4096 -N 20000");
}

#[test]
fn ext4_in_its_rarer_forms() {
    check_ext("-t ext4 -b 1024 -g 1024 -O meta_bg,^resize_inode,64bit -N 30000");
    check_ext("-t ext4 -b 1024 -C 4096 -N 20000 -O bigalloc,^metadata_csum");
    check_ext("-t ext4 -O inline_data -I 256 -N 20000");
    check_ext("-t ext4 -O inline_data -I 1024 -N 20000");
    check_ext("-t ext4 -b 2048 -O ^extents,^64bit,^dir_index,large_dir -N 20000");
}

/// Mounts an image, has it filled, and unmounts it.
fn filled(image: &Path, mount: &str, fill: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    run_shell(&format!("{mount} '{}' '{}'", image.display(), folder.path().display()));
    fill(folder.path());
    run("umount", &[&folder.path()]);
}

fn check_mounted(image: &Path, mount: &str, contents: Contents, odd: Odd, names: usize) {
    let mut planted = Default::default();
    filled(image, mount, |root| {
        plant(root, odd, names);
        fragment(root);
        planted = expected(root);
    });
    let volume = only_volume(image);
    assert_eq!((volume.contents, &volume.problem), (contents, &None));
    let mut found = found(&volume.open().unwrap());
    // What a driver makes up is not in the disk.
    for known in found.values_mut().filter(|known| known.mode.is_none()) {
        known.mode = Some(0o777);
    }
    if odd == Odd::Windows {
        found.remove(b"System Volume Information".as_slice());
        for known in planted.values_mut() {
            known.mode = Some(0o777);
        }
    }
    assert_same(planted, found, mount);
}

/// Two files that grow in turns lie in many pieces.
fn fragment(root: &Path) {
    use std::os::unix::fs::FileExt;
    let mut noise = Noise(7);
    let files = ["one", "other"].map(|name| fs::File::create(root.join(name)).unwrap());
    for piece in 0..120u64 {
        for file in &files {
            file.write_all_at(&noise.bytes(5000), piece * 24 * 1024).unwrap();
            file.sync_data().unwrap();
        }
    }
}

#[test]
fn xfs() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        "-m crc=1",
        "-b size=1024 -n size=8192",
        "-m bigtime=1,inobtcount=1 -i size=2048",
    ] {
        let image = image(folder.path(), "image", 400 << 20);
        run_shell(&format!("mkfs.xfs -q -f {options} '{}'", image.display()));
        check_mounted(
            &image,
            "mount -t xfs -o loop",
            Contents::Xfs,
            Odd::Unix,
            if options == "-m crc=1" { 10_000 } else { 1000 },
        );
    }
}

/// Kernels no longer mount version 4, but `mkfs.xfs` still fills it from a description, which knows no blanks in names.
#[test]
fn xfs_of_version_4() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("a/b/c")).unwrap();
    let mut description = "/none\n0 0\nd--755 0 0\na d--755 0 0\n".to_owned();
    let mut noise = Noise(9);
    for size in [0, 1, 4095, 4096, 4097, 3_000_000] {
        let path = source.join(format!("a/file-{size}"));
        fs::write(&path, noise.bytes(size)).unwrap();
        description += &format!("file-{size} ---644 0 0 {}\n", path.display());
    }
    for number in 0..3000 {
        std::os::unix::fs::symlink("../../etc/shadow", source.join(format!("a/link-number-{number}"))).unwrap();
        description += &format!("link-number-{number} l--777 0 0 ../../etc/shadow\n");
    }
    std::os::unix::fs::symlink("x".repeat(600), source.join("a/far")).unwrap();
    description += &format!(
        "far l--777 0 0 {}\nb d--755 0 0\nc d--755 0 0\n$\n$\n$\n$\n",
        "x".repeat(600)
    );
    let proto = folder.path().join("proto");
    fs::write(&proto, description).unwrap();
    for options in ["-m crc=0", "-m crc=0 -n ftype=1", "-m crc=0 -n size=16384 -i size=512"] {
        let image = image(folder.path(), "image", 320 << 20);
        run_shell(&format!(
            "mkfs.xfs -q -f {options} -p '{}' '{}' 2>/dev/null",
            proto.display(),
            image.display()
        ));
        let (mut expected, mut found) = (expected(&source), found(&only_volume(&image).open().unwrap()));
        for known in expected.values_mut().chain(found.values_mut()) {
            known.modified = 0;
        }
        assert_same(expected, found, options);
    }
}

#[test]
fn ntfs() {
    let folder = tempfile::tempdir().unwrap();
    for options in ["", "-c 512", "-c 65536"] {
        let image = image(folder.path(), "image", 200 << 20);
        run_shell(&format!(
            "mkntfs -q -F -f {options} '{}' >/dev/null 2>&1",
            image.display()
        ));
        check_mounted(
            &image,
            "ntfs-3g -o noatime",
            Contents::Ntfs,
            Odd::Windows,
            if options.is_empty() { 10_000 } else { 500 },
        );
    }
}

#[test]
fn compressed_files_of_ntfs() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "image", 100 << 20);
    run_shell(&format!("mkntfs -q -F -f '{}' >/dev/null 2>&1", image.display()));
    let mut planted = Default::default();
    filled(&image, "ntfs-3g -o compression", |root| {
        let squeezed = root.join("squeezed");
        fs::create_dir(&squeezed).unwrap();
        run(
            "setfattr",
            &[&"-n", &"system.ntfs_attrib_be", &"-v", &"0x00000800", &squeezed],
        );
        let text = "all work and no play makes jack a dull boy\n".repeat(40_000);
        fs::write(squeezed.join("text"), &text).unwrap();
        fs::write(squeezed.join("noise"), Noise(3).bytes(500_000)).unwrap();
        fs::write(
            squeezed.join("both"),
            [Noise(3).bytes(100_000), text.into_bytes()[..300_001].to_vec()].concat(),
        )
        .unwrap();
        let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(squeezed.join("text")).unwrap());
        assert!(blocks * 512 < 1 << 20, "it is not compressed: {blocks} blocks");
        planted = expected(root);
    });
    let mut found = found(&only_volume(&image).open().unwrap());
    for known in planted.values_mut().chain(found.values_mut()) {
        known.mode = None;
    }
    assert_same(planted, found, "compressed");
}

#[test]
fn fat() {
    for (width, size, cluster) in [(12, 30 << 20, 16), (16, 100 << 20, 8), (32, 300 << 20, 8)] {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("source");
        fs::create_dir(&source).unwrap();
        // mtools takes minutes for thousands.
        plant(&source, Odd::Windows, 60);
        // mtools knows the letters of its code page only.
        fs::rename(source.join("ä€😀 name"), source.join("ä name")).unwrap();
        // Two seconds is the finest that it keeps.
        let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for path in expected(&source).keys() {
            let path = source.join(String::from_utf8(path.clone()).unwrap());
            fs::File::open(path).unwrap().set_modified(moment).unwrap();
        }
        let image = image(folder.path(), "image", size);
        run_shell(&format!(
            "mkfs.vfat -F {width} -s {cluster} -n NAMED '{}' >/dev/null",
            image.display()
        ));
        run_shell(&format!(
            "for one in '{1}'/*; do TZ=UTC LC_ALL=C.UTF-8 timeout 30 mcopy -s -m -D s -i '{0}' \"$one\" ::/ </dev/null; done",
            image.display(),
            source.display()
        ));
        let volume = only_volume(&image);
        assert_eq!(
            (volume.contents, volume.label.as_deref()),
            (Contents::Fat, Some("NAMED"))
        );
        let (mut expected, mut found) = (expected(&source), found(&volume.open().unwrap()));
        for known in expected.values_mut().chain(found.values_mut()) {
            known.mode = None;
            if known.kind == Kind::Folder {
                known.modified = 0;
            }
        }
        assert_same(expected, found, &format!("FAT{width}"));
    }
}

#[test]
fn a_folder_comes_in_pages_and_links_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source, Odd::Unix, 3000);
    let image = image(folder.path(), "image", 200 << 20);
    run(
        "mke2fs",
        &[&"-q", &"-t", &"ext4", &"-N", &"20000", &"-d", &source, &image],
    );
    let file_system = only_volume(&image).open().unwrap();

    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let page = file_system.entries(b"/many", from).unwrap();
        assert!(page.entries.len() <= PAGE_ENTRIES_MAX);
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 3000);

    let link = file_system.look(b"passwords").unwrap();
    assert_eq!(link.target.as_deref(), Some(b"../../etc/shadow".as_slice()));
    assert!(matches!(file_system.open(b"passwords"), Err(VolumeError::NotAFile)));
    assert!(matches!(file_system.look(b"up/source"), Err(VolumeError::NotAFolder)));
    assert!(matches!(
        file_system.entries(b"root", None),
        Err(VolumeError::NotAFolder)
    ));
    assert!(matches!(file_system.look(b"many/.."), Err(VolumeError::NotFound)));
    assert!(matches!(file_system.look(b"nothing"), Err(VolumeError::NotFound)));
    let sparse = file_system.open(b"sparse").unwrap();
    let mut buffer = [0; 9];
    assert_eq!(sparse.read_at((70 << 20) + 77, &mut buffer).unwrap(), 9);
    assert_eq!(&buffer, b"an island");
    assert_eq!(sparse.read_at(100 << 20, &mut buffer).unwrap(), 0);
    assert_eq!(sparse.read_at((100 << 20) - 4, &mut buffer).unwrap(), 4);
}

#[test]
fn what_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for (command, contents, says) in [
        ("mkfs.btrfs -q -L named", Contents::Btrfs, "btrfs is not read"),
        ("mkswap -L named", Contents::Swap, "swap"),
        ("mkfs.exfat -L named", Contents::Exfat, "exFAT is not read"),
        (
            "cryptsetup luksFormat -q --type luks2 --label named --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file <(echo secret)",
            Contents::Luks,
            "encrypted by LUKS",
        ),
        ("true", Contents::Unknown, "no file system that is known"),
    ] {
        let image = image(folder.path(), "image", 120 << 20);
        run_shell(&format!("{command} '{}' >/dev/null", image.display()));
        let volume = only_volume(&image);
        assert_eq!(volume.contents, contents);
        let error = volume.open().err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
        if !matches!(contents, Contents::Exfat | Contents::Unknown) {
            assert_eq!(volume.label.as_deref(), Some("named"));
        }
        fs::remove_file(image).unwrap();
    }
}
