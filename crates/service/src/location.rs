//! Answers that say where something is found from now on.

use std::fmt::Display;

use axum::http::{HeaderName, header};
use strongroom_api::routes::RouteId;

/// An answer with the header `Location`.
pub(crate) type Located<T> = ([(HeaderName, String); 1], T);

/// Puts the path of a route into the header `Location`.
pub(crate) fn located<T>(route: RouteId, arguments: &[&(dyn Display + Sync)], answer: T) -> Located<T> {
    ([(header::LOCATION, route.path(arguments))], answer)
}
