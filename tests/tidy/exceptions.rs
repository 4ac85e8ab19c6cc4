//! Who may break a rule, and why. These lists should only ever shrink.

use crate::report::{Exception, may};

pub const WALL_CLOCK: &[Exception] = &[
    may("src/clock.rs", "the one place where `Clock` is given the system's time"),
    may(
        "crates/api/examples/crowd.rs",
        "it plays machines and people, who have a clock of their own",
    ),
    may(
        "tests/bandwidth.rs",
        "puts a process to a moment that is seconds before the end of work hours",
    ),
    may(
        "tests/nodes.rs",
        "its services are processes: it plans backups for their next minute",
    ),
    may(
        "tests/scheduled.rs",
        "its service is a process: it plans a backup for its next minute",
    ),
    may(
        "tests/openapi/mod.rs",
        "its service is a process: a machine's assertion has to be of this moment",
    ),
];

/// Whole objects are kept by `store`; what is backed up is read and written by `sources`; the rest keeps the
/// state of one crate, or reads a file that the user named.
pub const FILE_SYSTEM: &[Exception] = &[
    may(
        "crates/agent/src/rescue.rs",
        "finds the one vault below the folder that the user named",
    ),
    may(
        "crates/agent/src/power.rs",
        "asks the kernel whether there is mains power",
    ),
    may(
        "crates/agent/src/disk_folder.rs",
        "looks at the folder on a disk that the user named: what is in it, and how much room there is",
    ),
    may(
        "crates/agent/src/host/mod.rs",
        "a folder for the sockets on which disks are shown",
    ),
    may(
        "crates/agent/src/host/form.rs",
        "pads a restored disk to a whole number of MiB",
    ),
    may(
        "crates/agent/src/host/restore.rs",
        "gives restored disks their form and their place",
    ),
    may(
        "crates/agent/src/host/disks.rs",
        "sees whether somebody writes to a disk that is being read",
    ),
    may("crates/agent/src/state.rs", "the state of a registered machine"),
    may(
        "crates/db/src/file.rs",
        "makes the database file, for its owner only, before SQLite opens it",
    ),
    may(
        "crates/engine/src/restore/archive/zip.rs",
        "collects the directory of an archive, which stands at its end",
    ),
    may(
        "crates/engine/src/restore/present.rs",
        "what an interrupted restore has written already",
    ),
    may(
        "crates/engine/src/scratch/last.rs",
        "scratch: the pages of the last recovery point",
    ),
    may("crates/engine/src/scratch/map.rs", "scratch: the map of fingerprints"),
    may("crates/engine/src/scratch/mod.rs", "scratch: the folder and its lock"),
    may(
        "crates/engine/src/scratch/place.rs",
        "scratch: where it may be, how much room it has, and its move",
    ),
    may("crates/engine/src/scratch/segment.rs", "scratch: one file of the map"),
    may("crates/hypervisor/src/off.rs", "tells a file from a block device"),
    may(
        "crates/hypervisor/src/description.rs",
        "reads what the host's administrator says of its virtual machines",
    ),
    may(
        "crates/hypervisor/src/snapshot/bitmaps.rs",
        "asks whether a disk is still the same file",
    ),
    may(
        "crates/hypervisor/src/snapshot/journal.rs",
        "state: what has to be undone after a crash",
    ),
    may(
        "crates/hypervisor/src/snapshot/layers.rs",
        "makes and removes the files that QEMU keeps a point in",
    ),
    may(
        "crates/hypervisor/src/snapshot/sockets.rs",
        "asks the kernel who is connected to QEMU",
    ),
    may(
        "crates/restic/src/blobs.rs",
        "a source: reads packs of a restic repository",
    ),
    may(
        "crates/restic/src/index.rs",
        "a source: where blobs lie, sorted in a file without a name",
    ),
    may(
        "crates/restic/src/node.rs",
        "a source: takes the numbers of devices apart, and opens nothing",
    ),
    may("crates/restic/src/pack.rs", "a source: the headers of packs"),
    may(
        "crates/restic/src/repository.rs",
        "a source: the small files of a restic repository",
    ),
    may(
        "crates/mount/src/mount_point.rs",
        "looks whether the folder that the user named is empty, and what is mounted there",
    ),
    may(
        "crates/service/src/data_dir.rs",
        "the service's own folder: keys, certificates, the first password",
    ),
    may(
        "crates/sources/src/files/accounts.rs",
        "reads the names of users and groups",
    ),
    may(
        "crates/sources/src/files/entered.rs",
        "a source: on which device something selected lies",
    ),
    may(
        "crates/sources/src/files/filesystem.rs",
        "a source: which file system a file is on",
    ),
    may("crates/sources/src/files/found.rs", "a source: opens what was found"),
    may(
        "crates/sources/src/files/fstab.rs",
        "a source: which volumes ought to be mounted",
    ),
    may(
        "crates/sources/src/files/level.rs",
        "a source: opens the directories that a walk is in",
    ),
    may("crates/sources/src/files/listing.rs", "a source: lists a directory"),
    may("crates/sources/src/files/meta.rs", "a source: what statx says"),
    may("crates/sources/src/files/mounts.rs", "a source: what is mounted where"),
    may(
        "crates/sources/src/files/reading.rs",
        "a source: reads contents and holes",
    ),
    may(
        "crates/sources/src/files/snapshot.rs",
        "a source: opens snapshots, and makes and removes them",
    ),
    may(
        "crates/sources/src/files/snapshot/logical_volume.rs",
        "a source: reads what the kernel says of a device",
    ),
    may(
        "crates/sources/src/files/snapshot/mounted.rs",
        "a source: opens file systems that are mounted out of sight",
    ),
    may(
        "crates/sources/src/files/snapshot/subvolume.rs",
        "a source: opens snapshots at the top of their file system",
    ),
    may(
        "crates/sources/src/files/target.rs",
        "a target: writes entries back below one directory",
    ),
    may(
        "crates/sources/src/files/target/attributes.rs",
        "a target: owners, modes, times",
    ),
    may(
        "crates/sources/src/files/target/branch.rs",
        "a target: the open directories above an entry",
    ),
    may(
        "crates/sources/src/files/target/folder.rs",
        "a target: makes and opens directories",
    ),
    may(
        "crates/sources/src/files/target/temporary.rs",
        "a target: names that are given when something is whole",
    ),
    may(
        "crates/sources/src/files/target/writer.rs",
        "a target: contents and holes",
    ),
    may(
        "crates/sources/src/files/volume.rs",
        "a source: of which kind a volume is",
    ),
    may("crates/sources/src/files/walk.rs", "a source: walks trees"),
    may("crates/sources/src/files/xattrs.rs", "a source: extended attributes"),
    may(
        "crates/sources/src/museum.rs",
        "builds the tree of everything odd, for tests and for trying out",
    ),
    may("crates/store/src/disk.rs", "a store: objects as files"),
    may("crates/store/src/disk/files.rs", "a store: one object"),
    may("crates/store/src/disk/folders.rs", "a store: folders that last"),
    may("crates/store/src/disk/listing.rs", "a store: lists objects"),
    may("crates/store/src/disk/syncs.rs", "a store: what has been synced"),
    may("crates/store/src/disk/temp.rs", "a store: temporary names"),
    may(
        "crates/volumes/src/disk.rs",
        "reads a disk that somebody else opened, and opens nothing",
    ),
    may(
        "src/commands/agent/mod.rs",
        "reads the credentials file that the user named",
    ),
    may(
        "src/commands/backup.rs",
        "reads the file of patterns that the user named",
    ),
    may(
        "src/commands/manual.rs",
        "writes manual pages into the folder that the user named",
    ),
    may(
        "src/commands/quickstart.rs",
        "its own temporary folder, and the first password of the service it started",
    ),
    may("src/policy_flags.rs", "reads the file of rules that the user named"),
    may("src/compare.rs", "quickstart compares what it restored with its source"),
    may("src/passphrase.rs", "reads the passphrase file that the user named"),
    may(
        "src/private_file.rs",
        "the administrator's session, and files that only their owner may read",
    ),
    may(
        "src/state_owner.rs",
        "asks whose the state folder is, before anything is opened",
    ),
];

pub const UNSAFE: &[Exception] = &[
    may(
        "crates/sources/src/files/snapshot/btrfs.rs",
        "asks btrfs for snapshots: no crate does that is kept well and needs no C",
    ),
    may(
        "crates/engine/src/scratch/segment.rs",
        "maps a file of the scratch folder, which is locked, into memory",
    ),
    may(
        "crates/engine/src/backup/give_way.rs",
        "sets the I/O priority of a thread, for which there is no other call",
    ),
    may(
        "crates/format/src/cutter.rs",
        "calls the AVX2 form of the cutter after asking the processor",
    ),
];

pub const IGNORED: &[Exception] = &[];

pub const PRINTING: &[Exception] = &[];

pub const LONG_FILES: &[Exception] = &[
    may("crates/engine/src/backup/scan.rs", "to be split"),
    may("crates/sources/tests/files.rs", "to be split by what is restored"),
];

pub const MACHINE_PATHS: &[Exception] = &[];
