//! Schedules, jobs and the link, as machines and people meet them over HTTPS.

use std::time::Duration;

use jiff::SignedDuration;
use strongroom_api::{BackUpItem, Code, FinishJob, InactivateAlert, PageFilter, ReportJob};
use strongroom_model::{ItemState, JobProgress, JobState, Operation, Trigger};

use crate::world::objects::back_up_for;
use crate::world::scene::{Scene, at, code, vault, web};

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
        scene.seen().await;
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
    scene.minutes_pass(4).await;
    assert_eq!(
        scene.people.job(&vault(), silent.id).await.unwrap().state,
        JobState::InProgress
    );
    scene.minutes_pass(2).await;
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
    scene.minutes_pass(6).await;
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
async fn a_service_that_was_off_or_asleep_does_not_call_its_machines_silent() {
    let mut scene = Scene::new().await;
    let job = scene.machine.client.begin_job(Operation::Backup).await.unwrap().id;
    let state = async |scene: &Scene| scene.fresh_people().await.job(&vault(), job).await.unwrap().state;
    // Nobody looked for ten minutes: the computer slept.
    scene.world.time.advance(SignedDuration::from_mins(10));
    scene.seen().await;
    scene.minutes_pass(4).await;
    assert_eq!(state(&scene).await, JobState::InProgress);

    scene.world = scene.world.restart().await;
    scene.seen().await;
    scene.minutes_pass(4).await;
    assert_eq!(state(&scene).await, JobState::InProgress);
    scene.minutes_pass(1).await;
    assert_eq!(state(&scene).await, JobState::Failed);
}

#[tokio::test]
async fn somebody_at_the_machine_does_what_is_due() {
    let scene = Scene::new().await;
    scene.world.time.set(at("2030-06-01T22:30:00Z"));
    scene.seen().await;
    let begun = scene.machine.client.begin_job(Operation::Backup).await.unwrap();
    assert_eq!(
        (begun.trigger, begun.due),
        (Trigger::Schedule, Some(at("2030-06-01T22:00:00Z")))
    );
    scene.work(&begun, 1).await;
    assert!(scene.link(0).await.jobs.is_empty());
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
async fn a_machine_knows_what_it_is_under_and_what_it_did() {
    let scene = Scene::new().await;
    let client = &scene.machine.client;
    let own = client.own_protection().await.unwrap();
    assert_eq!(own.name, web());
    assert_eq!(own.item, scene.machine.registered.item);
    assert_eq!(own.protection, scene.link(0).await.protection);
    assert_eq!(own.latest_point, None);
    let pages = PageFilter::default();

    let begun = client.begin_job(Operation::Backup).await.unwrap();
    scene.work(&begun, 1).await;
    let failed = client.begin_job(Operation::Restore).await.unwrap();
    let finish = FinishJob {
        state: JobState::Failed,
        errors: vec![],
        progress: JobProgress::default(),
        tasks: vec![],
    };
    client.finish_job(failed.id, &finish).await.unwrap();

    let point = client.own_protection().await.unwrap().latest_point;
    assert!(point.is_some() && point == client.own_job(begun.id).await.unwrap().point);
    let all = client.own_jobs(pages).await.unwrap();
    assert_eq!(all.jobs, scene.jobs().await, "people see the same");
    assert_eq!(all.jobs[0].id, failed.id, "newest first");
    let page = |before| PageFilter { before, limit: Some(1) };
    let first = client.own_jobs(page(None)).await.unwrap();
    let second = client.own_jobs(page(first.next)).await.unwrap();
    assert_eq!([&first.jobs[0].id, &second.jobs[0].id], [&failed.id, &begun.id]);
    let refused = client
        .own_jobs(PageFilter {
            limit: Some(1001),
            ..pages
        })
        .await;
    assert_eq!(code(&refused.unwrap_err()), Code::InvalidRequest);

    let alerts = client.own_alerts(pages).await.unwrap().alerts;
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!((alert.item, alert.job), (Some(own.item), Some(failed.id)));
    let closed = scene
        .fresh_people()
        .await
        .inactivate_alert(&vault(), alert.id, &InactivateAlert::default())
        .await;
    closed.unwrap();
    assert!(
        client.own_alerts(pages).await.unwrap().alerts.is_empty(),
        "it does not stand"
    );
}

#[tokio::test]
async fn a_machine_stops_its_own_jobs_and_no_others() {
    let scene = Scene::new().await;
    let credentials = scene.people.issue_credentials(&vault()).await.unwrap();
    let neighbour = scene.world.machine(&credentials, "neighbour").await;
    let client = &scene.machine.client;
    let job = client.begin_job(Operation::Backup).await.unwrap();
    for refused in [
        neighbour.client.own_job(job.id).await,
        neighbour.client.cancel_own_job(job.id).await,
    ] {
        assert_eq!(code(&refused.unwrap_err()), Code::JobNotFound);
    }
    let theirs = neighbour.client.own_jobs(PageFilter::default()).await.unwrap().jobs;
    assert!(theirs.iter().all(|theirs| theirs.id != job.id));
    assert_eq!(client.own_job(job.id).await.unwrap().state, JobState::InProgress);

    // Whatever does the job hears of it: what reports, and what holds the link.
    let link = scene.link_with(vec![job.id], 20);
    let (answer, told) = tokio::join!(link, client.cancel_own_job(job.id));
    assert_eq!((answer.stop, told.unwrap().state), (vec![job.id], JobState::Cancelling));
    let reported = client.report_job(job.id, &ReportJob::default()).await.unwrap();
    assert_eq!(reported.state, JobState::Cancelling);
    let finish = FinishJob {
        state: JobState::Cancelled,
        errors: vec![],
        progress: JobProgress::default(),
        tasks: vec![],
    };
    client.finish_job(job.id, &finish).await.unwrap();
    let over = client.cancel_own_job(job.id).await.unwrap_err();
    assert_eq!(code(&over), Code::JobOver);
    assert!(over.to_string().contains("Cancelled"), "{over}");
}
