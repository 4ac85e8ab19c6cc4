use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use strongroom_volumes::{Contents, logical_volumes, volumes};

use crate::world::{Odd, assert_same, disk, expected, found, image, plant, run, run_shell};

/// A disk of a group, as a device for as long as it is needed.
struct Loop {
    device: String,
    image: PathBuf,
}

impl Loop {
    fn new(image: PathBuf) -> Self {
        let device = run("losetup", &[&"--find", &"--show", &image]).trim().to_owned();
        Self { device, image }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("losetup", &[&"--detach", &self.device]);
    }
}

/// LVM that sees these disks only, and asks neither udev nor the device mapper for anything.
fn lvm(disks: &[Loop], command: &str) -> String {
    let devices: Vec<_> = disks.iter().map(|one| one.device.as_str()).collect();
    run_shell(&format!(
        "exec 2>&1; lvm {command} --driverloaded n --devices {} --config 'activation {{ udev_sync=0 udev_rules=0 monitoring=0 }} backup {{ backup=0 archive=0 }}'",
        devices.join(",")
    ))
}

/// Puts an image to where LVM says that the pieces of a logical volume are.
fn fill(disks: &[Loop], name: &str, image: &Path) {
    let contents = fs::read(image).unwrap();
    let told = lvm(
        disks,
        &format!(
            "lvs --noheadings --segments --nosuffix --units b --separator '|' -o seg_start,seg_size,seg_pe_ranges,vg_extent_size group/{name}"
        ),
    );
    let start_of_data = lvm(disks, "pvs --noheadings --nosuffix --units b -o pe_start");
    let start_of_data: usize = start_of_data.lines().find_map(|line| line.trim().parse().ok()).unwrap();
    assert_eq!(start_of_data, 64 << 10);
    for line in told.lines().filter(|line| line.contains('|')) {
        let fields: Vec<_> = line.trim().split('|').collect();
        let number = |index: usize| fields[index].parse::<usize>().unwrap();
        let (device, range) = fields[2].split_once(':').unwrap();
        let first: usize = range.split('-').next().unwrap().parse().unwrap();
        let disk = disks.iter().find(|one| one.device == device).unwrap();
        let file = fs::File::options().write(true).open(&disk.image).unwrap();
        let piece = &contents[number(0)..number(0) + number(1)];
        file.write_all_at(piece, (start_of_data + first * number(3)) as u64)
            .unwrap();
    }
}

#[test]
fn linear_volumes_over_two_disks() {
    let folder = tempfile::tempdir().unwrap();
    let disks = ["one", "two"].map(|name| Loop::new(image(folder.path(), name, 160 << 20)));
    for one in &disks {
        lvm(
            &disks,
            &format!("pvcreate --yes --metadatasize 32k --dataalignment 64k {}", one.device),
        );
    }
    lvm(
        &disks,
        &format!("vgcreate group {} {}", disks[0].device, disks[1].device),
    );
    let quiet = "--yes --activate n --zero n --wipesignatures n";
    lvm(
        &disks,
        &format!("lvcreate {quiet} -n first -L 80M group {}", disks[0].device),
    );
    lvm(
        &disks,
        &format!("lvcreate {quiet} -n files -L 40M group {}", disks[0].device),
    );
    lvm(&disks, &format!("lvextend -L 120M group/files {}", disks[1].device));
    lvm(&disks, &format!("lvcreate {quiet} -n 'striped-one' -i 2 -L 16M group"));
    // Descriptions are a ring, of less than 64 KiB here: many changes bring it round its end.
    for turn in 0..40 {
        lvm(&disks, &format!("vgchange --addtag turn{turn} group"));
        let members: Vec<_> = disks
            .iter()
            .flat_map(|one| volumes(&disk(&one.image)).unwrap())
            .collect();
        assert_eq!(logical_volumes(&members).len(), 3, "turn {turn}");
    }
    let source = folder.path().join("source");
    fs::create_dir(&source).unwrap();
    plant(&source, Odd::Unix, 1000);
    let file_system = image(folder.path(), "file system", 120 << 20);
    run(
        "mke2fs",
        &[&"-q", &"-t", &"ext4", &"-N", &"20000", &"-d", &source, &file_system],
    );
    fill(&disks, "files", &file_system);

    let members: Vec<_> = disks
        .iter()
        .flat_map(|one| volumes(&disk(&one.image)).unwrap())
        .collect();
    assert!(
        members.iter().all(|one| one.contents == Contents::LvmMember),
        "{members:?}"
    );
    let logical = logical_volumes(&members);
    let names: Vec<_> = logical
        .iter()
        .map(|one| (one.group.as_str(), one.name.as_str()))
        .collect();
    assert_eq!(
        names,
        [("group", "first"), ("group", "files"), ("group", "striped-one")]
    );
    let volume = logical[1].volume.as_ref().unwrap();
    assert_eq!((volume.contents, volume.size), (Contents::Ext, 120 << 20));
    assert_same(expected(&source), found(&volume.open().unwrap()), "over two disks");
    assert!(
        logical[2]
            .volume
            .as_ref()
            .unwrap_err()
            .contains("striped over several disks")
    );

    let alone = logical_volumes(&members[..1]);
    assert_eq!(alone[0].volume.as_ref().unwrap().size, 80 << 20);
    let missing = alone[1].volume.as_ref().unwrap_err();
    assert!(missing.contains("is not among these disks"), "{missing}");
}
