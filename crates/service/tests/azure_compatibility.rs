//! docs/azure-compatibility.md is made from the table of operations. `UPDATE=1` writes it anew.

use std::fmt::Write as _;

use strongroom_service::{AzureOperation, AzureSupport, azure_operations};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/azure-compatibility.md");

const HEAD: &str = "\
# Compatibility with Azure's clients

Strongroom answers `az backup` and the Azure SDKs as Azure Resource Manager does. This page is made from the table by which
the service finds its way (`crates/service/src/arm/operations.rs`); a test compares them. How to sign in with `az`, and what
was tried with which version, is in [azure-clients.md](azure-clients.md).

Shapes are those of api-version 2024-04-01 of Microsoft.RecoveryServices. Any other version may be asked for; the answers are
the same. The official examples of that version are replayed against a running service (`crates/service/tests/arm_examples`).

What the words mean: **served** – with all that Strongroom has. **empty** – there is never such a thing here: lists are empty,
and single things are not found (404). **refused** – 501 `NotSupported`, with the reason. *P* is how much clients need an
operation: 1 is `az backup` and the first steps of the SDKs, 3 is rare.
";

fn document() -> String {
    let operations = azure_operations();
    let mut text = HEAD.to_owned();
    writeln!(
        text,
        "\n## In figures\n\n| P | served | empty | refused |\n| --- | --- | --- | --- |"
    )
    .unwrap();
    for priority in 1..=3 {
        let count = |wanted: fn(AzureSupport) -> bool| {
            let of_priority = operations.iter().filter(|one| one.priority == priority);
            of_priority.filter(|one| wanted(one.support)).count()
        };
        let (served, empty, refused) = (
            count(|support| support == AzureSupport::Served),
            count(|support| matches!(support, AzureSupport::Empty(_))),
            count(|support| matches!(support, AzureSupport::Absent(_))),
        );
        writeln!(text, "| {priority} | {served} | {empty} | {refused} |").unwrap();
    }
    writeln!(text, "\n## Operations\n\n`{{S}}` is `/subscriptions/{{subscriptionId}}`, `{{G}}` a resource group in it, `{{V}}` a vault in that, `{{F}}` its fabric, `{{C}}` a\ncontainer, `{{I}}` a protected item.\n").unwrap();
    writeln!(
        text,
        "| P | operation | method | path | state |\n| --- | --- | --- | --- | --- |"
    )
    .unwrap();
    for operation in &operations {
        writeln!(text, "{}", row(operation)).unwrap();
    }
    text
}

fn row(operation: &AzureOperation) -> String {
    let state = match operation.support {
        AzureSupport::Served => "served".to_owned(),
        AzureSupport::Empty(why) => format!("empty: {why}"),
        AzureSupport::Absent(why) => format!("refused: {why}"),
    };
    let AzureOperation {
        priority, name, method, ..
    } = operation;
    format!(
        "| {priority} | {name} | {method} | `{}` | {state} |",
        short(&operation.path)
    )
}

fn short(path: &str) -> String {
    let words = [
        ("/subscriptions/{subscriptionId}", "{S}"),
        ("{S}/resourceGroups/{resourceGroupName}", "{G}"),
        ("{G}/providers/Microsoft.RecoveryServices/vaults/{vaultName}", "{V}"),
        ("{V}/backupFabrics/{fabricName}", "{F}"),
        ("{F}/protectionContainers/{containerName}", "{C}"),
        ("{C}/protectedItems/{protectedItemName}", "{I}"),
    ];
    words
        .iter()
        .fold(path.to_owned(), |path, (long, short)| path.replace(long, short))
}

#[test]
fn the_document_is_of_the_table() {
    let expected = document();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCUMENT, &expected).unwrap();
    }
    let found = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(
        found == expected,
        "docs/azure-compatibility.md is not of the table: run this test with UPDATE=1"
    );
}
