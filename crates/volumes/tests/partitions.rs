use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use strongroom_volumes::{Contents, Volume, volumes};

use crate::world::{disk, image, run_shell};

fn found(path: &Path) -> Vec<Volume> {
    volumes(&disk(path)).unwrap()
}

/// Number, place and size, as `sfdisk` says them.
fn told(path: &Path) -> Vec<(u32, u64, u64)> {
    let told = run_shell(&format!("sfdisk -d '{}' | grep start=", path.display()));
    let field = |line: &str, name: &str| {
        let rest = line.split_once(name).unwrap().1;
        rest.split(',').next().unwrap().trim().parse::<u64>().unwrap() * 512
    };
    let number = |line: &str| {
        line.split(' ')
            .next()
            .unwrap()
            .rsplit("image")
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let lines = told
        .lines()
        .filter(|line| !line.contains("type=5") && !line.contains("type=f"));
    lines
        .map(|line| (number(line), field(line, "start="), field(line, "size=")))
        .collect()
}

fn places(volumes: &[Volume]) -> Vec<(u32, u64, u64)> {
    volumes
        .iter()
        .map(|one| (one.number.unwrap(), one.offset, one.size))
        .collect()
}

fn gpt(folder: &Path) -> std::path::PathBuf {
    let image = image(folder, "image", 200 << 20);
    run_shell(&format!(
        "sgdisk -n 1:2048:+20M -c 1:first -t 1:ef00 -n 3:0:+50M -c 3:'root ä' -n 128:0:0 '{image}' >/dev/null
         mkfs.vfat --offset 2048 '{image}' 20480 >/dev/null 2>&1
         mke2fs -q -t ext4 -E offset=$((43008 * 512)) '{image}' 50M 2>/dev/null",
        image = image.display()
    ));
    image
}

#[test]
fn gpt_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    let image = gpt(folder.path());
    let volumes = found(&image);
    assert_eq!(places(&volumes), told(&image));
    assert_eq!(volumes[1].partition_label.as_deref(), Some("root ä"));
    assert_eq!(
        volumes[0].partition_type.as_deref(),
        Some("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
    );
    let contents: Vec<_> = volumes.iter().map(|one| one.contents).collect();
    assert_eq!(contents, [Contents::Fat, Contents::Ext, Contents::Unknown]);
    for volume in &volumes[..2] {
        volume.open().unwrap().entries(b"/", None).unwrap();
    }
}

#[test]
fn the_backup_of_a_damaged_gpt() {
    let folder = tempfile::tempdir().unwrap();
    let image = gpt(folder.path());
    let whole = places(&found(&image));
    let file = fs::File::options().write(true).open(&image).unwrap();
    file.write_all_at(b"oops", 512 + 72).unwrap();
    assert_eq!(places(&found(&image)), whole);
    // The table of the backup, too.
    file.write_all_at(b"oops", (200 << 20) - 33 * 512).unwrap();
    let volumes = found(&image);
    assert!(volumes[0].problem.as_ref().unwrap().contains("damaged"), "{volumes:?}");
}

#[test]
fn mbr_with_logical_partitions() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "image", 200 << 20);
    run_shell(&format!(
        "printf 'label: dos\n,20M,c\n,,E\n,30M,83\n,10M,82\n,20M,7\n' | sfdisk -q '{image}'
         start=$(sfdisk -d '{image}' | sed -n 's/.*image5 : start= *\\([0-9]*\\).*/\\1/p')
         mke2fs -q -t ext2 -E offset=$((start * 512)) '{image}' 30M 2>/dev/null",
        image = image.display()
    ));
    let volumes = found(&image);
    assert_eq!(places(&volumes), told(&image));
    let numbers: Vec<_> = volumes.iter().filter_map(|one| one.number).collect();
    assert_eq!(numbers, [1, 5, 6, 7]);
    assert_eq!(volumes[1].partition_type.as_deref(), Some("83"));
    volumes[1].open().unwrap().look(b"lost+found").unwrap();
}

#[test]
fn logical_partitions_that_go_round_end() {
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path(), "image", 10 << 20);
    let mut sector = [0; 512];
    let entry = |kind: u8, start: u32| {
        [
            &[0, 0, 0, 0, kind, 0, 0, 0],
            start.to_le_bytes().as_slice(),
            &[1, 0, 0, 0],
        ]
        .concat()
    };
    sector[446..462].copy_from_slice(&entry(5, 64));
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    let file = fs::File::options().write(true).open(&image).unwrap();
    file.write_all_at(&sector, 0).unwrap();
    // A data partition, and a next table, which is this one's successor, which names itself.
    sector[446..462].copy_from_slice(&entry(0x83, 1));
    sector[462..478].copy_from_slice(&entry(5, 1));
    file.write_all_at(&sector, 64 * 512).unwrap();
    file.write_all_at(&sector, 65 * 512).unwrap();
    assert_eq!(found(&image).len(), 256);
}

#[test]
fn a_disk_with_nothing_on_it() {
    let folder = tempfile::tempdir().unwrap();
    for size in [0, 1, 511, 512, 4096, 100_000] {
        let volumes = found(&image(folder.path(), "image", size));
        assert_eq!((volumes.len(), volumes[0].contents), (1, Contents::Unknown));
    }
}
