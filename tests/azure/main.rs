//! Azure's real clients against a running service: `az` and the Python SDK, as `scripts/azure-clients` installs them.
//!
//! Not among the tests that run by default, as they need 800 MB from the network once: `cargo test --test azure`.

mod az;
#[path = "../common/mod.rs"]
mod common;

use std::fs;

use az::Az;
use common::world::World;
use serde_json::Value;

/// The names in a list.
fn names(list: &Value) -> Vec<&str> {
    let members = list.as_array().expect("a list").iter();
    members.map(|member| member["name"].as_str().unwrap()).collect()
}

#[test]
fn a_wrong_password_is_refused_in_words() {
    let world = World::new();
    let az = Az::new(&world);
    let login = az.run(&["login", "-u", "admin", "-p", "wrong", "--tenant", &az.tenant()]);
    login.refused("The user name or the password is wrong");
    az.run(&["backup", "vault", "list"]).refused("az login");
}

#[test]
fn vaults_are_made_shown_changed_and_deleted() {
    let world = World::new();
    let az = Az::signed_in(&world);
    let group = az.run(&["group", "create", "-n", "rg1", "-l", "westeurope"]).done();
    assert_eq!(group["properties"]["provisioningState"], "Succeeded");
    assert!(names(&az.run(&["group", "list"]).done()).contains(&"rg1"));

    let vault = ["-g", "rg1", "-n", "vault1"];
    let made = az.backup(&[&["vault", "create", "-l", "westeurope"], &vault[..]].concat());
    assert_eq!(
        (&made["name"], &made["location"]),
        (&"vault1".into(), &"westeurope".into())
    );
    // The one that the command line made is there too, in the group that is always there.
    assert_eq!(names(&az.backup(&["vault", "list"])), ["main", "vault1"]);
    assert_eq!(names(&az.backup(&["vault", "list", "-g", "default"])), ["main"]);
    let shown = az.backup(&[&["vault", "show"], &vault[..]].concat());
    assert_eq!(shown["properties"]["provisioningState"], "Succeeded");

    let properties = az.backup(&[&["vault", "backup-properties", "show"], &vault[..]].concat());
    assert_eq!(properties[0]["properties"]["storageType"], "LocallyRedundant");
    assert_eq!(properties[1]["properties"]["softDeleteFeatureState"], "AlwaysON");
    let set = ["vault", "backup-properties", "set", "-g", "default", "-n", "main"];
    let changed = az.backup(&[&set[..], &["--soft-delete-feature-state", "Disable"]].concat());
    assert_eq!(changed["properties"]["softDeleteFeatureState"], "Disabled");
    let locked = az.backup(&[&["vault", "update", "--immutability-state", "Unlocked"], &vault[..]].concat());
    let security = &locked["properties"]["securitySettings"];
    assert_eq!(security["immutabilitySettings"]["state"], "Unlocked");

    az.backup(&[&["vault", "delete", "--yes"], &vault[..]].concat());
    assert_eq!(names(&az.backup(&["vault", "list"])), ["main"]);
    az.run(&[&["backup", "vault", "show"], &vault[..]].concat())
        .refused("ResourceNotFound");
    az.run(&["group", "delete", "-n", "rg1", "--yes"]).done();
}

#[test]
fn policies_are_listed_made_changed_and_deleted() {
    let world = World::new();
    let az = Az::signed_in(&world);
    let of = ["-g", "default", "-v", "main"];
    let policy = |arguments: &[&str]| az.backup(&[&["policy"], arguments, &of[..]].concat());
    assert_eq!(
        names(&policy(&["list"])),
        [
            "DefaultFilesPolicy",
            "DefaultPolicy",
            "EnhancedPolicy",
            "HourlyLogBackup"
        ]
    );
    assert_eq!(
        names(&policy(&["list", "--backup-management-type", "AzureWorkload"])),
        ["HourlyLogBackup"]
    );
    let mut default = policy(&["get-default-for-vm"]);
    assert_eq!(default, policy(&["show", "-n", "DefaultPolicy"]));

    // What az prints is what it takes.
    default["properties"]["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"] = 90.into();
    let file = world.path("policy.json");
    fs::write(&file, default.to_string()).unwrap();
    let file = format!("@{}", file.display());
    let made = policy(&[
        "create",
        "-n",
        "ninety-days",
        "--policy",
        &file,
        "--backup-management-type",
        "AzureIaasVM",
    ]);
    assert_eq!(
        made["properties"]["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"],
        90
    );
    let set = policy(&["set", "-n", "ninety-days", "--policy", &file]);
    assert_eq!(set["properties"], made["properties"]);
    let items = policy(&[
        "list-associated-items",
        "-n",
        "ninety-days",
        "--backup-management-type",
        "AzureIaasVM",
    ]);
    assert_eq!(names(&items), [""; 0]);
    policy(&["delete", "-n", "ninety-days"]);
    let show = ["backup", "policy", "show", "-n", "ninety-days"];
    az.run(&[&show[..], &of[..]].concat())
        .refused("BMSUserErrorPolicyNotFound");

    let short = file.replace("policy.json", "short.json");
    default["properties"]["retentionPolicy"]["dailySchedule"]["retentionDuration"]["count"] = 1.into();
    fs::write(short.trim_start_matches('@'), default.to_string()).unwrap();
    let set = ["backup", "policy", "set", "-n", "DefaultPolicy", "--policy", &short];
    az.run(&[&set[..], &of[..]].concat()).refused("7 to 9999 days");
}

#[test]
fn machines_their_items_and_jobs_are_seen() {
    let world = World::new();
    let machine = world.machine("server1.lab");
    let source = world.folder("source");
    fs::write(source.join("file"), "contents").unwrap();
    machine.back_up(&source);
    let az = Az::signed_in(&world);
    let of = ["-g", "default", "-v", "main"];
    let backup = |arguments: &[&str]| az.backup(&[arguments, &of[..]].concat());

    let mab = ["--backup-management-type", "MAB"];
    let containers = backup(&[&["container", "list"], &mab[..]].concat());
    assert_eq!(names(&containers), ["Windows;server1.lab"]);
    let shown = backup(&[&["container", "show", "-n", "server1.lab"], &mab[..]].concat());
    assert_eq!(shown["properties"]["friendlyName"], "server1.lab");
    assert_eq!(
        names(&backup(&[
            "container",
            "list",
            "--backup-management-type",
            "AzureIaasVM"
        ])),
        [""; 0]
    );

    let items = backup(&["item", "list"]);
    assert_eq!(names(&items), ["FileFolder;server1.lab"]);
    assert_eq!(items[0]["properties"]["protectionState"], "NotProtected");
    assert_eq!(
        names(&backup(&[&["item", "list"], &mab[..]].concat())),
        ["FileFolder;server1.lab"]
    );
    let table = az.run(&[&["backup", "item", "list", "-o", "table"], &of[..]].concat());
    assert!(table.ok && table.stdout.contains("server1.lab"), "{}", table.stderr);

    assert_eq!(
        names(&backup(&["protectable-item", "list", "--workload-type", "MSSQL"])),
        [""; 0]
    );
    let filters = [
        "--status",
        "Completed",
        "--start-date",
        "01-11-2026",
        "--end-date",
        "21-11-2026",
    ];
    backup(&[&["job", "list", "--operation", "Backup"], &filters[..]].concat());

    // What Strongroom has not is told as what is not there, in a sentence.
    let show = ["backup", "protection", "check-vm", "--vm", "vm1", "-g", "default"];
    az.run(&show).refused("ResourceNotFound");
    let delete = ["backup", "vault", "delete", "-g", "default", "-n", "main", "--yes"];
    az.run(&delete).refused("ServiceResourceNotEmptyWithBackendMessage");
}

/// The whole life of an item, by the SDK, as `az` has no commands for such items.
#[test]
fn the_python_sdk_protects_backs_up_stops_and_brings_back() {
    let world = World::new();
    let machine = world.machine("server1");
    let source = world.folder("source");
    fs::write(source.join("file"), "contents").unwrap();
    machine.back_up(&source);
    let az = Az::signed_in(&world);
    let account = az.run(&["account", "show"]).done();
    let token = az.run(&["account", "get-access-token"]).done();
    let arguments = [&account["id"], &token["accessToken"]].map(|value| value.as_str().unwrap());
    let told = az.sdk("sdk.py", &arguments);
    assert!(told.ok, "{}\n{}", told.stdout, told.stderr);
}
