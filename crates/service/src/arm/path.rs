//! Finding the operation of a path: fixed words in any case, percent signs decoded, doubled slashes taken as one.

use axum::http::Method;

use super::operations::{OPERATIONS, Operation};

/// The longest path that is looked at, in segments: the longest template has 16.
const SEGMENTS_MAX: usize = 32;

/// What a path and a method lead to.
#[derive(Debug)]
pub(crate) enum Found {
    /// This operation, with what stood in place of its parameters.
    Operation(&'static Operation, Parameters),
    /// There is one at the address, with other methods.
    OtherMethod,
    /// There is none at the address.
    Nothing,
}

/// What stood in place of a template's parameters, decoded, in the spelling of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// The value of a parameter; empty if the template has none of the name.
    pub(crate) fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// Finds the operation of a request.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let Some(segments) = segments(path) else {
        return Found::Nothing;
    };
    let mut there = false;
    let mut best: Option<(&'static Operation, Parameters)> = None;
    for operation in OPERATIONS.iter() {
        let Some(parameters) = matched(&operation.segments, &segments) else {
            continue;
        };
        there = true;
        // Where two match, the one with fewer parameters is meant.
        let better = |(_, known): &(_, Parameters)| parameters.0.len() < known.0.len();
        if operation.method == *method && best.as_ref().is_none_or(better) {
            best = Some((operation, parameters));
        }
    }
    match best {
        Some((operation, parameters)) => Found::Operation(operation, parameters),
        None if there => Found::OtherMethod,
        None => Found::Nothing,
    }
}

fn matched(template: &[&'static str], segments: &[String]) -> Option<Parameters> {
    if template.len() != segments.len() {
        return None;
    }
    let mut parameters = Vec::new();
    for (fixed, segment) in template.iter().zip(segments) {
        match fixed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => parameters.push((name, segment.clone())),
            None if fixed.eq_ignore_ascii_case(segment) => {}
            None => return None,
        }
    }
    Some(Parameters(parameters))
}

/// The decoded segments of a path; `None` if it can be no path of ours.
fn segments(path: &str) -> Option<Vec<String>> {
    let raw: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if raw.len() > SEGMENTS_MAX {
        return None;
    }
    raw.into_iter().map(decoded).collect()
}

/// A segment without percent signs. A slash or a control character in it can be no part of a name.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    let text = String::from_utf8(bytes).ok()?;
    let odd = text.contains(|c: char| c.is_control() || c == '/' || c == '\\');
    (!odd).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(method: &str, path: &str) -> String {
        match find(&method.parse().unwrap(), path) {
            Found::Operation(operation, _) => operation.name.to_owned(),
            Found::OtherMethod => "405".to_owned(),
            Found::Nothing => "404".to_owned(),
        }
    }

    #[test]
    fn paths_lead_to_operations() {
        const V: &str = "/Subscriptions/s/resourcegroups/rg1/providers/microsoft.recoveryservices/VAULTS/v1";
        for (method, path, expected) in [
            ("GET", "", "Vaults_Get"),
            ("GET", "/", "Vaults_Get"),
            ("DELETE", "", "Vaults_Delete"),
            ("POST", "", "405"),
            ("GET", "/nothing", "404"),
            ("GET", "//BackupJobs", "BackupJobs_List"),
            ("GET", "/backupJobs/7", "JobDetails_Get"),
            (
                "GET",
                "/backupJobs/operationResults/7",
                "ExportJobsOperationResults_Get",
            ),
            (
                "GET",
                "/backupJobs/operationResults/operationResults/7",
                "JobOperationResults_Get",
            ),
            ("GET", "/backupConfig/vaultConfig", "BackupResourceVaultConfigs_Get"),
            ("GET", "/a%2Fb", "404"),
            ("GET", "/%zz", "404"),
            ("GET", "/%ff", "404"),
        ] {
            assert_eq!(name(method, &format!("{V}{path}")), expected, "{method} {path}");
        }
        assert_eq!(name("GET", "/subscriptions"), "Subscriptions_List");
        assert_eq!(name("GET", &"/x".repeat(40)), "404");
    }

    #[test]
    fn names_with_semicolons_arrive_in_both_forms() {
        for container in [
            "IaasVMContainer;iaasvmcontainerv2;rg1;vm1",
            "IaasVMContainer%3Biaasvmcontainerv2%3Brg1%3bvm1",
        ] {
            let path = format!(
                "/subscriptions/s/resourceGroups/Rg1/providers/Microsoft.RecoveryServices/vaults/v/backupFabrics/Azure/\
                 protectionContainers/{container}/protectedItems/VM;x"
            );
            let Found::Operation(operation, parameters) = find(&Method::GET, &path) else {
                panic!("{path}");
            };
            assert_eq!(operation.name, "ProtectedItems_Get");
            assert_eq!(
                parameters.get("containerName"),
                "IaasVMContainer;iaasvmcontainerv2;rg1;vm1"
            );
            assert_eq!(parameters.get("resourceGroupName"), "Rg1");
            assert_eq!(parameters.get("operationId"), "");
        }
    }
}
