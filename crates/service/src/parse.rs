//! Parameters of paths: parsed at the edge into ids and names.

use std::fmt::Display;
use std::str::FromStr;

use strongroom_api::Code;

use crate::refusal::{Answer, Refusal};

/// Parses a parameter; the refusal says what a right one looks like.
pub(crate) fn parse<T: FromStr<Err: Display>>(text: &str) -> Answer<T> {
    text.parse()
        .map_err(|error: T::Err| Refusal::new(Code::InvalidName, error.to_string()))
}
