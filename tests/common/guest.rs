//! A test that runs in a virtual machine, with Debian's own kernel: for what the tester's kernel may lack.

use std::env;
use std::process::Command;

/// Says to the test program that it runs there.
const INSIDE: &str = "STRONGROOM_TEST_INSIDE";

/// Runs the body of the test with this name in a virtual machine that has empty disks of these sizes (`/dev/vda` and so on). It
/// sees all files as they are here; what it writes is gone afterwards.
pub fn inside(test: &str, disks: &[&str], body: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        return body();
    }
    let mut guest = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/guest"));
    for disk in disks {
        guest.args(["--disk", disk]);
    }
    guest.args(["--timeout", "900", "--"]).arg(env::current_exe().unwrap());
    guest.args(["--exact", test, "--nocapture"]).env(INSIDE, "1");
    let ended = guest.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    println!("{said}{}", String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && said.contains("1 passed"), "{}", ended.status);
}
