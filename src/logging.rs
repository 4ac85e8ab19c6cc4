//! Where log lines go: to the error output, for people or one JSON object a line.

use std::io::IsTerminal as _;

use strongroom_service::LogFormat;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Begins to log. `level` is a level or a filter such as `info,strongroom_vault=debug`.
pub(crate) fn start(level: &str, format: LogFormat) -> Result<(), Failure> {
    let filter =
        EnvFilter::try_new(level).map_err(|error| Failure::new(format!("\"{level}\" is not a log level: {error}")))?;
    let colours = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(colours)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
    Ok(())
}

/// The level that `-v`, `-vv` or `--quiet` mean for a command, where `usual` is its level without them.
pub(crate) fn level(quiet: bool, verbose: u8, usual: &'static str) -> &'static str {
    match (quiet, verbose) {
        (true, _) => "error",
        (false, 0) => usual,
        (false, 1) => "info,strongroom=debug,strongroom_service=debug,strongroom_vault=debug,strongroom_engine=debug",
        (false, _) => "debug",
    }
}
