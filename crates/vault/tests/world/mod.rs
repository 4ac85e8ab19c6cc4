//! A whole world in one process: a simulated store, a database file, a clock that stands still, and a small client that
//! makes objects with fake sealed parts (a vault never opens them).
#![allow(dead_code)]

pub mod check;
pub mod client;
mod crowd;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use strongroom_db::{Db, DbError, Moment};
use strongroom_model::{Clock, SimulatedTime};
use strongroom_store::Store;
use strongroom_store::sim::{Fact, Failure, Rng, Sim, Steps, Stop};
use strongroom_vault::{Entropy, Options, Vaults, pack_key, point_key};
use tempfile::TempDir;

/// The service and all that it stands on. It is stopped and started again; clients go on living.
pub struct World {
    pub vaults: Vaults,
    pub sim: Sim,
    pub steps: Steps,
    pub time: SimulatedTime,
    pub db: Db,
    clock: Clock,
    rng: Arc<Mutex<Rng>>,
    folder: TempDir,
    acting: Acting,
    tune: Tune,
}

/// Changes what a service is told at its start.
pub type Tune = fn(&mut Options);

/// What the client is having done just now, for the order watcher: the row that the next commit of the database makes.
pub type Acting = Arc<Mutex<Option<(&'static str, String)>>>;

const DB: &str = "meta.db";

impl World {
    /// A new world. Everything random in it comes from `seed`.
    pub async fn new(seed: u64, steps: Steps) -> World {
        let sim = Sim::new(seed, steps.clone());
        World::over(Arc::new(sim.clone()), sim, seed, steps, |_| ()).await
    }

    /// The same, with other options.
    pub async fn tuned(seed: u64, steps: Steps, tune: Tune) -> World {
        let sim = Sim::new(seed, steps.clone());
        World::over(Arc::new(sim.clone()), sim, seed, steps, tune).await
    }

    /// The same, where puts wait for each other, so that a crash finds many under way.
    pub async fn crowded(seed: u64, steps: Steps) -> World {
        let sim = Sim::new(seed, steps.clone());
        World::over(Arc::new(crowd::Crowd::of(sim.clone())), sim, seed, steps, |_| ()).await
    }

    async fn over(store: Arc<dyn Store>, sim: Sim, seed: u64, steps: Steps, tune: Tune) -> World {
        let start: Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
        let time = Clock::simulated(start);
        let rng = Arc::new(Mutex::new(Rng::new(seed)));
        World::start(folder(), store, sim, steps, time, rng, tune).await
    }

    async fn start(
        folder: TempDir,
        store: Arc<dyn Store>,
        sim: Sim,
        steps: Steps,
        (clock, time): (Clock, SimulatedTime),
        rng: Arc<Mutex<Rng>>,
        tune: Tune,
    ) -> World {
        let acting = Acting::default();
        let db = Db::open_file(&folder.path().join(DB)).await.unwrap();
        let plain = db.clone();
        let db = db.with_steps(watch(steps.clone(), acting.clone()));
        let random = rng.clone();
        let entropy: Entropy = Arc::new(move |bytes: &mut [u8]| {
            let length = bytes.len();
            bytes.copy_from_slice(&random.lock().unwrap().bytes(length));
        });
        let mut options = Options::new(Box::new(move |_, _| Ok(store.clone())), clock.clone(), entropy);
        tune(&mut options);
        let vaults = Vaults::open(db, options);
        World {
            vaults,
            sim,
            steps,
            time,
            db: plain,
            clock,
            rng,
            folder,
            acting,
            tune,
        }
    }

    /// The world after a crash of everything but the clients. It may be asked for again with another seed.
    pub async fn crash(&self, seed: u64, steps: Steps) -> World {
        let sim = self.sim.crash(seed, steps.clone());
        self.restart(sim, steps).await
    }

    /// The same service with another store, or other steps.
    pub async fn restart(&self, sim: Sim, steps: Steps) -> World {
        let copy = folder();
        copy_database(self.folder.path(), copy.path());
        let time = Clock::simulated(self.time.now());
        let rng = Arc::new(Mutex::new(self.rng.lock().unwrap().clone()));
        let world = World::start(copy, Arc::new(sim.clone()), sim, steps, time, rng, self.tune).await;
        world.log_rows().await;
        world
    }

    /// Tells the order watcher which rows the crash has left.
    async fn log_rows(&self) {
        for vault in self.db.vaults().await.unwrap() {
            self.steps.starts(Fact::Row("vault".to_owned()));
            let packs = self.db.packs_after(vault.id, strongroom_db::PackKey::START, u32::MAX);
            for pack in packs.await.unwrap() {
                self.steps.starts(Fact::Row(pack_key(pack.id).to_string()));
            }
            let points = self.db.points(vault.id, strongroom_db::PointsOf::Vault);
            for point in points.await.unwrap() {
                let key = point_key(point.item, point.id);
                self.steps.starts(Fact::Row(key.to_string()));
            }
            for set in self.db.key_sets(vault.id).await.unwrap() {
                let key = strongroom_vault::key_set_key(set.id);
                self.steps.starts(Fact::Row(key.to_string()));
            }
        }
    }

    /// The next commit of the transaction `action` makes the row of object `row`.
    pub fn acting(&self, action: &'static str, row: impl ToString) {
        *self.acting.lock().unwrap() = Some((action, row.to_string()));
    }

    /// The service has told its client that the object is stored.
    pub fn told(&self, row: impl ToString) {
        self.steps.starts(Fact::Told(row.to_string()));
    }

    pub fn pass(&self, time: SignedDuration) {
        self.time.advance(time);
    }

    /// Where another node finds what this one stands on.
    pub fn beside(&self) -> Beside {
        Beside {
            database: self.folder.path().join(DB),
            sim: self.sim.clone(),
            clock: self.clock.clone(),
        }
    }

    pub async fn close(self) {
        self.db.close().await;
    }
}

/// What nodes share: the database and the store.
pub struct Beside {
    database: PathBuf,
    sim: Sim,
    clock: Clock,
}

impl Beside {
    /// Another node, with a clock of its own. Its transactions are no steps.
    pub async fn open(&self, clock: Clock) -> Vaults {
        let db = Db::open_file(&self.database).await.unwrap();
        let store: Arc<dyn Store> = Arc::new(self.sim.clone());
        let rng = Mutex::new(Rng::new(u64::MAX));
        let entropy: Entropy = Arc::new(move |bytes: &mut [u8]| {
            let length = bytes.len();
            bytes.copy_from_slice(&rng.lock().unwrap().bytes(length));
        });
        let options = Options::new(Box::new(move |_, _| Ok(store.clone())), clock, entropy);
        Vaults::open(db, options)
    }

    /// Another node does something, on a thread of its own; returns when it is done.
    pub fn does<F: Future<Output = ()>>(&self, work: impl FnOnce(Vaults) -> F + Send) {
        let work = || run(async { work(self.open(self.clock.clone()).await).await });
        std::thread::scope(|scope| scope.spawn(work).join().unwrap());
    }
}

/// Every transaction is a step, and so is every commit whose answer may be lost.
fn watch(steps: Steps, acting: Acting) -> strongroom_db::Steps {
    Arc::new(move |action, moment| {
        if moment == Moment::Committed
            && let Some((_, row)) = acting.lock().unwrap().take_if(|(awaited, _)| *awaited == action)
        {
            steps.starts(Fact::Row(row));
        }
        steps.database(action).map_err(|stop| match stop {
            Stop::Cut | Stop::Off => DbError::Crashed,
            Stop::Fails(Failure::NoSpace) => DbError::NoSpace,
            Stop::Fails(Failure::Io) => DbError::Simulated(action),
        })
    })
}

/// What every fact stands on: a row on its object, an acknowledgement on its row.
pub fn needs(fact: &Fact) -> Vec<Fact> {
    match fact {
        Fact::Object(_) => vec![],
        Fact::Row(row) if row == "vault" => vec![Fact::Object(strongroom_vault::vault_file_key())],
        Fact::Row(row) => vec![Fact::Object(row.parse().unwrap())],
        Fact::Told(row) => vec![Fact::Row(row.clone())],
    }
}

/// In memory where there is such a place: then a sync costs nothing.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// What a restart finds: the database and its log, as they are at this moment.
fn copy_database(from: &Path, to: &Path) {
    for name in [DB.to_owned(), format!("{DB}-wal")] {
        let (from, to): (PathBuf, PathBuf) = (from.join(&name), to.join(&name));
        if from.exists() {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Runs on one thread.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.unwrap().block_on(work)
}
