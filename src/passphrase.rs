//! Where a passphrase comes from: a file, the environment or a prompt; never an argument, which others can see.

use std::path::Path;

use strongroom_seal::Passphrase;

use crate::failure::Failure;
use crate::terminal::Terminal;

/// The environment variable that may hold it.
pub(crate) const VARIABLE: &str = "STRONGROOM_PASSPHRASE";
/// No passphrase file is longer.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Reads the passphrase. `twice` when it is a new one, so that a slip of the finger is noticed.
pub(crate) fn read(file: Option<&Path>, twice: bool, terminal: &Terminal) -> Result<Passphrase, Failure> {
    let text = match (file, std::env::var(VARIABLE)) {
        (Some(file), _) => return from_file(file),
        (None, Ok(text)) => text,
        (None, Err(_)) if terminal.can_ask() => ask(twice)?,
        (None, Err(_)) => {
            let why = format!("there is no passphrase: name a file with --passphrase-file FILE, or set {VARIABLE}");
            return Err(Failure::new(why));
        }
    };
    Ok(Passphrase::parse(text)?)
}

/// The first line of the file, without the end of the line.
pub(crate) fn from_file(file: &Path) -> Result<Passphrase, Failure> {
    let failed = |why: String| Failure::new(format!("cannot read the passphrase file {}: {why}", file.display()));
    let length = std::fs::metadata(file)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if length > FILE_BYTES_MAX {
        return Err(failed("it is too large to be one".to_owned()));
    }
    let text = std::fs::read_to_string(file).map_err(|error| failed(error.to_string()))?;
    Ok(Passphrase::parse(text.lines().next().unwrap_or_default().to_owned())?)
}

/// Asks for one that is in use.
pub(crate) fn ask_for_known(terminal: &Terminal) -> Result<Passphrase, Failure> {
    match terminal.can_ask() {
        true => Ok(Passphrase::parse(ask(false)?)?),
        false => Err(Failure::new(
            "nobody can be asked for a passphrase here: name a file with --passphrase-file FILE",
        )),
    }
}

fn ask(twice: bool) -> Result<String, Failure> {
    let text = rpassword::prompt_password("Passphrase (at least 16 characters): ")?;
    if twice && rpassword::prompt_password("Once more: ")? != text {
        return Err(Failure::new("the two passphrases differ: try again"));
    }
    Ok(text)
}
