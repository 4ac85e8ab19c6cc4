//! Names and ids as they come from command lines, URLs and stored objects: refused, or back in the one form they have.
#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use strongroom_model::{BlobId, MachineName, PointId, Region, VaultName};

fuzz_target!(|text: &str| {
    returns::<VaultName>(text);
    returns::<MachineName>(text);
    returns::<Region>(text);
    returns::<BlobId>(text);
    returns::<PointId>(text);
});

fn returns<T: FromStr<Err: Display> + Display + PartialEq>(text: &str) {
    match text.parse::<T>() {
        Ok(value) => {
            let again = value.to_string().parse::<T>();
            assert!(again.is_ok_and(|again| again == value));
        }
        Err(error) => assert!(error.to_string().len() < 1000, "a message quotes no more than a line"),
    }
}
