//! Where things lie by default.

use std::path::PathBuf;

use crate::cli::Global;
use crate::failure::Failure;

/// The service's data folder when none is named.
pub(crate) fn default_data() -> Result<PathBuf, Failure> {
    match is_root() {
        true => Ok(PathBuf::from("/var/lib/strongroom-service")),
        false => in_home("XDG_DATA_HOME", ".local/share", "strongroom-service"),
    }
}

/// The folder with this machine's state.
pub(crate) fn state(global: &Global) -> Result<PathBuf, Failure> {
    match &global.state {
        Some(state) => Ok(state.clone()),
        None if is_root() => Ok(PathBuf::from("/var/lib/strongroom")),
        None => in_home("XDG_STATE_HOME", ".local/state", "strongroom"),
    }
}

/// The administrator's configuration folder.
pub(crate) fn configuration() -> Result<PathBuf, Failure> {
    match std::env::var_os("STRONGROOM_CONFIG") {
        Some(folder) if !folder.is_empty() => Ok(folder.into()),
        _ => in_home("XDG_CONFIG_HOME", ".config", "strongroom"),
    }
}

fn in_home(variable: &str, below_home: &str, name: &str) -> Result<PathBuf, Failure> {
    if let Some(folder) = std::env::var_os(variable).map(PathBuf::from)
        && folder.is_absolute()
    {
        return Ok(folder.join(name));
    }
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| Failure::new("your home folder is not known: set the variable HOME"))?;
    Ok(home.join(below_home).join(name))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
