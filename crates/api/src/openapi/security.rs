//! Who may call, as OpenAPI says it.

use serde_json::{Value, json};
use strongroom_model::Permission;

/// The ways to be known to the service.
pub(super) fn schemes() -> Value {
    let token = "/api/v1/token";
    json!({
        "account": {
            "type": "oauth2",
            "description": "A user or a service principal (OAuth 2.0). Roles say what it may do and where, not scopes. \
                A program without a browser asks for a device code (RFC 8628) at /api/v1/device_authorization.",
            "flows": {
                "authorizationCode": {"authorizationUrl": "/authorize", "tokenUrl": token, "refreshUrl": token, "scopes": {}},
                "clientCredentials": {"tokenUrl": token, "scopes": {}},
                "password": {"tokenUrl": token, "refreshUrl": token, "scopes": {}},
            },
            "x-device-authorization": {
                "deviceAuthorizationUrl": "/api/v1/device_authorization", "tokenUrl": token, "scopes": {},
            },
        },
        "machine": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A registered machine: a token that it got at /api/v1/token for an assertion (RFC 7523), signed with \
                the Ed25519 key that it made when it registered.",
        },
        "credentials": {
            "type": "http",
            "scheme": "bearer",
            "description": "A vault credentials file: its `credential_id`, a dot, and its `secret`. Good for registering machines \
                for ten days, and for nothing else.",
        },
    })
}

/// What an operation asks of its caller: the requirement, and the same in words.
pub(super) fn needed(permission: Permission) -> (Value, String) {
    use Permission::{Backup, Link, MachineRegister, OwnAccount, PasswordChange, Public, RemoveOwn, Restore, Scrub};
    let by = |scheme: &str| json!([{scheme: []}]);
    match permission {
        Public => (json!([]), "Anybody may.".to_owned()),
        OwnAccount => (by("account"), "Everybody who is signed in may.".to_owned()),
        PasswordChange => (by("account"), "Every user may.".to_owned()),
        Backup | Restore | Scrub | Link | RemoveOwn => {
            (by("machine"), "Machines may, on what is their own.".to_owned())
        }
        MachineRegister => (by("credentials"), "Who has a vault credentials file may.".to_owned()),
        role => {
            let action = role.action().expect("what no role gives stands above");
            (by("account"), format!("Needs a role that allows `{action}` there."))
        }
    }
}
