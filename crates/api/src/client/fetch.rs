//! The stream of blobs, which goes on by itself after the line was cut.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use strongroom_model::{BlobId, VaultName};

use super::call::Call;
use super::{Client, ClientError};
use crate::routes::RouteId;
use crate::{Frame, FrameParser, IDENTITIES_MAX, ids_to_body};

/// One thing that comes back from a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// A blob's stored bytes. Check that they have the identity: the vault may lie.
    Blob {
        /// Which blob.
        id: BlobId,
        /// Its stored bytes.
        bytes: Bytes,
    },
    /// A blob that the vault cannot give, and why.
    Damaged {
        /// Which blob.
        id: BlobId,
        /// Why, naming the pack.
        why: String,
    },
    /// A blob that the vault does not have, or not for this caller.
    NotFound {
        /// Which blob.
        id: BlobId,
    },
    /// Something is wrong with a pack although the wanted blobs in it are well.
    Remark {
        /// What, naming the pack.
        why: String,
    },
}

/// Blobs on their way. Every wanted blob comes exactly once, as [`Fetched::Blob`], `Damaged` or `NotFound`.
#[derive(Debug)]
pub struct FetchStream {
    client: Client,
    /// Where they are exported from; `None`: the calling machine's own vault.
    vault: Option<VaultName>,
    wanted: HashSet<BlobId>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    response: Response,
    parser: FrameParser,
    asked: HashSet<BlobId>,
}

impl FetchStream {
    pub(crate) fn new(client: Client, vault: Option<VaultName>, ids: Vec<BlobId>) -> Self {
        let wanted = ids.into_iter().collect();
        Self {
            client,
            vault,
            wanted,
            running: None,
        }
    }

    /// The blobs that have not come yet.
    pub fn remaining(&self) -> usize {
        self.wanted.len()
    }

    /// The next blob or remark; `None` when all have come. A line that was cut is taken up again, as far as the client's
    /// retry policy goes.
    ///
    /// # Errors
    /// When the service refuses, stays away, or sends what was not asked for.
    pub async fn next(&mut self) -> Result<Option<Fetched>, ClientError> {
        let mut attempts = self.client.attempts();
        loop {
            let error = match self.advance().await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => error,
            };
            self.running = None;
            let passing = matches!(error, ClientError::Interrupted { .. });
            if !passing || !attempts.again(&error, Duration::ZERO).await {
                return Err(error);
            }
        }
    }

    async fn advance(&mut self) -> Result<Option<Fetched>, ClientError> {
        loop {
            if self.wanted.is_empty() {
                self.running = None;
                return Ok(None);
            }
            let client = self.client.clone();
            let running = match &mut self.running {
                Some(running) => running,
                None => self
                    .running
                    .insert(ask(&client, self.vault.as_ref(), &self.wanted).await?),
            };
            match running.next_frame(&client).await? {
                Some(frame) => return self.accept(frame).map(Some),
                None => self.running = None,
            }
        }
    }

    fn accept(&mut self, frame: Frame) -> Result<Fetched, ClientError> {
        if let Frame::Remark { why, .. } = frame {
            return Ok(Fetched::Remark { why });
        }
        let id = frame.id();
        if !self.wanted.remove(&id) {
            let what = format!("blob {id} came without being asked for");
            return Err(ClientError::Protocol { what });
        }
        Ok(match frame {
            Frame::Found { bytes, .. } => Fetched::Blob { id, bytes },
            Frame::Damaged { why, .. } => Fetched::Damaged { id, why },
            Frame::NotFound { .. } => Fetched::NotFound { id },
            Frame::Remark { why, .. } => Fetched::Remark { why },
        })
    }
}

async fn ask(client: &Client, vault: Option<&VaultName>, wanted: &HashSet<BlobId>) -> Result<Running, ClientError> {
    let ids: Vec<BlobId> = wanted.iter().copied().take(IDENTITIES_MAX).collect();
    let call = match vault {
        Some(vault) => Call::new(RouteId::ExportBlobs, &[vault]),
        None => Call::new(RouteId::Fetch, &[]),
    };
    let response = client.send(&call.octets(ids_to_body(&ids).into()).repeatable()).await?;
    let (parser, asked) = (FrameParser::default(), ids.into_iter().collect());
    Ok(Running {
        response,
        parser,
        asked,
    })
}

impl Running {
    /// The next frame; `None` when this answer is complete.
    async fn next_frame(&mut self, client: &Client) -> Result<Option<Frame>, ClientError> {
        let crooked = |error: crate::FrameError| ClientError::Protocol {
            what: error.to_string(),
        };
        loop {
            if let Some(frame) = self.parser.next_frame().map_err(crooked)? {
                self.note(&frame);
                return Ok(Some(frame));
            }
            match client.piece(&mut self.response).await? {
                Some(piece) => self.parser.push(piece),
                None => return self.finish(client).map(|()| None),
            }
        }
    }

    fn note(&mut self, frame: &Frame) {
        if !matches!(frame, Frame::Remark { .. }) {
            self.asked.remove(&frame.id());
        }
    }

    /// An answer that ends too early was cut: by a service that stops, or something in front of it. What is left is asked
    /// for again.
    fn finish(&self, client: &Client) -> Result<(), ClientError> {
        let why = match (self.parser.finish(), self.asked.len()) {
            (Ok(()), 0) => return Ok(()),
            (Ok(()), left) => format!("{left} blobs were not answered for"),
            (Err(error), _) => error.to_string(),
        };
        let url = client.url().to_owned();
        Err(ClientError::Interrupted { url, why })
    }
}
