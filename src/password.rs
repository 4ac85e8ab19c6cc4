//! Where an administrator's password comes from: a file or a prompt; never an argument, which others can see.

use std::path::Path;

use strongroom_api::{NewPassword, Secret};

use crate::failure::Failure;
use crate::private_file;
use crate::terminal::Terminal;

/// Reads a password that is in use. `whose` completes the prompt `Password of …`.
pub(crate) fn read(file: Option<&Path>, whose: &str, terminal: &Terminal) -> Result<Secret, Failure> {
    match file {
        Some(file) => from_file(file),
        None if terminal.can_ask() => Ok(Secret::new(rpassword::prompt_password(format!(
            "Password of {whose}: "
        ))?)),
        None => Err(Failure::new(
            "nobody can be asked for the password here: name a file with --password-file",
        )),
    }
}

/// Reads a new password, from a prompt twice, so that a slip of the finger is noticed.
pub(crate) fn read_new(file: Option<&Path>, terminal: &Terminal) -> Result<NewPassword, Failure> {
    let password = match file {
        Some(file) => from_file(file)?,
        None if terminal.can_ask() => ask_twice()?,
        None => {
            return Err(Failure::new(
                "nobody can be asked for the new password here: name a file with --new-password-file",
            ));
        }
    };
    Ok(NewPassword::parse(password)?)
}

/// The secret in a file, without the end of its line.
pub(crate) fn from_file(file: &Path) -> Result<Secret, Failure> {
    let text = Secret::new(private_file::read(file)?);
    Ok(Secret::new(text.reveal().trim_end_matches(['\r', '\n'])))
}

fn ask_twice() -> Result<Secret, Failure> {
    let prompt = format!("New password (at least {} characters): ", NewPassword::CHARACTERS_MIN);
    let password = Secret::new(rpassword::prompt_password(prompt)?);
    match Secret::new(rpassword::prompt_password("Once more: ")?) == password {
        true => Ok(password),
        false => Err(Failure::new("the two passwords differ: try again")),
    }
}
