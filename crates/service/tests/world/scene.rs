//! One vault with one machine under a daily policy, and people who look at it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strongroom_api::{Client, Code, FinishJob, JobFilter, JobView, LinkAnswer, LinkRequest, ProtectItem};
use strongroom_model::policy::{DEFAULT_POLICIES, Policy};
use strongroom_model::{JobProgress, JobState, MachineName, Operation, PolicyName, VaultName};

use super::objects::{add_key_set, back_up_for};
use super::{Machine, World, machine_name, vault_name};

/// A vault with one machine under a daily policy at 22:00 UTC.
pub struct Scene {
    pub world: World,
    pub people: Client,
    pub machine: Machine,
}

pub fn vault() -> VaultName {
    vault_name("main")
}

pub fn web() -> MachineName {
    machine_name("web")
}

pub fn daily() -> PolicyName {
    "DefaultFilesPolicy".parse().unwrap()
}

pub fn files() -> Policy {
    DEFAULT_POLICIES[3].policy()
}

impl Scene {
    pub async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// A scene in which time passes quickly: the service looks after things a hundred times a second.
    pub async fn quick() -> Self {
        let often = Duration::from_millis(10);
        Self::of(World::with(|options| (options.upkeep.tick, options.upkeep.round) = (often, often)).await).await
    }

    pub async fn of(world: World) -> Self {
        let credentials = world.vault("main").await;
        let machine = world.machine(&credentials, "web").await;
        add_key_set(&machine).await;
        let people = world.administrator().await;
        people.protect_item(&vault(), &web(), &under(daily())).await.unwrap();
        Self { world, people, machine }
    }

    pub async fn link(&self, wait_seconds: u64) -> LinkAnswer {
        self.link_with(vec![], wait_seconds).await
    }

    pub async fn link_with(&self, running: Vec<strongroom_model::JobId>, wait_seconds: u64) -> LinkAnswer {
        let program = "test".to_owned();
        let request = LinkRequest {
            program,
            running,
            wait_seconds,
            settings: None,
            discovers: false,
        };
        self.machine.client.link(&request).await.unwrap()
    }

    /// Does a job as a machine does, and ends it.
    pub async fn work(&self, job: &JobView, point: u8) {
        back_up_for(
            &self.machine.client,
            &self.machine.registered,
            point,
            b"contents",
            Some(job.id),
        )
        .await;
        let finish = FinishJob {
            state: JobState::Completed,
            errors: vec![],
            progress: JobProgress::default(),
            tasks: vec![],
        };
        let ended = self.machine.client.finish_job(job.id, &finish).await.unwrap();
        assert_eq!(ended.state, JobState::Completed);
    }

    pub async fn jobs(&self) -> Vec<JobView> {
        let people = self.fresh_people().await;
        people.jobs(&vault(), &JobFilter::default()).await.unwrap().jobs
    }

    pub async fn backups(&self) -> Vec<JobView> {
        let mut jobs = self.jobs().await;
        jobs.retain(|job| job.operation == Operation::Backup);
        jobs
    }

    pub async fn item(&self) -> strongroom_api::ItemView {
        self.fresh_people().await.item(&vault(), &web()).await.unwrap()
    }

    /// Lives through so many hours, in steps that the service believes.
    pub async fn live(&self, hours: u32) {
        for _ in 0..hours * 60 / 50 + 1 {
            self.world.time.advance(SignedDuration::from_mins(50));
            self.seen().await;
        }
    }

    /// Waits until the service has looked after things at the time that it is now.
    pub async fn seen(&self) {
        self.world.seen().await;
    }

    /// Time passes as it does, while the service looks.
    pub async fn minutes_pass(&self, minutes: u64) {
        for _ in 0..minutes {
            self.world.time.advance(SignedDuration::from_mins(1));
            self.seen().await;
        }
    }

    /// A person who has just signed in.
    pub async fn fresh_people(&self) -> Client {
        self.world.administrator().await
    }
}

pub fn under(policy: PolicyName) -> ProtectItem {
    ProtectItem { policy }
}

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn code(error: &strongroom_api::ClientError) -> Code {
    error.problem().expect("a refusal").code
}
