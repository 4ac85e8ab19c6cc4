//! How hard to compress, as the commands that make recovery points are told.

use clap::Args;

/// The option `--compression`.
#[derive(Debug, Args)]
pub(crate) struct Compression {
    /// How hard to compress: -7 (fast) to 19 (small)
    #[arg(
        long,
        value_name = "LEVEL",
        allow_negative_numbers = true,
        env = "STRONGROOM_COMPRESSION"
    )]
    compression: Option<i32>,
}

impl Compression {
    /// The level that was asked for, else the one of the machine's settings.
    pub(crate) fn or(&self, settings: Option<i32>) -> Option<i32> {
        self.compression.or(settings)
    }
}
