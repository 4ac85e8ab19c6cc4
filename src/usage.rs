//! Wrong usage: refused in the manner of every other refusal, with clap's hints below.

use std::process::ExitCode;

/// How clap begins.
const THEIRS: &str = "error: ";
const OURS: &str = "strongroom: ";

/// Tells what is wrong, or what was asked for: `--help` and `--version` come this way too.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match text.strip_prefix(THEIRS) {
        Some(rest) => eprint!("{OURS}{rest}"),
        // Nobody listening is no failure.
        None => drop(error.print()),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
