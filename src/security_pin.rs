//! Where a security PIN comes from: a file or a prompt; never an argument, which others can see.

use std::path::Path;

use clap::Args;
use strongroom_api::Secret;

use crate::failure::Failure;
use crate::private_file;
use crate::terminal::Terminal;

/// How a command is told the PIN.
#[derive(Debug, Args)]
pub(crate) struct PinOption {
    /// A file whose first line is the security PIN
    ///
    /// Whoever manages the vault gets one with `strongroom vault pin`, and has five minutes. Without this a prompt asks.
    #[arg(long, value_name = "FILE")]
    pin_file: Option<std::path::PathBuf>,
}

impl PinOption {
    pub(crate) fn read(&self, terminal: &Terminal) -> Result<Secret, Failure> {
        let text = match &self.pin_file {
            Some(file) => first_line(file)?,
            None if terminal.can_ask() => Secret::new(rpassword::prompt_password("Security PIN: ")?),
            None => {
                return Err(Failure::new(
                    "a security PIN is needed, and nobody can be asked here: name a file with --pin-file FILE",
                ));
            }
        };
        let pin = text.reveal().trim();
        match pin.len() == 6 && pin.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Ok(Secret::new(pin)),
            false => Err(Failure::new(
                "a security PIN has six digits: whoever manages the vault gets one with `strongroom vault pin`",
            )),
        }
    }
}

fn first_line(file: &Path) -> Result<Secret, Failure> {
    let text = Secret::new(private_file::read(file)?);
    Ok(Secret::new(text.reveal().lines().next().unwrap_or_default()))
}
