//! The one subscription of the service: made at the first start.

use jiff::Timestamp;
use strongroom_db::{Db, DbError};
use strongroom_model::SubscriptionId;

use crate::accounts::new_id;

const ID: &str = "subscription.id";
const NAME: &str = "subscription.name";
const TENANT: &str = "tenant.id";

/// What everything lies in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) id: SubscriptionId,
    pub(crate) name: String,
    /// The directory of users and service principals, as Azure's clients call it.
    pub(crate) tenant: uuid::Uuid,
}

impl Subscription {
    /// The subscription that the database knows; made if it knows none.
    pub(crate) async fn prepare(db: &Db, now: Timestamp) -> Result<Self, DbError> {
        let id = db.setting_or(ID, &new_id(now).to_string()).await?;
        let tenant = db.setting_or(TENANT, &new_id(now).to_string()).await?;
        db.date_default_resource_group(now).await?;
        Ok(Self {
            id: id.parse().map_err(|_| DbError::Value(ID))?,
            name: db.setting_or(NAME, "Strongroom").await?,
            tenant: tenant.parse().map_err(|_| DbError::Value(TENANT))?,
        })
    }
}
