//! Azure's real clients against a running service: `az` and the Python SDK, as `scripts/azure-clients` installs them.
//!
//! They need 800 MB from the network, once. A group of their own in `./scripts/test`.

mod az;

use std::fs;
use std::path::Path;

use az::{Az, clients};
use serde_json::Value;

use crate::common::machine::Machine;
use crate::common::virtual_machine::Data;
use crate::common::world::World;
use crate::vms::{Host, assert_whole};

/// A machine with a recovery point.
fn backed_up(world: &World, name: &str) -> Machine {
    let machine = world.machine(name);
    let source = world.folder("source");
    fs::write(source.join("file"), "contents").unwrap();
    machine.back_up(&source);
    machine
}

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
fn a_person_signs_in_by_a_code_that_is_typed_elsewhere() {
    let world = World::new();
    let az = Az::new(&world);
    let login = az.sign_in_by_code("admin", &world.service.password_file).done();
    assert_eq!(login[0]["user"]["name"], "admin");
    assert_eq!(names(&az.backup(&["vault", "list"])), ["main"]);
}

#[test]
fn a_service_principal_signs_in_with_a_secret_or_a_certificate_and_may_what_its_role_allows() {
    let world = World::new();
    let az = Az::as_principal(&world, "reader", "Backup Reader", "vault/main");
    assert_eq!(names(&az.backup(&["vault", "list"])), ["main"]);
    assert_eq!(
        names(&az.backup(&["policy", "list", "-g", "default", "-v", "main"])).len(),
        4
    );
    let create = [
        "backup", "vault", "create", "-g", "default", "-n", "vault1", "-l", "local",
    ];
    az.run(&create).refused("AuthorizationFailed");
    let delete = ["backup", "vault", "delete", "-g", "default", "-n", "main", "--yes"];
    az.run(&delete).refused("AuthorizationFailed");

    let az = Az::as_principal(&world, "contributor", "Backup Contributor", "subscription");
    az.run(&create).done();
    az.run(&["backup", "vault", "delete", "-g", "default", "-n", "vault1", "--yes"])
        .refused("AuthorizationFailed");

    let az = Az::new(&world);
    let (id, _) = az.principal("certified", "Owner", "resource-group/default");
    let wrong = [
        "login",
        "--service-principal",
        "-u",
        &id,
        "-p",
        "wrong",
        "--tenant",
        &az.tenant(),
    ];
    az.run(&wrong).refused("its secret or certificate is wrong");
    let (key, certificate) = (world.path("key.pem"), world.path("certificate.pem"));
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "30",
            "-subj",
            "/CN=certified",
            "-keyout",
        ])
        .args([key.as_path(), std::path::Path::new("-out"), certificate.as_path()])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let add = [
        "principal",
        "add-certificate",
        "certified",
        "--certificate-file",
        certificate.to_str().unwrap(),
    ];
    world.admin(&add).done();
    let both = world.path("both.pem");
    fs::write(
        &both,
        [fs::read(&key).unwrap(), fs::read(&certificate).unwrap()].concat(),
    )
    .unwrap();
    let login = [
        "login",
        "--service-principal",
        "-u",
        &id,
        "--certificate",
        both.to_str().unwrap(),
        "--tenant",
        &az.tenant(),
    ];
    az.run(&login).done();
    az.run(&["backup", "vault", "delete", "-g", "default", "-n", "vault1", "--yes"])
        .done();
    assert_eq!(names(&az.backup(&["vault", "list"])), ["main"]);
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
    let (_machine, az) = (backed_up(&world, "server1.lab"), Az::signed_in(&world));
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

    world
        .admin(&["item", "protect", "server1.lab", "--policy", "DefaultFilesPolicy"])
        .done();
    world.admin(&["item", "backup", "server1.lab"]).done();
    let running = backup(&["job", "list", "--status", "InProgress"]);
    let job = running[0]["name"].as_str().unwrap();
    let shown = backup(&["job", "show", "-n", job]);
    assert_eq!(shown["properties"]["operation"], "Backup");
    assert_eq!(shown["properties"]["status"], "InProgress");
    backup(&["job", "stop", "-n", job]);
    let waited = backup(&["job", "wait", "-n", job, "--timeout", "60"]);
    assert_eq!(waited["properties"]["status"], "Cancelled");

    // What Strongroom has not is told as what is not there, in a sentence.
    let show = ["backup", "protection", "check-vm", "--vm", "vm1", "-g", "default"];
    az.run(&show).refused("ResourceNotFound");
    let delete = ["backup", "vault", "delete", "-g", "default", "-n", "main", "--yes"];
    az.run(&delete).refused("ServiceResourceNotEmptyWithBackendMessage");
    // Without the machine it goes, softly: what the machine left can be brought back.
    let machine = ["container", "unregister", "-c", "Windows;server1.lab", "--yes"];
    let unregister = [&["backup"], &machine[..], &mab[..], &of[..]].concat();
    az.run(&unregister).done();
    assert!(names(&backup(&[&["container", "list"], &mab[..]].concat())).is_empty());
    az.run(&delete).done();
    let kept = world.admin(&["vault", "list", "--deleted"]).done();
    assert_eq!(names(&kept["vaults"]), ["main"]);
}

/// The whole life of an item, by an SDK, as `az` has no commands for such items.
fn an_sdk_protects_backs_up_stops_and_brings_back(interpreter: &Path, program: &str) {
    let world = World::new();
    let (_machine, az) = (backed_up(&world, "server1"), Az::signed_in(&world));
    let told = az.sdk(interpreter, program);
    assert!(told.ok, "{}\n{}", told.stdout, told.stderr);
}

#[test]
fn the_python_sdk_does_all_of_it() {
    an_sdk_protects_backs_up_stops_and_brings_back(&clients().join("sdk/bin/python"), "sdk.py");
}

#[test]
fn the_javascript_sdk_does_all_of_it() {
    an_sdk_protects_backs_up_stops_and_brings_back(Path::new("node"), "sdk.mjs");
}

#[tokio::test]
async fn virtual_machines_are_protected_backed_up_and_let_go() {
    let host = Host::new();
    let az = Az::signed_in(&host.world);
    let vault = ["-g", "default", "-v", "main"];
    let of_vault = |command: &[&str]| az.backup(&[command, &vault[..]].concat());
    let of_item = |command: &[&str]| {
        let which = ["-c", "mail", "-i", "mail", "--backup-management-type", "AzureIaasVM"];
        of_vault(&[command, &which[..]].concat())
    };
    let mut guest = host.guest("mail", Data::Qcow2).await;
    guest.run("dd if=/dev/urandom of=/data/f1 bs=1M count=5; cd /data; sha256sum f1 >SUMS; sync");
    let _running = host.run_host();

    // az lists no virtual machines that could be protected, but asks for them when one is.
    let protectable = || {
        let subscription = az.run(&["account", "show"]).done()["id"].as_str().unwrap().to_owned();
        let path = format!(
            "{}/subscriptions/{subscription}/resourceGroups/default/providers/Microsoft.RecoveryServices/vaults/main/backupProtectableItems",
            host.world.service.url
        );
        let filter = "$filter=backupManagementType eq 'AzureIaasVM'";
        az.run(&[
            "rest",
            "--method",
            "get",
            "--url",
            &format!("{path}?api-version=2024-04-01&{filter}"),
        ])
        .done()["value"]
            .clone()
    };
    assert_eq!(protectable()[0]["properties"]["friendlyName"], "mail");
    let checked = az.run(&["backup", "protection", "check-vm", "--vm", "mail", "-g", "default"]);
    assert!(
        checked.ok && !checked.stdout.contains("main"),
        "{} {}",
        checked.stdout,
        checked.stderr
    );
    let enabled = of_vault(&["protection", "enable-for-vm", "--vm", "mail", "-p", "DefaultPolicy"]);
    assert_eq!(enabled["properties"]["operation"], "ConfigureBackup");
    let checked = az.run(&["backup", "protection", "check-vm", "--vm", "mail", "-g", "default"]);
    assert!(
        checked.stdout.contains("/vaults/main"),
        "{} {}",
        checked.stdout,
        checked.stderr
    );
    assert_eq!(protectable(), Value::Array(vec![]));
    let containers = of_vault(&["container", "list", "--backup-management-type", "AzureIaasVM"]);
    assert_eq!(names(&containers), ["IaasVMContainer;iaasvmcontainerv2;default;mail"]);
    let items = of_vault(&[
        "item",
        "list",
        "--backup-management-type",
        "AzureIaasVM",
        "--workload-type",
        "VM",
    ]);
    assert_eq!(items[0]["properties"]["protectionState"], "IRPending");

    let job = of_item(&["protection", "backup-now", "--retain-until", "30-12-2029"]);
    let name = job["name"].as_str().unwrap();
    az.run(&[&["backup", "job", "wait", "-n", name], &vault[..]].concat());
    let job = of_vault(&["job", "show", "-n", name]);
    assert_eq!(
        (&job["properties"]["status"], &job["properties"]["jobType"]),
        (&"Completed".into(), &"AzureIaaSVMJob".into()),
        "{job}"
    );
    let parts = job["properties"]["extendedInfo"]["tasksList"].as_array().unwrap();
    let parts: Vec<&Value> = parts.iter().map(|part| &part["taskId"]).collect();
    assert_eq!(parts, ["Take Snapshot", "Transfer data to vault"]);
    let points = of_item(&["recoverypoint", "list", "--workload-type", "VM"]);
    let properties = &points[0]["properties"];
    assert_eq!(
        (&properties["objectType"], &properties["recoveryPointType"]),
        (&"IaasVMRecoveryPoint".into(), &"FileSystemConsistent".into())
    );
    let name = points[0]["name"].as_str().unwrap();
    assert_eq!(
        of_item(&["recoverypoint", "show", "--workload-type", "VM", "-n", name])["name"],
        name
    );
    assert_whole(&host.restore("mail", name, "restored"));

    of_item(&["protection", "disable", "--yes"]);
    let item = of_vault(&[
        "item",
        "show",
        "-c",
        "mail",
        "-n",
        "mail",
        "--backup-management-type",
        "AzureIaasVM",
        "--workload-type",
        "VM",
    ]);
    assert_eq!(item["properties"]["protectionState"], "ProtectionStopped");
    let policy = ["--policy-name", "DefaultPolicy", "--workload-type", "VM"];
    of_item(&[&["protection", "resume"], &policy[..]].concat());
    of_item(&["protection", "disable", "--delete-backup-data", "true", "--yes"]);
    of_item(&["protection", "undelete", "--workload-type", "VM"]);
    assert_eq!(host.points("mail").len(), 1);
}
