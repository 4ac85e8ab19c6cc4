//! Notices that leaves are asked for one after the other, by several readers at once.

use std::collections::VecDeque;
use std::sync::Mutex;

/// No more leaves are fetched ahead: about half a MiB of ordinary ones.
const AHEAD_MAX: usize = 128;
/// So many readers are told apart.
const STREAMS_MAX: usize = 16;

/// Where readers are who go through the tree in path order.
#[derive(Debug, Default)]
pub struct Streams(Mutex<VecDeque<Stream>>);

#[derive(Debug)]
struct Stream {
    /// The number of the first name of the leaf that comes next.
    next: u64,
    ahead: usize,
}

impl Streams {
    /// How many leaves to fetch when that with the names from `first` on is not here: more each time that a reader goes on,
    /// and 1 for somebody who comes from elsewhere.
    pub fn window(&self, first: u64) -> usize {
        let mut streams = self.0.lock().expect("no thread panicked here");
        let known = streams.iter().position(|stream| stream.next == first);
        let known = known.and_then(|at| streams.remove(at));
        known.map_or(1, |stream| (stream.ahead * 4).min(AHEAD_MAX))
    }

    /// Remembers that leaves up to the name `next` were sent for, so many of them.
    pub fn went_on(&self, next: u64, ahead: usize) {
        let mut streams = self.0.lock().expect("no thread panicked here");
        streams.push_back(Stream { next, ahead });
        if streams.len() > STREAMS_MAX {
            streams.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_gets_more_each_time_and_others_do_not_disturb_him() {
        let streams = Streams::default();
        let mut windows = Vec::new();
        let mut first = 0;
        for elsewhere in 0..6 {
            let window = streams.window(first);
            first += window as u64 * 64;
            streams.went_on(first, window);
            windows.push(window);
            assert_eq!(streams.window(1_000_000 * elsewhere + 1), 1);
        }
        assert_eq!(windows, [1, 4, 16, 64, 128, 128]);
    }
}
