//! The first administrator, and the file that has the password until another one is chosen.

use jiff::Timestamp;
use strongroom_api::Secret;
use strongroom_db::{AssignmentRow, Db, UserRow};
use strongroom_model::{AssignmentId, Role, Scope, UserId};

use crate::accounts::new_id;
use crate::data_dir::DataDir;
use crate::password::{PasswordHasher, random_password};
use crate::service::StartError;

pub(crate) const PASSWORD_FILE: &str = "admin-password";

const NAME: &str = "admin";

/// What a start found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstAdministrator {
    /// The account was made just now; its password is in the file.
    Made,
    /// The account is older, and its password is in the file.
    InFile,
    /// Only the administrator knows the password.
    Elsewhere,
}

impl FirstAdministrator {
    /// Makes the account if there is none yet. The password's file comes first: an account whose password nobody knows is
    /// of no use, while a password without account is replaced at the next start.
    pub(crate) async fn prepare(
        folder: &DataDir,
        db: &Db,
        passwords: &PasswordHasher,
        now: Timestamp,
    ) -> Result<Self, StartError> {
        if db.count_users().await? > 0 {
            adopt(db, now).await?;
            return Self::find(folder, db, passwords).await;
        }
        let password = random_password();
        folder.write(PASSWORD_FILE, format!("{}\n", password.reveal()).as_bytes())?;
        let hashed = passwords.hash(password).await;
        let user = UserRow {
            id: UserId::from_uuid(new_id(now)),
            name: NAME.to_owned(),
            email: String::new(),
            disabled: false,
            password_hash: hashed.expect("nobody else signs in before the start"),
            created: now,
        };
        if !db.insert_user(&user, Some(&ownership(user.id, now))).await? {
            // Another service on this database was faster: the password in our file opens nothing.
            folder.remove(PASSWORD_FILE);
            return Ok(Self::Elsewhere);
        }
        Ok(Self::Made)
    }

    async fn find(folder: &DataDir, db: &Db, passwords: &PasswordHasher) -> Result<Self, StartError> {
        let Some(text) = folder.read_text(PASSWORD_FILE)? else {
            return Ok(Self::Elsewhere);
        };
        let hash = db.user(NAME).await?.map(|user| user.password_hash);
        let checked = passwords.check(Secret::new(text.trim_end()), hash).await;
        if checked.expect("nobody else signs in before the start") {
            return Ok(Self::InFile);
        }
        tracing::warn!(
            file = %folder.path(PASSWORD_FILE).display(),
            "the file has a password that was changed since then: delete it"
        );
        Ok(Self::Elsewhere)
    }
}

/// Accounts that are older than roles could do everything: they stay what they were.
async fn adopt(db: &Db, now: Timestamp) -> Result<(), StartError> {
    for name in db.users_without_id().await? {
        let ownership = ownership(UserId::from_uuid(new_id(now)), now);
        if db.adopt_user(&name, &ownership).await? {
            tracing::info!(
                user = name,
                "a user of an earlier version is now Owner of the subscription"
            );
        }
    }
    Ok(())
}

fn ownership(user: UserId, now: Timestamp) -> AssignmentRow {
    AssignmentRow {
        id: AssignmentId::from_uuid(new_id(now)),
        principal: user.into(),
        role: Role::Owner,
        scope: Scope::Subscription,
        created: now,
        created_by: "the service".to_owned(),
    }
}

/// Whether the file is still there although this user has just chosen another password.
pub(crate) fn left_file(folder: &DataDir, user: &str) -> bool {
    user.eq_ignore_ascii_case(NAME) && matches!(folder.read(PASSWORD_FILE), Ok(Some(_)))
}
