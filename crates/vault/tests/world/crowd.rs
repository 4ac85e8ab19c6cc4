//! A store whose puts wait for each other, so that many are under way at once.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_store::sim::Sim;
use strongroom_store::{Key, Listed, Store, StoreError};
use tokio::task::yield_now;

/// How many wait for each other.
const CROWD: usize = 6;
/// How often one that waits in vain lets others run.
const PATIENCE: usize = 2_000;

pub struct Crowd {
    sim: Sim,
    waiting: AtomicUsize,
}

impl Crowd {
    pub fn of(sim: Sim) -> Self {
        let waiting = AtomicUsize::new(0);
        Self { sim, waiting }
    }
}

#[async_trait]
impl Store for Crowd {
    async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        for _ in 0..PATIENCE {
            if self.waiting.load(Ordering::SeqCst) >= CROWD {
                break;
            }
            yield_now().await;
        }
        let put = self.sim.put(key, bytes).await;
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        put
    }

    async fn get(&self, key: &Key) -> Result<Bytes, StoreError> {
        self.sim.get(key).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.sim.get_range(key, range).await
    }

    async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        self.sim.get_ranges(key, ranges).await
    }

    async fn size(&self, key: &Key) -> Result<u64, StoreError> {
        self.sim.size(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        self.sim.list(prefix).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.sim.delete(key).await
    }
}
