//! Which vault a command means: the one that was named, or the only one there is.

use clap::Args;
use strongroom_api::Client;
use strongroom_model::VaultName;

use crate::failure::Failure;

/// The vault that a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhichVault {
    /// The vault [default: the only one there is]
    #[arg(long, value_name = "NAME", env = "STRONGROOM_VAULT")]
    vault: Option<VaultName>,
}

impl WhichVault {
    /// The vault that was named, or the only one that the caller sees.
    pub(crate) async fn name(&self, client: &Client) -> Result<VaultName, Failure> {
        if let Some(vault) = &self.vault {
            return Ok(vault.clone());
        }
        let vaults = client.vaults().await?.vaults;
        match &vaults[..] {
            [only] => Ok(only.name.clone()),
            [] => Err(Failure::new(
                "there is no vault: `strongroom vault create NAME` makes one",
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|vault| vault.name.as_str()).collect();
                let why = format!(
                    "there are several vaults: say which with --vault ({})",
                    names.join(", ")
                );
                Err(Failure::new(why))
            }
        }
    }
}
