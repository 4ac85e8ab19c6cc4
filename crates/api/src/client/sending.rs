//! The way of a request: its body goes in steps at the pace of the line, and somebody looks whether it moves.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::sync::watch;
use tokio::time::sleep;

use super::pace::{Pace, STEP_BYTES, Way};

/// A body that goes at the pace of the line. `moves` is told of each step that the connection takes, and goes with the last.
pub(crate) fn body(bytes: Bytes, pace: Arc<Pace>, moves: watch::Sender<()>) -> Body {
    let steps = stream::unfold((bytes, pace, moves), |(mut rest, pace, moves)| async move {
        if rest.is_empty() {
            return None;
        }
        let step = rest.split_to(rest.len().min(STEP_BYTES));
        pace.pass(Way::Up, step.len()).await;
        moves.send_replace(());
        Some((Ok::<_, Infallible>(step), (rest, pace, moves)))
    });
    Body::wrap_stream(steps)
}

/// Sends, as long as something moves: `silence` is how long the connection may take nothing, and `thinking` how long there
/// may be no answer after it took all. `None`: it was given up.
pub(crate) async fn while_it_moves<T>(
    sending: impl Future<Output = T>,
    mut moves: watch::Receiver<()>,
    silence: Duration,
    thinking: Duration,
) -> Option<T> {
    let mut sending = pin!(sending);
    let mut is_sent = false;
    loop {
        let patience = if is_sent { thinking } else { silence };
        tokio::select! {
            biased;
            done = &mut sending => return Some(done),
            moved = moves.changed(), if !is_sent => is_sent = moved.is_err(),
            () = sleep(patience) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn what_moves_is_not_given_up() {
        let (moves, moved) = watch::channel(());
        let sending = async move {
            for _ in 0..10 {
                sleep(SHORT / 2).await;
                moves.send_replace(());
            }
        };
        assert!(while_it_moves(sending, moved, 20 * SHORT, LONG).await.is_some());
    }

    #[tokio::test]
    async fn what_stands_still_is_given_up() {
        let never = std::future::pending::<()>;
        let (moves, moved) = watch::channel(());
        assert!(while_it_moves(never(), moved.clone(), SHORT, LONG).await.is_none());
        drop(moves);
        assert!(while_it_moves(never(), moved, LONG, SHORT).await.is_none());
    }
}
