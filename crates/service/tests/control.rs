//! The control plane as people and machines meet it: policies, items, schedules, jobs and the link, over HTTPS.

mod world;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strongroom_api::{
    BackUpItem, ChangePolicy, Client, Code, CreatePolicy, FinishJob, ItemFilter, JobFilter, JobView, LinkAnswer,
    LinkRequest, ProtectItem, ReportJob, StopData, StopItem,
};
use strongroom_model::policy::{DEFAULT_POLICIES, Policy, Workload};
use strongroom_model::{
    Immutability, ItemState, JobProgress, JobState, MachineName, Operation, PolicyName, SoftDelete, Trigger, VaultName,
    VaultSettings,
};
use world::objects::{add_key_set, back_up_for};
use world::{Machine, World, machine_name, vault_name};

/// A vault with one machine under a daily policy at 22:00 UTC.
struct Scene {
    world: World,
    people: Client,
    machine: Machine,
}

fn vault() -> VaultName {
    vault_name("main")
}

fn web() -> MachineName {
    machine_name("web")
}

fn daily() -> PolicyName {
    "DefaultFilesPolicy".parse().unwrap()
}

fn files() -> Policy {
    DEFAULT_POLICIES[3].policy()
}

impl Scene {
    async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// A scene in which time passes quickly: the service looks after things a hundred times a second.
    async fn quick() -> Self {
        let often = Duration::from_millis(10);
        Self::of(World::with(|options| (options.upkeep.tick, options.upkeep.round) = (often, often)).await).await
    }

    async fn of(world: World) -> Self {
        let credentials = world.vault("main").await;
        let machine = world.machine(&credentials, "web").await;
        add_key_set(&machine).await;
        let people = world.administrator().await;
        people.protect_item(&vault(), &web(), &under(daily())).await.unwrap();
        Self { world, people, machine }
    }

    async fn link(&self, wait_seconds: u64) -> LinkAnswer {
        self.link_with(vec![], wait_seconds).await
    }

    async fn link_with(&self, running: Vec<strongroom_model::JobId>, wait_seconds: u64) -> LinkAnswer {
        let program = "test".to_owned();
        let request = LinkRequest {
            program,
            running,
            wait_seconds,
        };
        self.machine.client.link(&request).await.unwrap()
    }

    /// Does a job as a machine does, and ends it.
    async fn work(&self, job: &JobView, point: u8) {
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

    async fn jobs(&self) -> Vec<JobView> {
        let people = self.fresh_people().await;
        people.jobs(&vault(), &JobFilter::default()).await.unwrap().jobs
    }

    async fn backups(&self) -> Vec<JobView> {
        let mut jobs = self.jobs().await;
        jobs.retain(|job| job.operation == Operation::Backup);
        jobs
    }

    async fn item(&self) -> strongroom_api::ItemView {
        self.fresh_people().await.item(&vault(), &web()).await.unwrap()
    }

    /// Lives through so many hours, in steps that the service believes.
    async fn live(&self, hours: u32) {
        for _ in 0..hours * 60 / 50 + 1 {
            self.world.time.advance(SignedDuration::from_mins(50));
            self.seen().await;
        }
    }

    /// Waits until the service has looked after things at the time that it is now.
    async fn seen(&self) {
        let line = format!("strongroom_clock_seen_seconds {}\n", self.world.now().as_second());
        loop {
            let figures = self.world.call("GET", "/metrics", None, b"").await.body;
            if String::from_utf8_lossy(&figures).contains(&line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A person who has just signed in.
    async fn fresh_people(&self) -> Client {
        self.world.administrator().await
    }

    /// Waits until the service has looked after things a few times.
    async fn settled(&self) {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
}

fn under(policy: PolicyName) -> ProtectItem {
    ProtectItem { policy }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn code(error: &strongroom_api::ClientError) -> Code {
    error.problem().expect("a refusal").code
}

#[tokio::test]
async fn a_scheduled_backup_comes_down_the_link_once() {
    let scene = Scene::new().await;
    assert_eq!(scene.item().await.state, ItemState::IRPending);
    assert_eq!(scene.item().await.next_backup, Some(at("2030-06-01T22:00:00Z")));
    assert!(scene.link(0).await.jobs.is_empty());
    let waiting = scene.link(20);
    let move_on = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        scene.world.time.set(at("2030-06-01T22:00:01Z"));
    };
    let (answer, ()) = tokio::join!(waiting, move_on);
    let [job] = &answer.jobs[..] else { panic!("{answer:?}") };
    assert_eq!(
        (job.operation, job.trigger, job.state),
        (Operation::Backup, Trigger::Schedule, JobState::InProgress)
    );
    assert_eq!(job.due, Some(at("2030-06-01T22:00:00Z")));
    assert!(scene.link_with(vec![job.id], 0).await.jobs.is_empty(), "it knows");
    scene.work(job, 1).await;
    let item = scene.item().await;
    assert_eq!(
        (item.state, item.next_backup),
        (ItemState::Protected, Some(at("2030-06-02T22:00:00Z")))
    );
    let points = scene.people.item_points(&vault(), &web()).await.unwrap().points;
    assert_eq!(points.len(), 1);
    assert!(
        points[0].why.starts_with("kept by the daily rule until 2030-07-01"),
        "{}",
        points[0].why
    );
    assert!(scene.link(0).await.jobs.is_empty());
    assert_eq!(scene.backups().await.len(), 1);
}

#[tokio::test]
async fn a_machine_that_was_off_for_a_week_catches_up_once() {
    let scene = Scene::new().await;
    for day in 1..=7 {
        scene.world.time.set(at(&format!("2030-06-0{day}T23:00:00Z")));
        scene.settled().await;
    }
    let backups = scene.backups().await;
    assert_eq!((backups.len(), backups[0].state), (1, JobState::Queued));
    let answer = scene.link(5).await;
    assert_eq!(answer.jobs.len(), 1);
    assert_eq!(
        answer.jobs[0].due,
        Some(at("2030-06-07T22:00:00Z")),
        "the newest moment stands for all"
    );
    scene.work(&answer.jobs[0], 1).await;
    assert!(scene.link(0).await.jobs.is_empty());
    assert_eq!(scene.item().await.next_backup, Some(at("2030-06-08T22:00:00Z")));
}

#[tokio::test]
async fn jobs_are_asked_for_told_of_and_stopped() {
    let scene = Scene::new().await;
    let asked = scene
        .people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap();
    assert_eq!((asked.state, asked.trigger), (JobState::Queued, Trigger::OnDemand));
    let again = scene
        .people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap_err();
    assert_eq!(code(&again), Code::OperationInProgress);
    assert!(again.to_string().contains(&asked.id.to_string()), "{again}");

    let given = scene.link(5).await;
    assert_eq!(given.jobs[0].id, asked.id);
    // The answer was lost: the machine asks again, and knows nothing.
    assert_eq!(scene.link(5).await.jobs[0].id, asked.id);
    let report = ReportJob {
        progress: JobProgress {
            entries: 10,
            bytes: 500,
            moved_bytes: 100,
            expected_bytes: 1000,
        },
        tasks: vec![],
    };
    scene.world.time.advance(SignedDuration::from_secs(10));
    let told = scene.machine.client.report_job(asked.id, &report).await.unwrap();
    assert_eq!(told.state, JobState::InProgress);
    let seen = scene.people.job(&vault(), asked.id).await.unwrap();
    assert_eq!(
        (seen.percent, seen.rate, seen.seconds_left),
        (Some(50), Some(50), Some(10))
    );

    let waiting = scene.link_with(vec![asked.id], 20);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        scene.people.cancel_job(&vault(), asked.id).await.unwrap()
    };
    let (answer, stopping) = tokio::join!(waiting, stop);
    assert_eq!((answer.stop, stopping.state), (vec![asked.id], JobState::Cancelling));
    let told = scene.machine.client.report_job(asked.id, &report).await.unwrap();
    assert_eq!(told.state, JobState::Cancelling);
    let finish = FinishJob {
        state: JobState::Cancelled,
        errors: vec![],
        progress: report.progress,
        tasks: vec![],
    };
    // Twice is as once.
    for _ in 0..2 {
        let ended = scene.machine.client.finish_job(asked.id, &finish).await.unwrap();
        assert_eq!(ended.state, JobState::Cancelled);
    }
    assert_eq!(
        scene.item().await.last_backup,
        None,
        "what a person stopped says nothing about health"
    );
    let over = scene.people.cancel_job(&vault(), asked.id).await.unwrap_err();
    assert_eq!(code(&over), Code::JobOver);
}

#[tokio::test]
async fn a_machine_that_falls_silent_has_failed_unless_its_point_is_there() {
    let scene = Scene::new().await;
    let silent = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.world.time.advance(SignedDuration::from_mins(4));
    scene.settled().await;
    assert_eq!(
        scene.people.job(&vault(), silent.id).await.unwrap().state,
        JobState::InProgress
    );
    scene.world.time.advance(SignedDuration::from_mins(2));
    scene.settled().await;
    let failed = scene.people.job(&vault(), silent.id).await.unwrap();
    assert_eq!(
        (failed.state, failed.errors[0].code.as_str()),
        (JobState::Failed, "HeartbeatLost")
    );
    let refused = scene
        .machine
        .client
        .report_job(silent.id, &ReportJob::default())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::JobNotFound);

    // This one was killed after its point was there.
    let done = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    back_up_for(&scene.machine.client, &scene.machine.registered, 1, b"x", Some(done.id)).await;
    scene.world.time.advance(SignedDuration::from_mins(6));
    scene.settled().await;
    let done = scene.people.job(&vault(), done.id).await.unwrap();
    assert_eq!((done.state, done.point.is_some()), (JobState::Completed, true));
    assert_eq!(scene.item().await.state, ItemState::Protected);

    // And this one comes back at once.
    let first = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    let second = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    assert_ne!(first.id, second.id);
    let first = scene.people.job(&vault(), first.id).await.unwrap();
    assert_eq!(
        (first.state, first.errors[0].code.as_str()),
        (JobState::Failed, "Interrupted")
    );
}

#[tokio::test]
async fn somebody_at_the_machine_does_what_is_due() {
    let scene = Scene::new().await;
    scene.world.time.set(at("2030-06-01T22:30:00Z"));
    scene.settled().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    assert_eq!(
        (begun.trigger, begun.due),
        (Trigger::Schedule, Some(at("2030-06-01T22:00:00Z")))
    );
    scene.work(&begun, 1).await;
    assert!(scene.link(0).await.jobs.is_empty());
}

#[tokio::test]
async fn an_item_lives_is_stopped_deleted_and_brought_back() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let stop = |data| StopItem { data };
    let people = &scene.people;

    let stopped = people
        .stop_item(&vault(), &web(), &stop(StopData::Retain))
        .await
        .unwrap();
    let item = stopped.item.unwrap();
    assert_eq!(
        (item.state, item.policy, item.next_backup),
        (ItemState::ProtectionStopped, None, None)
    );
    assert_eq!(
        (stopped.job.operation, stopped.job.state),
        (Operation::DisableBackup, JobState::Completed)
    );
    let refused = people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), Code::ItemState);
    let refused = scene.machine.client.begin_job(Operation::Backup).await.unwrap_err();
    assert!(refused.to_string().contains("resume it first"), "{refused}");
    let refused = scene.machine.client.begin_session(None).await.unwrap_err();
    assert_eq!(code(&refused), Code::ItemState);

    let resumed = people.protect_item(&vault(), &web(), &under(daily())).await.unwrap();
    assert_eq!(resumed.item.unwrap().state, ItemState::Protected);
    let queued = people
        .back_up_item(&vault(), &web(), &BackUpItem::default())
        .await
        .unwrap();
    let deleted = people
        .stop_item(&vault(), &web(), &stop(StopData::Delete))
        .await
        .unwrap();
    let item = deleted.item.unwrap();
    assert_eq!(
        item.purged_at,
        Some(scene.world.now() + SignedDuration::from_hours(14 * 24))
    );
    assert_eq!(deleted.job.operation, Operation::DeleteBackupData);
    assert_eq!(
        people.job(&vault(), queued.id).await.unwrap().state,
        JobState::Cancelled
    );
    let refused = people
        .protect_item(&vault(), &web(), &under(daily()))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("undelete it first"), "{refused}");
    let listed = ItemFilter {
        deleted: Some(true),
        ..ItemFilter::default()
    };
    assert_eq!(people.items(&vault(), &listed).await.unwrap().items.len(), 1);
    assert_eq!(
        people.item_points(&vault(), &web()).await.unwrap().points[0].why,
        "kept, as the item is soft-deleted"
    );

    let back = people.undelete_item(&vault(), &web()).await.unwrap();
    assert_eq!(back.item.unwrap().state, ItemState::ProtectionStopped);
    let again = people.undelete_item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&again), Code::ItemState);
}

#[tokio::test]
async fn what_is_soft_deleted_goes_when_its_days_are_over() {
    let scene = Scene::quick().await;
    scene
        .people
        .stop_item(&vault(), &web(), &StopItem { data: StopData::Delete })
        .await
        .unwrap();
    scene.live(13 * 24).await;
    scene.world.time.advance(SignedDuration::from_hours(48));
    scene.seen().await;
    let people = scene.fresh_people().await;
    assert!(
        people.item(&vault(), &web()).await.is_ok(),
        "the clock jumped: nothing goes for a day"
    );
    scene.live(25).await;
    scene.seen().await;
    let people = scene.fresh_people().await;
    let gone = people.item(&vault(), &web()).await.unwrap_err();
    assert_eq!(code(&gone), Code::ItemNotFound);
    let stranger = scene.machine.client.machine().await.unwrap_err();
    assert!(
        matches!(code(&stranger), Code::MachineNotFound | Code::AssertionRefused),
        "{stranger}"
    );
    people.delete_vault(&vault()).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_ran_ahead_costs_no_backup_and_no_point() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 2).await;
    scene.world.time.advance(SignedDuration::from_hours(200 * 24));
    scene.seen().await;
    let points = scene
        .fresh_people()
        .await
        .item_points(&vault(), &web())
        .await
        .unwrap()
        .points;
    assert_eq!(
        points.len(),
        2,
        "half a year passed in an instant: nobody believes that at once"
    );
    scene.world.time.set(at("2030-06-01T12:05:00Z"));
    scene.seen().await;
    assert_eq!(scene.item().await.next_backup, Some(at("2030-06-01T22:00:00Z")));
}

#[tokio::test]
async fn points_expire_by_their_policy_but_for_the_newest() {
    let scene = Scene::quick().await;
    for point in 1..=2 {
        let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
        scene.work(&begun, point).await;
        scene.world.time.advance(SignedDuration::from_mins(10));
    }
    let mut shorter = files();
    shorter.retention.daily.as_mut().unwrap().keep = 7;
    let change = ChangePolicy { rules: shorter };
    scene
        .people
        .change_policy(&vault(), &daily(), &change, None)
        .await
        .unwrap();
    scene.live(8 * 24).await;
    scene.seen().await;
    let points = scene
        .fresh_people()
        .await
        .item_points(&vault(), &web())
        .await
        .unwrap()
        .points;
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].why, "kept as the last recovery point");
}

#[tokio::test]
async fn policies_have_limits_versions_and_come_back() {
    let scene = Scene::new().await;
    let people = &scene.people;
    let name: PolicyName = "nightly".parse().unwrap();
    let mut rules = files();
    rules.retention.daily.as_mut().unwrap().keep = 3;
    let create = |rules: &Policy| CreatePolicy {
        name: name.clone(),
        workload: Workload::FilesAndFolders,
        rules: rules.clone(),
    };
    let refused = people.create_policy(&vault(), &create(&rules)).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidPolicy);
    assert!(refused.to_string().contains("7 to 9999 days, not 3"), "{refused}");
    rules.retention.daily.as_mut().unwrap().keep = 14;
    let made = people.create_policy(&vault(), &create(&rules)).await.unwrap();
    assert_eq!(made.version, 1);
    let twice = people.create_policy(&vault(), &create(&rules)).await.unwrap_err();
    assert_eq!(code(&twice), Code::PolicyExists);
    let change = ChangePolicy { rules };
    let changed = people.change_policy(&vault(), &name, &change, Some(1)).await.unwrap();
    assert_eq!(changed.version, 2);
    let stale = people
        .change_policy(&vault(), &name, &change, Some(1))
        .await
        .unwrap_err();
    assert_eq!(code(&stale), Code::VersionMismatch);
    let used = people.delete_policy(&vault(), &daily()).await.unwrap_err();
    assert_eq!(code(&used), Code::PolicyInUse);
    people
        .protect_item(&vault(), &web(), &under(name.clone()))
        .await
        .unwrap();
    people.delete_policy(&vault(), &daily()).await.unwrap();
    let back = people.policy(&vault(), &daily()).await.unwrap();
    assert_eq!((back.version, back.rules), (1, files()));
    let other = people
        .protect_item(&vault(), &web(), &under("DefaultPolicy".parse().unwrap()))
        .await;
    assert_eq!(
        code(&other.unwrap_err()),
        Code::InvalidPolicy,
        "it is for virtual machines"
    );
}

#[tokio::test]
async fn an_immutable_vault_gives_nothing_up() {
    let scene = Scene::new().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let people = &scene.people;
    let present = people.settings(&vault()).await.unwrap();
    let settings = |immutability| VaultSettings {
        soft_delete: SoftDelete::AlwaysOn,
        soft_delete_days: 30,
        immutability,
    };
    let locked = settings(Immutability::Locked);
    let refused = people.change_settings(&vault(), &locked, None).await.unwrap_err();
    assert_eq!(code(&refused), Code::InvalidSettings);
    let unlocked = settings(Immutability::Unlocked);
    let changed = people
        .change_settings(&vault(), &unlocked, Some(present.version))
        .await
        .unwrap();
    let stale = people
        .change_settings(&vault(), &locked, Some(present.version))
        .await
        .unwrap_err();
    assert_eq!(code(&stale), Code::VersionMismatch);
    people
        .change_settings(&vault(), &locked, Some(changed.version))
        .await
        .unwrap();
    let back = people.change_settings(&vault(), &unlocked, None).await.unwrap_err();
    assert!(back.to_string().contains("cannot be switched off"), "{back}");

    let delete = StopItem { data: StopData::Delete };
    let refused = people.stop_item(&vault(), &web(), &delete).await.unwrap_err();
    assert_eq!(code(&refused), Code::Immutable);
    let mut shorter = files();
    shorter.retention.daily.as_mut().unwrap().keep = 7;
    let refused = people
        .change_policy(&vault(), &daily(), &ChangePolicy { rules: shorter }, None)
        .await;
    assert_eq!(code(&refused.unwrap_err()), Code::Immutable);
    let by_policy = StopItem {
        data: StopData::RetainByPolicy,
    };
    let suspended = people.stop_item(&vault(), &web(), &by_policy).await.unwrap();
    assert_eq!(suspended.item.unwrap().state, ItemState::BackupsSuspended);
}

#[tokio::test]
async fn items_and_jobs_are_listed_in_pages() {
    let world = World::new().await;
    let credentials = world.vault("main").await;
    for number in 0..25 {
        world.machine(&credentials, &format!("machine-{number:02}")).await;
    }
    let people = world.administrator().await;
    for number in 0..25 {
        let name = machine_name(&format!("machine-{number:02}"));
        people.protect_item(&vault(), &name, &under(daily())).await.unwrap();
    }
    let mut filter = ItemFilter {
        limit: Some(10),
        ..ItemFilter::default()
    };
    let mut names = Vec::new();
    loop {
        let page = people.items(&vault(), &filter).await.unwrap();
        names.extend(page.items.into_iter().map(|item| item.name.to_string()));
        let Some(next) = page.next else { break };
        filter.after = Some(next);
    }
    assert_eq!(names.len(), 25);
    assert!(names.is_sorted());
    let mut filter = JobFilter {
        limit: Some(10),
        operation: Some(Operation::ConfigureBackup),
        ..JobFilter::default()
    };
    let mut jobs = Vec::new();
    loop {
        let page = people.jobs(&vault(), &filter).await.unwrap();
        jobs.extend(page.jobs.into_iter().map(|job| job.id));
        let Some(next) = page.next else { break };
        filter.before = Some(next);
    }
    assert_eq!(jobs.len(), 25);
    filter.limit = Some(0);
    assert_eq!(
        code(&people.jobs(&vault(), &filter).await.unwrap_err()),
        Code::InvalidRequest
    );
}
