//! `strongroom openapi`: the native API, for programs that make clients of it.

use std::io::{self, Write as _};

use clap::Args;

use crate::failure::{Failure, Outcome};

/// Print the description of the service's native API, in OpenAPI 3.1
///
/// A service of this version serves the same at /api/openapi.json.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  strongroom openapi > strongroom.json")]
pub(crate) struct OpenApi {}

impl OpenApi {
    pub(crate) fn run(self) -> Result<Outcome, Failure> {
        io::stdout().write_all(strongroom_api::openapi().as_bytes())?;
        Ok(Outcome::Done)
    }
}
