//! The packages, as they are made and installed: in a root of their own, which is this machine's with a layer above it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::program::{Ended, run};
use crate::common::world::{PASSPHRASE, World};

/// This machine's root, in which whatever is changed is gone at the end.
struct Root {
    path: PathBuf,
    mounted: Vec<PathBuf>,
    _layer: TempDir,
}

impl Root {
    fn new() -> Self {
        let layer = TempDir::with_prefix("strongroom-root-").unwrap();
        let mut root = Self {
            path: layer.path().join("root"),
            mounted: Vec::new(),
            _layer: layer,
        };
        let layer = root._layer.path().to_owned();
        // On a file system of its own: a layer cannot lie in what it is above.
        root.mount(&["-t", "tmpfs", "tmpfs"], &layer);
        for folder in ["upper", "work", "root"] {
            fs::create_dir(layer.join(folder)).unwrap();
        }
        let options = format!("lowerdir=/,upperdir={0}/upper,workdir={0}/work", layer.display());
        root.mount(&["-t", "overlay", "-o", &options, "overlay"], &root.path.clone());
        root.mount(&["-t", "proc", "proc"], &root.path.join("proc"));
        root.mount(&["--bind", "/dev"], &root.path.join("dev"));
        root
    }

    fn mount(&mut self, arguments: &[&str], at: &Path) {
        let mut command = Command::new("mount");
        command.args(arguments).arg(at);
        run(command).with_status(0);
        self.mounted.push(at.to_owned());
    }

    /// Runs a program in it.
    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new("chroot");
        command
            .arg(&self.path)
            .args(arguments)
            .env("HOME", "/root")
            .env_remove("STRONGROOM_STATE");
        run(command)
    }

    /// Runs it as the agent's unit does: as its user, who may read what belongs to others, and nothing more.
    fn run_as_agent(&self, arguments: &[&str]) -> Ended {
        let as_agent = [
            "setpriv",
            "--reuid=strongroom",
            "--regid=strongroom",
            "--clear-groups",
            "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=-all,+dac_read_search",
            "--bounding-set=-all,+dac_read_search",
            "--no-new-privs",
            "strongroom",
            "--json",
            "--state",
            "/var/lib/strongroom",
        ];
        self.run(&[&as_agent[..], arguments].concat())
    }

    fn put(&self, file: &Path, at: &str) {
        fs::copy(file, self.at(at)).unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        for at in self.mounted.iter().rev() {
            let _ = Command::new("umount").arg("-l").arg(at).status();
        }
    }
}

/// The packages of the program that is tested: the .deb and the tarball.
fn build(folder: &Path) -> (PathBuf, PathBuf) {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/build"));
    command
        .arg(folder)
        .env("STRONGROOM", env!("CARGO_BIN_EXE_strongroom"))
        .env("COMPRESSION", "gzip");
    let built = run(command);
    built.with_status(0);
    let mut paths = built.stdout.lines().map(PathBuf::from);
    (paths.next().unwrap(), paths.next().unwrap())
}

#[test]
fn the_package_is_installed_upgraded_and_removed_and_no_data_goes() {
    let folder = TempDir::with_prefix("strongroom-test-").unwrap();
    let (deb, _) = build(folder.path());
    let root = Root::new();
    root.put(&deb, "/strongroom.deb");
    let installed = root.run(&["dpkg", "-i", "/strongroom.deb"]);
    installed.with_status(0);
    assert!(installed.stdout.contains("strongroom agent register"), "{installed}");
    root.run(&["dpkg", "--verify", "strongroom"]).done();
    root.run(&["getent", "passwd", "strongroom", "strongroom-service"])
        .with_status(0);
    root.run(&["strongroom", "--version"]).with_status(0);
    root.run(&["bash", "-n", "/usr/share/bash-completion/completions/strongroom"])
        .done();
    let page = root.run(&["zcat", "/usr/share/man/man1/strongroom-agent-run.1.gz"]);
    assert!(page.stdout.contains(".TH strongroom-agent-run"), "{page}");
    for (unit, exposure) in [("strongroom-agent.service", "25"), ("strongroom.service", "15")] {
        let path = format!("/usr/lib/systemd/system/{unit}");
        let verified = root.run(&["systemd-analyze", "verify", "--man=no", &path]);
        verified.with_status(0);
        assert!(!verified.stderr.contains("strongroom"), "{verified}");
        let threshold = format!("--threshold={exposure}");
        root.run(&[
            "systemd-analyze",
            "security",
            "--offline=true",
            "--no-pager",
            &threshold,
            &path,
        ])
        .with_status(0);
    }

    fs::create_dir_all(root.at("/var/lib/strongroom")).unwrap();
    fs::write(root.at("/var/lib/strongroom/master.key"), "precious").unwrap();
    fs::write(root.at("/etc/strongroom/service.toml"), "listen = \"127.0.0.1:9\"\n").unwrap();
    root.run(&["dpkg", "-i", "/strongroom.deb"]).with_status(0);
    let kept = fs::read_to_string(root.at("/etc/strongroom/service.toml")).unwrap();
    assert_eq!(kept, "listen = \"127.0.0.1:9\"\n");
    root.run(&["dpkg", "-r", "strongroom"]).with_status(0);
    assert!(!root.at("/usr/bin/strongroom").exists());
    let purged = root.run(&["dpkg", "-P", "strongroom"]);
    purged.with_status(0);
    assert!(
        purged.stderr.contains("left where it is: /var/lib/strongroom"),
        "{purged}"
    );
    assert_eq!(
        fs::read_to_string(root.at("/var/lib/strongroom/master.key")).unwrap(),
        "precious"
    );
    assert!(!root.at("/etc/strongroom/service.toml").exists());
}

#[test]
fn the_agents_user_reads_what_is_roots_and_root_may_help_out() {
    let world = World::new();
    let folder = world.folder("packages");
    let (deb, _) = build(&folder);
    let root = Root::new();
    root.put(&deb, "/strongroom.deb");
    root.run(&["dpkg", "-i", "/strongroom.deb"]).with_status(0);
    root.put(&world.credentials(), "/root/credentials");
    root.put(&world.passphrase_file("packaged", PASSPHRASE), "/root/passphrase");
    let register = [
        "strongroom",
        "agent",
        "register",
        "--name",
        "packaged",
        "--credentials",
        "/root/credentials",
        "--passphrase-file",
        "/root/passphrase",
    ];
    root.run(&register).with_status(0);
    fs::create_dir(root.at("/srv/source")).unwrap();
    let secret = root.at("/srv/source/secret");
    fs::write(&secret, "for root's eyes").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();

    let backup = ["backup", "/srv/source"];
    let point = root.run_as_agent(&backup).done()["point"].as_str().unwrap().to_owned();
    root.run(&["strongroom", "restore", &point, "--to", "/srv/restored"])
        .with_status(0);
    let restored = root.at("/srv/restored/srv/source/secret");
    assert_eq!(fs::read_to_string(&restored).unwrap(), "for root's eyes");
    let metadata = fs::metadata(&restored).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o777), (0, 0o600));

    // What root does in between leaves nothing that the agent's user cannot go on with.
    fs::write(&secret, "and again").unwrap();
    root.run(&["strongroom", "backup", "/srv/source"]).with_status(0);
    fs::write(&secret, "and once more").unwrap();
    assert_eq!(root.run_as_agent(&backup).done()["files_read"], 1);
    for entry in walk(&root.at("/var/lib/strongroom")) {
        assert_ne!(fs::symlink_metadata(&entry).unwrap().uid(), 0, "{}", entry.display());
    }
    // It may write nothing but its state.
    root.run_as_agent(&["restore", "latest", "--to", "/srv/by-agent"])
        .with_status(1);
}

#[test]
fn the_tarball_has_the_same_files_and_both_are_the_same_again() {
    let folder = TempDir::with_prefix("strongroom-test-").unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let (deb, tarball) = build(&first);
    let (deb_again, tarball_again) = build(&second);
    assert_eq!(fs::read(&deb).unwrap(), fs::read(deb_again).unwrap());
    assert_eq!(fs::read(&tarball).unwrap(), fs::read(tarball_again).unwrap());
    let list = |program: &str, arguments: &[&str], file: &Path| {
        let mut command = Command::new(program);
        command.args(arguments).arg(file);
        let listed = run(command);
        listed.with_status(0);
        let names = listed.stdout.lines().filter(|line| !line.ends_with('/'));
        let mut names: Vec<String> = names.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let mut in_deb = list("dpkg-deb", &["-c"], &deb);
    in_deb.retain(|name| name != "./usr/share/doc/strongroom/copyright");
    assert_eq!(list("tar", &["-tzf"], &tarball), in_deb);
    assert!(in_deb.contains(&"./usr/bin/strongroom".to_owned()), "{in_deb:?}");
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        if path.is_dir() {
            found.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}
