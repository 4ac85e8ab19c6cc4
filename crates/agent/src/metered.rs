//! Whether the line is paid for by the byte, by what NetworkManager says of the primary connection.

use std::process::{Command, Stdio};

use serde::Deserialize;

/// Asks for the property `Metered` of `org.freedesktop.NetworkManager`, and starts nothing that does not run. `busctl` comes with systemd.
const QUESTION: [&str; 9] = [
    "--system",
    "--auto-start=no",
    "--timeout=2",
    "--json=short",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
];

/// What `busctl --json` prints of a property.
#[derive(Deserialize)]
struct Property {
    data: u32,
}

/// Whether this machine's connection is metered just now. A machine of which nothing is said has one that is not. Waits for
/// the answer, for two seconds at most.
pub fn is_metered() -> bool {
    let mut asking = Command::new("busctl");
    asking.args(QUESTION).stdin(Stdio::null()).stderr(Stdio::null());
    asking.output().is_ok_and(|answer| says_metered(&answer.stdout))
}

/// NetworkManager's `NMMetered`: 1 is yes and 3 is a guess at yes, as with a telephone's hot spot; 0 is unknown, 2 no, 4 a guess at no.
fn says_metered(answer: &[u8]) -> bool {
    serde_json::from_slice(answer).is_ok_and(|Property { data }| data == 1 || data == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_tell() {
        for (answer, expected) in [
            (r#"{"type":"u","data":0}"#, false),
            (r#"{"type":"u","data":1}"#, true),
            (r#"{"type":"u","data":2}"#, false),
            (r#"{"type":"u","data":3}"#, true),
            (r#"{"type":"u","data":4}"#, false),
            ("", false),
            ("Failed to get property", false),
        ] {
            assert_eq!(says_metered(answer.as_bytes()), expected, "{answer}");
        }
    }
}
