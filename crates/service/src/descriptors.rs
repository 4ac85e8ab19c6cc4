//! How many connections the system lets the service have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the database, objects, logs and what else is open.
const OTHERS: u64 = 512;
/// The service wants no more connections than this: each costs memory.
const CONNECTIONS_MAX: u64 = 16_384;
/// Never fewer: a system that allows so little fails by itself, and says why.
const CONNECTIONS_MIN: u64 = 64;

/// Asks the system for as many descriptors as the connections need, as far as it allows that (`LimitNOFILE` of systemd,
/// `ulimit -Hn`). Returns how many connections may be open at once.
pub(crate) fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = CONNECTIONS_MAX + OTHERS;
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let now = limit.current.unwrap_or(most);
    let got = match now < most {
        true => raise(most, limit.maximum).unwrap_or(now),
        false => now,
    };
    bounded(got)
}

fn raise(to: u64, maximum: Option<u64>) -> Option<u64> {
    let limit = Rlimit {
        current: Some(to),
        maximum,
    };
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => Some(to),
        Err(error) => {
            tracing::warn!(%error, "the system gives no more file descriptors");
            None
        }
    }
}

fn bounded(descriptors: u64) -> usize {
    let connections = descriptors.saturating_sub(OTHERS);
    connections.clamp(CONNECTIONS_MIN, CONNECTIONS_MAX) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_room_for_files() {
        assert_eq!([100, 1024, 20_000, 1 << 30].map(bounded), [64, 512, 16_384, 16_384]);
    }
}
