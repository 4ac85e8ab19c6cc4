//! Which data folder and which database belong together.
//!
//! The database says which objects there are, and the data folder has them. A service that is started with the one and
//! without the other would accept backups that name objects of another folder, or begin anew beside a full one. So both
//! bear the same random text.

use strongroom_db::Db;

use crate::data_dir::DataDir;
use crate::password::random_bytes;
use crate::service::StartError;

const FILE: &str = "installation";
const SETTING: &str = "installation";

/// Sees that folder and database belong together; binds them if neither is bound yet. The database comes first: bound
/// alone, and without a vault (a deleted one counts until it is gone), it is free for any folder.
pub(crate) async fn check(folder: &DataDir, db: &Db) -> Result<(), StartError> {
    let in_folder = folder.read_text(FILE)?;
    let in_database = db.setting(SETTING).await?;
    match (in_folder, in_database) {
        (Some(folder), Some(database)) if folder.trim_end() == database => Ok(()),
        (None, None) => {
            let id = format!("{:032x}", u128::from_be_bytes(random_bytes()));
            db.set_setting(SETTING, &id).await?;
            Ok(folder.write(FILE, format!("{id}\n").as_bytes())?)
        }
        (None, Some(id)) if db.vaults().await?.is_empty() && db.deleted_vaults().await?.is_empty() => {
            Ok(folder.write(FILE, format!("{id}\n").as_bytes())?)
        }
        (Some(_), _) => Err(StartError::OtherDatabase {
            folder: folder.root().to_owned(),
        }),
        (None, Some(_)) => Err(StartError::OtherFolder {
            folder: folder.root().to_owned(),
        }),
    }
}
