//! A machine that is unregistered and a vault that is deleted, on real processes: what they held comes back.

use serde_json::Value;

use crate::common::machine::{Machine, restored};
use crate::common::program::run;
use crate::common::random::Random;
use crate::common::tree::{self, Size, assert_same};
use crate::common::world::{PASSPHRASE, World};

const SIZE: Size = Size {
    small: 20,
    large: 1,
    large_bytes: 1 << 20,
};

fn names(list: &Value) -> Vec<&str> {
    let members = list.as_array().expect("a list").iter();
    members.map(|member| member["name"].as_str().unwrap()).collect()
}

#[test]
fn what_a_machine_left_in_a_deleted_vault_is_restored_by_the_next_of_its_name() {
    let (world, mut random) = (World::new(), Random::new());
    let source = world.path("source");
    tree::make(&source, &mut random, &SIZE);
    let first = world.machine("web-1");
    first.back_up(&source);
    let refused = world.admin(&["vault", "delete", "main"]);
    refused.refused(&["1 registered machines", "strongroom machine unregister"]);

    let machines = world.admin(&["machine", "list"]).done();
    assert_eq!(names(&machines["containers"]), ["web-1"]);
    let shown = world.admin(&["machine", "show", "WEB-1"]).done();
    assert_eq!(shown["id"], machines["containers"][0]["id"]);
    let left = world.admin(&["machine", "unregister", "web-1"]).done();
    assert_eq!(left["job"]["operation"], "UnRegister");
    world
        .admin(&["machine", "show", "web-1"])
        .refused(&["strongroom machine list"]);
    first.run(&["points"]).refused(&["strongroom agent register"]);
    run(first.backup_command(&source)).refused(&["strongroom agent register"]);

    let deleted = world.admin(&["vault", "delete", "main"]).done();
    assert_eq!(deleted["kept"]["name"], "main");
    assert!(names(&world.admin(&["vault", "list"]).done()["vaults"]).is_empty());
    let kept = world.admin(&["vault", "list", "--deleted"]).done();
    assert_eq!(names(&kept["vaults"]), ["main"]);
    world
        .admin(&["vault", "undelete", "mine"])
        .refused(&["mine", "--deleted"]);
    world.admin(&["vault", "create", "main"]).done();
    world
        .admin(&["vault", "undelete", "main"])
        .refused(&["main", "delete that one first"]);
    world.admin(&["vault", "delete", "main"]).done();
    world.admin(&["vault", "undelete", "MAIN"]).done();

    let second = Machine {
        name: "web-1".to_owned(),
        state: world.path("second.state"),
    };
    let passphrase = world.passphrase_file("second", PASSPHRASE);
    world.register(&second, &world.credentials(), &passphrase).done();
    let target = world.path("restored");
    let restore = || {
        let mut command = second.restore_command("latest", &target);
        command.args(["--machine", "web-1"]);
        run(command)
    };
    restore().refused(&["web-1"]);
    let item = left["item"]["id"].as_str().unwrap();
    world.admin(&["item", "undelete", item]).done();
    restore().done();
    assert_same(&source, &restored(&target, &source));
    // Both are there: the one that is registered, and what was left by the other.
    let items = world.admin(&["item", "list"]).done();
    assert_eq!(names(&items["items"]), ["web-1", "web-1"]);
    world.admin(&["item", "resume", item]).refused(&["register it again"]);
}
