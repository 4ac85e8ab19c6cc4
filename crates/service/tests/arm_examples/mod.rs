//! Azure's official examples of api-version 2024-04-01, replayed: every request is understood, and every answer is what
//! the specification says. What Strongroom has not is refused as the table of operations says, and what an example asks
//! for that cannot be is listed here with the reason.

mod arrange;
mod specification;

use arrange::{Stage, folded, json, places};
use serde_json::Value;
use specification::{examples, specification};
use strongroom_service::{AzureSupport, azure_operations};

/// Examples of served operations that are refused, with the status, the code and why.
const REFUSED: &[(&str, u16, &str, &str)] = &[
    (
        "ProtectionPolicies_CreateOrUpdate_Simple.json",
        400,
        POLICY,
        "keeps points for one day; seven is the least, and has been Azure's since",
    ),
    (
        "IaaS_v2_hourly.json",
        400,
        POLICY,
        "wants snapshots that are worse than they could be",
    ),
    (
        "IaaS_v2_daily.json",
        400,
        POLICY,
        "wants snapshots that are worse than they could be",
    ),
    (
        "ProtectionPolicies_CreateOrUpdate_Daily.json",
        400,
        POLICY,
        "is for file shares of storage accounts",
    ),
    (
        "ProtectionPolicies_CreateOrUpdate_Hourly.json",
        400,
        POLICY,
        "is for file shares of storage accounts",
    ),
    (
        "ProtectionPolicies_CreateOrUpdate_Hardened.json",
        400,
        POLICY,
        "is for file shares of storage accounts",
    ),
    (
        "PUTVault_WithRedundancySettings.json",
        400,
        CONTENT,
        "wants to restore from a second region",
    ),
    (
        "PATCHVault_WithRedundancySettings.json",
        400,
        CONTENT,
        "wants to restore from a second region",
    ),
    (
        "PUTVaultCred.json",
        400,
        "CertificateNotSupported",
        "Strongroom's agents register with a secret, not with a certificate",
    ),
];

/// Two examples have one name: the one for databases wants differential backups, which Strongroom has no need of.
const REFUSED_TITLES: &[&str] = &["Create or Update Full Azure Workload Protection Policy"];

const POLICY: &str = "BMSUserErrorInvalidPolicyInput";
const CONTENT: &str = "InvalidRequestContent";

#[test]
fn every_operation_of_the_specification_is_in_the_table() {
    let table: Vec<String> = (azure_operations().iter())
        .map(|operation| folded(&format!("{} {}", operation.method, operation.path)))
        .collect();
    let missing: Vec<String> = places().into_iter().filter(|place| !table.contains(place)).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// The validator is right: what Azure says of itself is what Azure says.
#[test]
fn the_examples_hold_by_themselves() {
    let specification = specification();
    let (mut bodies, mut faulty) = (0, Vec::new());
    for example in examples() {
        let operation = &specification.operations[&example.operation];
        for (status, response) in &example.responses {
            let schema = operation.responses.get(status).filter(|schema| !schema.is_null());
            if let (Some(schema), Some(body)) = (schema, response.get("body")) {
                bodies += 1;
                let faults = specification.faults(schema, body);
                faulty.extend(faults.first().map(|fault| format!("{}: {fault}", example.file)));
            }
        }
    }
    assert!(bodies > 100 && faulty.is_empty(), "{}", faulty.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_is_answered_as_specified() {
    let stage = Stage::new().await;
    let specification = specification();
    let table = azure_operations();
    let mut faults = Vec::new();
    for (number, example) in examples().iter().enumerate() {
        let operation = &specification.operations[&example.operation];
        let row = table
            .iter()
            .find(|row| folded(&format!("{} {}", row.method, row.path)) == folded(&example.operation));
        let row = row.unwrap_or_else(|| panic!("{} is not in the table", example.operation));
        let request = stage.arrange(number, example, operation).await;
        let reply = stage.call(&request.method, &request.path, &request.body).await;
        let told = format!("{} {} ({}): {}", row.name, example.file, example.title, reply.status);
        let body: Value = match reply.body.is_empty() {
            true => Value::Null,
            false => json(&reply),
        };
        let by_title = (!REFUSED_TITLES.contains(&example.title.as_str())).then_some(example.file.as_str());
        let refusal = match by_title {
            Some(name) => REFUSED.iter().find(|(file, ..)| *file == name),
            None => Some(&("", 400, POLICY, "")),
        };
        let expected_status = match (row.support, refusal) {
            (AzureSupport::Absent(_), _) => Some(501),
            (AzureSupport::Empty(_), None) if reply.status == 404 => Some(404),
            (_, Some((_, status, ..))) => Some(*status),
            _ => None,
        };
        if let Some(expected) = expected_status {
            let code = body["error"]["code"].as_str().unwrap_or_default();
            let right = refusal.is_none_or(|(_, _, expected, _)| *expected == code);
            if reply.status != expected || code.is_empty() || !right {
                faults.push(format!("{told} {body}, expected {expected}"));
            }
            continue;
        }
        match operation.responses.get(&reply.status.to_string()) {
            None => faults.push(format!("{told}: no such status there. {body} to {}", request.body)),
            Some(Value::Null) if !body.is_null() => faults.push(format!("{told}: there should be no body: {body}")),
            Some(Value::Null) => {}
            Some(schema) => {
                let found = specification.faults(schema, &body);
                faults.extend(found.into_iter().map(|fault| format!("{told}: {fault}")));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
