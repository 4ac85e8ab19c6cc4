//! The first administrator, and the file that has the password until another one is chosen.

use jiff::Timestamp;
use strongroom_api::Secret;
use strongroom_db::{Db, UserRow};

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
            return Self::find(folder, db, passwords).await;
        }
        let password = random_password();
        folder.write(PASSWORD_FILE, format!("{}\n", password.reveal()).as_bytes())?;
        let user = UserRow {
            name: NAME.to_owned(),
            password_hash: passwords.hash(password).await,
            created: now,
        };
        if !db.insert_user(&user).await? {
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
        if passwords.check(Secret::new(text.trim_end()), hash).await {
            return Ok(Self::InFile);
        }
        tracing::warn!(
            file = %folder.path(PASSWORD_FILE).display(),
            "the file has a password that was changed since then: delete it"
        );
        Ok(Self::Elsewhere)
    }
}

/// Whether the file is still there although this user has just chosen another password.
pub(crate) fn left_file(folder: &DataDir, user: &str) -> bool {
    user.eq_ignore_ascii_case(NAME) && matches!(folder.read(PASSWORD_FILE), Ok(Some(_)))
}
