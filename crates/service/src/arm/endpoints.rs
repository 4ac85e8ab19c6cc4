//! Where things are: what `az cloud register` asks, and what an OAuth library asks before it signs in.

use serde_json::json;

use super::call::Call;
use super::error::{ArmError, ArmResult};
use super::reply::Reply;

/// `GET /metadata/endpoints`. Services that Strongroom has not are said to be here too: the clients want a word for each,
/// and whoever calls them is told that there is nothing.
pub(crate) fn metadata(call: &Call) -> ArmResult<Reply> {
    let base = &call.base;
    let host = base.trim_start_matches("https://");
    Ok(Reply::ok(json!({
        "name": "Strongroom",
        "portal": base,
        "resourceManager": base,
        "authentication": {
            // In the manner of ADFS: such an endpoint asks nobody else whether it may be believed.
            "loginEndpoint": format!("{base}/adfs"),
            "audiences": [base],
            "tenant": call.tenancy.tenant.to_string(),
            "identityProvider": "ADFS",
        },
        "graph": base,
        "graphAudience": base,
        "microsoftGraphResourceId": base,
        "gallery": base,
        "batch": base,
        "media": base,
        "sqlManagement": base,
        "activeDirectoryDataLake": base,
        "appInsightsResourceId": base,
        "logAnalyticsResourceId": base,
        "vmImageAliasDoc": format!("{base}/metadata/images"),
        "suffixes": {
            "storage": host,
            "keyVaultDns": host,
            "sqlServerHostname": host,
            "acrLoginServer": host,
        },
    })))
}

/// `GET /adfs/.well-known/openid-configuration`.
pub(crate) fn adfs(call: &Call) -> ArmResult<Reply> {
    let adfs = format!("{}/adfs", call.base);
    Ok(configuration(call, &adfs, &format!("{adfs}/oauth2")))
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration`, in the manner of Entra ID.
pub(crate) fn tenant(call: &Call) -> ArmResult<Reply> {
    let tenant = call.parameter("tenantId");
    check_tenant(call, tenant)?;
    let below = format!("{}/{}", call.base, call.tenancy.tenant);
    Ok(configuration(
        call,
        &format!("{below}/v2.0"),
        &format!("{below}/oauth2/v2.0"),
    ))
}

/// Refuses the names of other tenants.
pub(crate) fn check_tenant(call: &Call, tenant: &str) -> ArmResult<()> {
    let ours = call.tenancy.tenant.to_string();
    let known = [ours.as_str(), "common", "organizations", "adfs"];
    match known.iter().any(|name| name.eq_ignore_ascii_case(tenant)) {
        true => Ok(()),
        false => Err(ArmError::bad(
            "invalid_tenant",
            format!("Tenant '{tenant:.80}' not found: this one is {ours}."),
        )),
    }
}

fn configuration(call: &Call, issuer: &str, oauth: &str) -> Reply {
    Reply::ok(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{oauth}/authorize"),
        "token_endpoint": format!("{oauth}/token"),
        "device_authorization_endpoint": format!("{oauth}/devicecode"),
        "jwks_uri": format!("{oauth}/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "tenant_region_scope": null,
        "cloud_instance_name": call.base.trim_start_matches("https://"),
    }))
}
