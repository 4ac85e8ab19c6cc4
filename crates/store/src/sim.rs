//! A store in memory that fails, stops and forgets on command.
//!
//! A test makes one [`Steps`], hands it to a [`Sim`] and to its database, and runs its work once for every
//! step there is: `Fault::stop_at(1)`, `stop_at(2)`, … until [`Steps::taken`] says that the work got through
//! untouched. Then the machine is off; [`Sim::crash`] gives the disk that a restart finds, another one for
//! every seed, and the test checks what must hold. The same loop with [`Fault::once`] and
//! [`Fault::always_from`] tries errors instead of crashes.
//!
//! What a `Sim` does is what [`Store`] allows and no more, so a red run is a bug of its user:
//!
//! - a put or delete that the crash cut, or that answered `Io`, happened or did not; also in another order
//!   than they were called in, since each object is decided on its own;
//! - what had answered `Ok` is there;
//! - a torn write is seen under no name. [`Sim::crash_lying`] breaks these promises, as a broken disk does,
//!   to prove that readers notice.
//!
//! Everything random comes from the seeds that are given: print them.

mod damage;
mod objects;
mod order;
mod rng;
mod steps;

use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::yield_now;

use self::objects::Objects;
pub use self::order::{Disorder, Event, Fact, check_order};
pub use self::rng::Rng;
pub use self::steps::{Failure, Fault, Steps, Stop, What};
use crate::error::READ;
use crate::key::folder_of_prefix;
use crate::{Key, Listed, Store, StoreError};

/// The simulated store. A handle: clones are the same store.
#[derive(Clone, Debug)]
pub struct Sim {
    steps: Steps,
    disk: Arc<Mutex<SimDisk>>,
}

#[derive(Debug)]
struct SimDisk {
    objects: Objects,
    /// What a crash left under temporary names: never listed, never read.
    leftovers: Vec<Bytes>,
    /// Decides whether a change that answered `Io` happened.
    rng: Rng,
}

/// A change of an object: its new bytes, or `None` when it is deleted.
type Value = Option<Bytes>;

impl Sim {
    /// An empty store. `seed` decides what becomes of changes that answer `Io`.
    pub fn new(seed: u64, steps: Steps) -> Sim {
        Sim::with(Objects::default(), Vec::new(), seed, steps)
    }

    /// A store with `objects` in it; that they are there is the first that `steps` learns.
    fn with(objects: Objects, leftovers: Vec<Bytes>, seed: u64, steps: Steps) -> Sim {
        for (key, _) in objects.seen() {
            steps.starts(Fact::Object(key.clone()));
        }
        let rng = Rng::new(seed);
        let disk = SimDisk {
            objects,
            leftovers,
            rng,
        };
        Sim {
            steps,
            disk: Arc::new(Mutex::new(disk)),
        }
    }

    /// The steps that this store takes.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The store that a restart finds, in a new world with new `steps`. Each object is what had last become
    /// durable, or any of what was under way then. This store is off from now on, if it was not yet, and
    /// stays as it is: one crash can be tried with many seeds.
    pub fn crash(&self, seed: u64, steps: Steps) -> Sim {
        self.steps.stop();
        let mut rng = Rng::new(seed);
        let (objects, leftovers) = self.disk().objects.survivors(&mut rng);
        Sim::with(objects, leftovers, rng.next_u64(), steps)
    }

    /// Like [`crash`](Sim::crash), of a disk that lied about its syncs: objects, acknowledged ones too, are
    /// gone, cut short under their final names, or zeros at their ends. Also answers which, in order; with
    /// no bad luck it is none.
    pub fn crash_lying(&self, seed: u64, steps: Steps) -> (Sim, Vec<Key>) {
        self.steps.stop();
        let mut rng = Rng::new(seed);
        let (mut objects, leftovers) = self.disk().objects.survivors(&mut rng);
        let hurt = objects.hurt(&mut rng);
        (Sim::with(objects, leftovers, rng.next_u64(), steps), hurt)
    }

    /// What lies under temporary names: beginnings of objects that were being put at the crash.
    pub fn leftovers(&self) -> Vec<Bytes> {
        self.disk().leftovers.clone()
    }

    fn disk(&self) -> MutexGuard<'_, SimDisk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts or deletes. Between its beginning, the moment others see it, and the moment it is durable other
    /// tasks may run, and the machine may stop.
    async fn change(&self, key: &Key, what: What, value: Value) -> Result<(), StoreError> {
        let action = if value.is_some() { "write" } else { "delete" };
        if let Err(stop) = self.steps.step(what) {
            self.cut(key, stop, value);
            return Err(stopped(key, action, stop));
        }
        yield_now().await;
        let change = self.disk().objects.begin(key, value);
        yield_now().await;
        // Under the lock that a crash needs too: what is acknowledged is in its image.
        let mut disk = self.disk();
        if self.steps.is_stopped() {
            return Err(StoreError::Crashed);
        }
        disk.objects.finish(key, change);
        Ok(())
    }

    /// A change that did not get through: it may have happened all the same.
    fn cut(&self, key: &Key, stop: Stop, value: Value) {
        let mut disk = self.disk();
        let happens = match stop {
            // Which, the crash decides.
            Stop::Cut => true,
            Stop::Fails(Failure::Io) => disk.rng.one_in(2),
            Stop::Fails(Failure::NoSpace) | Stop::Off => false,
        };
        if happens {
            disk.objects.begin(key, value);
        }
    }

    /// The object as a reader sees it now.
    fn read(&self, key: &Key, what: What) -> Result<Bytes, StoreError> {
        (self.steps.step(what)).map_err(|stop| stopped(key, READ, stop))?;
        let found = self.disk().objects.get(key);
        found.ok_or_else(|| StoreError::NotFound { key: key.clone() })
    }
}

fn stopped(key: &Key, action: &'static str, stop: Stop) -> StoreError {
    match stop {
        Stop::Cut | Stop::Off => StoreError::Crashed,
        Stop::Fails(failure) => StoreError::from_io(key, action, failure.cause()),
    }
}

fn cut_out(key: &Key, bytes: &Bytes, range: Range<u64>) -> Result<Bytes, StoreError> {
    let size = bytes.len() as u64;
    if range.start > range.end || range.end > size {
        let key = key.clone();
        return Err(StoreError::Truncated { key, range, size });
    }
    Ok(bytes.slice(range.start as usize..range.end as usize))
}

#[async_trait]
impl Store for Sim {
    async fn put(&self, key: &Key, bytes: Bytes) -> Result<(), StoreError> {
        if self.disk().objects.clashes(key) {
            let cause = io::ErrorKind::NotADirectory.into();
            return Err(StoreError::from_io(key, "write", cause));
        }
        let put = self.change(key, What::Put(key.clone()), Some(bytes));
        put.await?;
        self.steps.starts(Fact::Object(key.clone()));
        Ok(())
    }

    async fn get(&self, key: &Key) -> Result<Bytes, StoreError> {
        self.read(key, What::Get(key.clone()))
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.read(key, What::Get(key.clone()))?;
        cut_out(key, &bytes, range)
    }

    async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, StoreError> {
        let bytes = self.read(key, What::Get(key.clone()))?;
        let cut = |range: &Range<u64>| cut_out(key, &bytes, range.clone());
        ranges.iter().map(cut).collect()
    }

    async fn size(&self, key: &Key) -> Result<u64, StoreError> {
        let bytes = self.read(key, What::Size(key.clone()))?;
        Ok(bytes.len() as u64)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, StoreError> {
        let folder = folder_of_prefix(prefix).map_err(StoreError::Prefix)?;
        if let Err(stop) = self.steps.step(What::List(prefix.to_owned())) {
            return Err(match stop {
                Stop::Cut | Stop::Off => StoreError::Crashed,
                Stop::Fails(failure) => StoreError::List {
                    prefix: prefix.to_owned(),
                    cause: failure.cause(),
                },
            });
        }
        Ok(self.disk().objects.list(folder))
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        // From its beginning nobody may count on the object any more.
        self.steps.ends(Fact::Object(key.clone()));
        self.change(key, What::Delete(key.clone()), None).await
    }
}
