//! The one subscription and its tenant, and which providers it knows.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_model::Permission;

use super::access;
use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::operations::OPERATIONS;
use super::reply::Reply;
use crate::vault_refusal::refuse;

/// The providers of which there is something here.
const PROVIDERS: [&str; 2] = ["Microsoft.RecoveryServices", "Microsoft.Resources"];

/// `GET /subscriptions`.
pub(crate) fn list(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(
        json!({ "value": [subscription(call)], "count": { "type": "Total", "value": 1 } }),
    ))
}

/// `GET /subscriptions/{subscriptionId}`.
pub(crate) fn get(call: &Call) -> ArmResult<Reply> {
    Ok(Reply::ok(subscription(call)))
}

fn subscription(call: &Call) -> Value {
    json!({
        "id": call.tenancy.id(),
        "subscriptionId": call.tenancy.subscription.to_string(),
        "tenantId": call.tenancy.tenant.to_string(),
        "displayName": call.shared.subscription.name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "subscriptionPolicies": { "locationPlacementId": "Internal", "quotaId": "Internal", "spendingLimit": "Off" },
        "managedByTenants": [],
    })
}

/// `GET /tenants`.
pub(crate) fn tenants(call: &Call) -> ArmResult<Reply> {
    let tenant = call.tenancy.tenant.to_string();
    Ok(Reply::ok(json!({
        "value": [{ "id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "Strongroom" }],
    })))
}

/// `GET /subscriptions/{subscriptionId}/locations`: the regions that vaults lie in, and the one that is always there.
pub(crate) async fn locations(call: &Call) -> ArmResult<Reply> {
    let vaults = call.shared.db.vaults().await.map_err(|error| refuse(error.into()))?;
    let roles = access::of(call);
    let mut regions: BTreeSet<String> = (vaults.iter())
        .filter(|vault| roles.permits_on(Permission::VaultsRead, vault))
        .map(|vault| vault.region.to_string())
        .collect();
    regions.insert(strongroom_model::Region::default().to_string());
    let location = |name: String| {
        json!({
            "id": format!("{}/locations/{name}", call.tenancy.id()),
            "name": name,
            "type": "Region",
            "displayName": name,
            "regionalDisplayName": name,
        })
    };
    let listed: Vec<Value> = regions.into_iter().map(location).collect();
    Ok(Reply::ok(json!({ "value": listed })))
}

/// `GET /subscriptions/{subscriptionId}/providers`.
pub(crate) fn providers(call: &Call) -> ArmResult<Reply> {
    let listed: Vec<Value> = PROVIDERS.iter().map(|name| provider(call, name)).collect();
    Ok(Reply::ok(json!({ "value": listed })))
}

/// `GET /subscriptions/{subscriptionId}/providers/{namespace}`, and the POST that registers it, which it is already.
pub(crate) fn provider_get(call: &Call) -> ArmResult<Reply> {
    let asked = call.parameter("namespace");
    let known = PROVIDERS.iter().find(|name| name.eq_ignore_ascii_case(asked));
    let known = known.ok_or_else(|| {
        ArmError::not_found(
            "InvalidResourceNamespace",
            format!(
                "The resource namespace '{asked:.120}' is invalid: Strongroom has {}.",
                PROVIDERS.join(" and ")
            ),
        )
    })?;
    Ok(Reply::ok(provider(call, known)))
}

fn provider(call: &Call, name: &str) -> Value {
    let kinds: &[&str] = match name {
        "Microsoft.RecoveryServices" => &["vaults"],
        _ => &["subscriptions", "subscriptions/resourceGroups"],
    };
    let kind = |kind: &&str| json!({ "resourceType": kind, "locations": [], "apiVersions": ["2024-04-01"] });
    json!({
        "id": format!("{}/providers/{name}", call.tenancy.id()),
        "namespace": name,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree",
        "resourceTypes": kinds.iter().map(kind).collect::<Vec<Value>>(),
    })
}

/// `GET /providers/Microsoft.RecoveryServices/operations`: the actions that roles can be asked for.
pub(crate) fn operations(_: &Call) -> ArmResult<Reply> {
    let known: BTreeSet<String> = (OPERATIONS.iter())
        .map(|operation| super::access::full_action(operation.action))
        .filter(|action| action.starts_with("Microsoft.RecoveryServices/") && action.matches('/').count() > 1)
        .collect();
    let listed = known.into_iter().map(|action| {
        let (resource, operation) = action.rsplit_once('/').unwrap_or((&action, ""));
        let resource = resource.trim_start_matches("Microsoft.RecoveryServices/");
        json!({
            "name": action,
            "origin": "user",
            "display": {
                "provider": "Microsoft Recovery Services",
                "resource": resource,
                "operation": operation,
                "description": format!("{operation} of {resource}"),
            },
        })
    });
    Ok(Reply::ok(json!({ "value": listed.collect::<Vec<Value>>() })))
}
