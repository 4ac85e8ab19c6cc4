//! Typed identifiers: version-7 UUIDs, so that they sort by the time they were made.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a valid {noun} id: it must be a UUID such as 0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e")]
pub struct IdError {
    noun: &'static str,
    text: String,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name this kind of thing.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The 16 bytes in network order, as they lie in stored objects.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The UUID itself.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// The 16 bytes in network order.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let uuid = Uuid::try_parse(text).map_err(|_| IdError {
                    noun: $noun,
                    text: text.chars().take(64).collect(),
                })?;
                Ok(Self(uuid))
            }
        }
    };
}

typed_id!(/// Names a vault for ever, also after its name was given to another one.
    VaultId, "vault");
typed_id!(/// Names a registered machine, VM or server.
    ContainerId, "container");
typed_id!(/// Names a protected item: one thing under a policy.
    ItemId, "item");
typed_id!(/// Names a key set: one master key and whoever may use it.
    KeySetId, "key set");
typed_id!(/// Names a recovery point.
    PointId, "recovery point");
typed_id!(/// Names one backup session: a lease under which packs are taken in and a point is committed.
    SessionId, "session");
typed_id!(/// Names a job: one run of one operation on one item.
    JobId, "job");
typed_id!(/// Names the one subscription of a service.
    SubscriptionId, "subscription");
typed_id!(/// Names a user for ever.
    UserId, "user");
typed_id!(/// Names a service principal: what it signs in with as client id.
    ApplicationId, "application");
typed_id!(/// Names a user or a service principal, whichever it is.
    PrincipalId, "principal");
typed_id!(/// Names one secret or certificate of a service principal.
    KeyId, "key");
typed_id!(/// Names one assignment of a role.
    AssignmentId, "role assignment");
typed_id!(/// Names a request for approval.
    ApprovalId, "approval");
typed_id!(/// Names whom another provider vouches for.
    IdentityId, "identity");
typed_id!(/// Names an alert.
    AlertId, "alert");
typed_id!(/// Names one message about alerts, so that whoever gets it twice can tell.
    DeliveryId, "delivery");

impl From<UserId> for PrincipalId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}

impl From<ApplicationId> for PrincipalId {
    fn from(id: ApplicationId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_nonsense_with_a_sentence() {
        let text = "0199f3a0-7c1e-7b4a-9d2e-5f6a7b8c9d0e";
        let id: VaultId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(VaultId::from_bytes(*id.as_bytes()), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        let refused = "x".parse::<PointId>().unwrap_err().to_string();
        assert!(refused.contains("\"x\" is not a valid recovery point id"), "{refused}");
    }
}
