//! The table of operations, told to others: to the document that lists them and to the tests that cover them.

use super::access::full_action;
use super::operations::{OPERATIONS, State};

/// An operation of Azure's interface, and how far it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureOperation {
    /// Its operationId in Azure's specification.
    pub name: &'static str,
    /// The HTTP method.
    pub method: String,
    /// Its path, with parameters in braces.
    pub path: String,
    /// How much clients need it: 1 is `az backup` and the first steps of the SDKs, 3 is rare.
    pub priority: u8,
    /// How far it is served.
    pub support: AzureSupport,
    /// The action that a caller's roles are asked for.
    pub action: String,
}

/// How far an operation is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AzureSupport {
    /// With all that Strongroom has.
    Served,
    /// There is never such a thing here, for this reason: lists are empty, and single things are not found.
    Empty(&'static str),
    /// Refused, for this reason.
    Absent(&'static str),
}

/// All operations that the facade knows.
pub fn azure_operations() -> Vec<AzureOperation> {
    let told = OPERATIONS.iter().map(|operation| AzureOperation {
        name: operation.name,
        method: operation.method.to_string(),
        path: operation.path(),
        priority: operation.priority,
        support: match operation.state {
            State::Served => AzureSupport::Served,
            State::Empty(why) => AzureSupport::Empty(why),
            State::Absent(why) => AzureSupport::Absent(why),
        },
        action: match operation.action {
            "Public" | "SignedIn" => String::new(),
            action => full_action(action),
        },
    });
    told.collect()
}
