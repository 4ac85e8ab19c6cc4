//! Waiting for a service that is away: said once, and ended by Ctrl-C.

use std::future::pending;

use strongroom_agent::AgentError;
use strongroom_api::Client;
use tokio::sync::watch::Receiver;

use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::Terminal;

/// The service that a command may have to wait for.
pub(crate) struct Waiting {
    client: Client,
    absence: Receiver<Option<String>>,
}

impl Waiting {
    /// From now on.
    pub(crate) fn for_service_of(client: &Client) -> Self {
        let (client, absence) = (client.clone(), client.absence());
        Self { client, absence }
    }

    /// Returns with a line for the user when the service turns out to be away.
    pub(crate) async fn notice(&mut self) -> String {
        while self.absence.changed().await.is_ok() {
            if let Some(why) = self.absence.borrow_and_update().as_deref() {
                let (url, minutes) = (self.client.url(), self.client.patience().as_secs().div_ceil(60));
                return format!(
                    "strongroom: the service at {url} does not answer ({why}); trying again for up to {minutes} minutes, \
                     Ctrl-C ends this"
                );
            }
        }
        pending().await
    }

    /// Waits no longer.
    pub(crate) fn give_up(&self) {
        self.client.give_up();
    }
}

/// Makes the calls with which a command begins. Ctrl-C and SIGTERM end them at once, as nothing is lost by that.
pub(crate) async fn first_calls<T>(
    client: &Client,
    terminal: &Terminal,
    calls: impl Future<Output = Result<T, AgentError>>,
) -> Result<T, Failure> {
    let mut waiting = Waiting::for_service_of(client);
    let interrupted = interrupt::requested();
    tokio::pin!(calls, interrupted);
    loop {
        tokio::select! {
            biased;
            result = &mut calls => return Ok(result?),
            () = &mut interrupted => return Err(Failure::new("interrupted before anything was done")),
            notice = waiting.notice() => {
                if !terminal.is_quiet() {
                    eprintln!("{notice}");
                }
            }
        }
    }
}
