//! What the control plane's tables promise: policies, items, jobs, schedules, expiry.

use strongroom_model::policy::{DEFAULT_POLICIES, Policy, Tag, Workload};

use super::*;

/// What a decision in these tests may fail with: nothing.
type Never = std::convert::Infallible;

fn files() -> Policy {
    DEFAULT_POLICIES[3].policy()
}

fn new_policy<'a>(name: &'a PolicyName, policy: &'a Policy, now: Timestamp) -> NewPolicy<'a> {
    NewPolicy {
        name,
        workload: Workload::FilesAndFolders,
        policy,
        now,
    }
}

fn name(text: &str) -> PolicyName {
    text.parse().unwrap()
}

async fn protected(db: &Db, vault: VaultId, number: u8, machine_name: &str, policy: &str) -> Container {
    let container = machine(db, vault, number, machine_name).await;
    protect(db, container.item, policy).await;
    container
}

async fn protect(db: &Db, item: ItemId, policy: &str) -> ItemRow {
    let next = ItemNext {
        state: ItemState::IRPending,
        policy: NextPolicy::Given,
        deleted: None,
    };
    let changed = db
        .change_item(item, Some(&name(policy)), now(), |_| Ok::<_, Never>(next))
        .await;
    changed.unwrap().unwrap().unwrap()
}

fn job_id(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

fn on_demand(number: u8, item: ItemId) -> NewJob {
    NewJob {
        id: job_id(number),
        item,
        operation: Operation::Backup,
        trigger: Trigger::OnDemand,
        state: JobState::Queued,
        due: None,
        keep_until: None,
        now: now(),
    }
}

pub async fn policies_have_versions_and_are_kept_while_used(db: Db) {
    let vault = vault(&db, 1).await;
    let (daily, policy) = (name("daily"), files());
    assert!(
        db.insert_policy(vault, new_policy(&daily, &policy, now()))
            .await
            .unwrap()
    );
    assert!(
        !db.insert_policy(vault, new_policy(&name("DAILY"), &policy, now()))
            .await
            .unwrap()
    );
    let web = protected(&db, vault, 1, "web", "Daily").await;
    let row = db.policy(vault, &name("dAILY")).await.unwrap().unwrap();
    assert_eq!((row.version, row.items, &row.policy), (1, 1, &policy));

    let mut longer = policy.clone();
    longer.retention.daily.as_mut().unwrap().keep = 60;
    let change = new_policy(&daily, &longer, later(10));
    assert_eq!(
        db.change_policy(vault, change, Some(7)).await.unwrap(),
        PolicyChanged::OtherVersion(1)
    );
    assert_eq!(
        db.change_policy(vault, change, Some(1)).await.unwrap(),
        PolicyChanged::Done
    );
    let rows = db.policies(vault).await.unwrap();
    assert_eq!((rows.len(), rows[0].version, &rows[0].policy), (1, 2, &longer));
    assert_eq!(
        db.delete_policy(vault, &daily, None, false).await.unwrap(),
        PolicyChanged::InUse(1)
    );
    assert_eq!(
        db.delete_policy(vault, &name("nobody"), None, false).await.unwrap(),
        PolicyChanged::Absent
    );

    let stopped = ItemNext {
        state: ItemState::ProtectionStopped,
        policy: NextPolicy::Same,
        deleted: None,
    };
    let changed = db
        .change_item(web.item, None, later(20), |_| Ok::<_, Never>(stopped))
        .await;
    assert_eq!(changed.unwrap().unwrap().unwrap().next_due, None);
    assert_eq!(
        db.delete_policy(vault, &daily, None, false).await.unwrap(),
        PolicyChanged::Done
    );
    assert_eq!(db.item(web.item).await.unwrap().unwrap().policy, None);
}

pub async fn a_due_backup_becomes_one_job_and_missed_ones_wait_in_it(db: Db) {
    let vault = vault(&db, 1).await;
    db.insert_policy(vault, new_policy(&name("daily"), &files(), now()))
        .await
        .unwrap();
    let web = protected(&db, vault, 1, "web", "daily").await;
    let first: Timestamp = "2026-11-21T22:00:00Z".parse().unwrap();
    assert_eq!(db.item(web.item).await.unwrap().unwrap().next_due, Some(first));
    assert!(db.due_items(later(60), 10).await.unwrap().is_empty());

    let due = db.due_items(first, 10).await.unwrap();
    assert_eq!((due.len(), due[0].due, due[0].container), (1, first, web.id));
    let give = |number| vec![(due[0].clone(), job_id(number))];
    // Two nodes saw the same.
    assert_eq!(db.dispatch(&give(1), first).await.unwrap(), [Dispatched::Made]);
    assert_eq!(db.dispatch(&give(2), first).await.unwrap(), [Dispatched::Gone]);
    let job = db.job(job_id(1)).await.unwrap().unwrap();
    assert_eq!(
        (job.state, job.trigger, job.due),
        (JobState::Queued, Trigger::Schedule, Some(first))
    );

    // The machine stays away for three days.
    let third: Timestamp = "2026-11-24T23:00:00Z".parse().unwrap();
    let due = db.due_items(third, 10).await.unwrap();
    assert_eq!(
        db.dispatch(&[(due[0].clone(), job_id(3))], third).await.unwrap(),
        [Dispatched::Waiting]
    );
    let open = db.open_jobs(web.id).await.unwrap();
    let newest: Timestamp = "2026-11-24T22:00:00Z".parse().unwrap();
    assert_eq!((open.len(), open[0].id, open[0].due), (1, job_id(1), Some(newest)));
    assert!(db.due_items(third, 10).await.unwrap().is_empty());

    // While it runs, another moment passes.
    assert!(db.take_job(job_id(1), third).await.unwrap());
    let fifth: Timestamp = "2026-11-25T22:00:00Z".parse().unwrap();
    let due = db.due_items(fifth, 10).await.unwrap();
    assert_eq!(
        db.dispatch(&[(due[0].clone(), job_id(4))], fifth).await.unwrap(),
        [Dispatched::Busy]
    );
}

pub async fn a_job_goes_its_way_once(db: Db) {
    let vault = vault(&db, 1).await;
    db.insert_policy(vault, new_policy(&name("daily"), &files(), now()))
        .await
        .unwrap();
    let web = protected(&db, vault, 1, "web", "daily").await;
    let mail = machine(&db, vault, 2, "mail").await;
    assert_eq!(db.insert_job(on_demand(1, web.item)).await.unwrap(), JobMade::Made);
    let JobMade::Busy(busy) = db.insert_job(on_demand(2, web.item)).await.unwrap() else {
        panic!("two backups of one item at once");
    };
    assert_eq!(busy.id, job_id(1));
    let restore = NewJob {
        operation: Operation::Restore,
        ..on_demand(3, web.item)
    };
    assert_eq!(db.insert_job(restore).await.unwrap(), JobMade::Made);
    let nobody = on_demand(4, ItemId::from_bytes([99; 16]));
    assert_eq!(db.insert_job(nobody).await.unwrap(), JobMade::NoItem);

    assert!(db.take_job(job_id(1), later(1)).await.unwrap());
    let report = JobReport {
        progress: JobProgress {
            bytes: 7,
            ..JobProgress::default()
        },
        ..JobReport::default()
    };
    assert_eq!(
        db.report_job(job_id(1), mail.id, &report, later(2)).await.unwrap(),
        None
    );
    let told = db.report_job(job_id(1), web.id, &report, later(3)).await.unwrap();
    assert_eq!(told, Some(JobState::InProgress));
    assert!(db.silent_jobs(later(3), 10).await.unwrap().is_empty());
    assert_eq!(db.silent_jobs(later(4), 10).await.unwrap().len(), 1);
    assert_eq!(db.machines_called(now()).await.unwrap(), [web.id]);
    assert_eq!(
        db.cancel_job(job_id(1), later(5)).await.unwrap(),
        Some(JobState::Cancelling)
    );
    assert_eq!(
        db.cancel_job(job_id(3), later(5)).await.unwrap(),
        Some(JobState::Cancelled)
    );
    assert_eq!(db.cancel_job(job_id(3), later(5)).await.unwrap(), None);
    let told = db.report_job(job_id(1), web.id, &report, later(6)).await.unwrap();
    assert_eq!(told, Some(JobState::Cancelling));
    for (machine, ended) in [(mail.id, false), (web.id, true), (web.id, false)] {
        let finished = db
            .finish_job(job_id(1), Some(machine), JobState::Failed, &report, later(7))
            .await;
        assert_eq!(finished.unwrap().is_some(), ended);
    }
    let item = db.item(web.item).await.unwrap().unwrap();
    assert_eq!(item.last_backup, Some((JobState::Failed, later(7))));
    assert_eq!(item.state, ItemState::IRPending);
    assert!(db.open_jobs(web.id).await.unwrap().is_empty());

    let all = JobQuery {
        limit: 1,
        ..JobQuery::default()
    };
    let (page, next) = db.jobs(vault, &all).await.unwrap();
    assert_eq!((page[0].id, next.is_some()), (job_id(3), true));
    let (page, _) = db
        .jobs(
            vault,
            &JobQuery {
                before: next,
                ..all.clone()
            },
        )
        .await
        .unwrap();
    assert_eq!((page[0].id, page[0].progress.bytes), (job_id(1), 7));
    let failed = JobQuery {
        limit: 10,
        states: vec![JobState::Failed, JobState::Completed],
        item: Some(web.item),
        operation: Some(Operation::Backup),
        ..JobQuery::default()
    };
    let (page, next) = db.jobs(vault, &failed).await.unwrap();
    assert_eq!((page.len(), next), (1, None));
    assert_eq!(db.prune_jobs(later(7), 10).await.unwrap(), 1);
    assert_eq!(db.prune_jobs(later(8), 10).await.unwrap(), 1);
}

pub async fn points_earn_their_tags_and_expire_but_for_the_latest(db: Db) {
    let vault = vault(&db, 1).await;
    db.insert_policy(vault, new_policy(&name("daily"), &files(), now()))
        .await
        .unwrap();
    let web = protected(&db, vault, 1, "web", "daily").await;
    db.add_key_set(vault, key_set(1, web.id)).await.unwrap();
    db.insert_pack(vault, pack(1), &[blob(1, 0)]).await.unwrap();
    db.mark_verified(vault, &[blob_id(1)]).await.unwrap();
    let due: Timestamp = "2026-11-20T22:00:00Z".parse().unwrap();
    let scheduled = NewJob {
        due: Some(due),
        ..on_demand(1, web.item)
    };
    db.insert_job(scheduled).await.unwrap();
    db.take_job(job_id(1), now()).await.unwrap();
    let begin = |number: u8, job| NewSession {
        id: SessionId::from_bytes([number; 16]),
        container: web.id,
        begun: now(),
        lease_until: later(900),
        job,
    };
    let one = begin(1, Some(job_id(1)));
    db.begin_session(one).await.unwrap();
    let first = point(1, vault, &web, None);
    assert_eq!(db.commit_point(one.id, &first).await.unwrap(), CommitRow::Committed);
    assert_eq!(db.job(job_id(1)).await.unwrap().unwrap().point, Some(first.id));
    let item = db.item(web.item).await.unwrap().unwrap();
    assert_eq!(item.state, ItemState::Protected);

    let two = begin(2, None);
    db.begin_session(two).await.unwrap();
    let second = point(2, vault, &web, Some(first.digest));
    assert_eq!(db.commit_point(two.id, &second).await.unwrap(), CommitRow::Committed);
    let rows = db.points(vault, PointsOf::Vault).await.unwrap();
    assert_eq!((rows[0].due, rows[1].due), (Some(due), None));
    assert!(rows.iter().all(|row| row.tags.contains(Tag::Daily)));

    assert_eq!(db.items_to_look_at(now(), 0, 10).await.unwrap(), [web.item]);
    let both = |aging: &AgingItem| Sentence {
        expire: aging.points.iter().map(|kept| kept.point).collect(),
        look_again: Some(later(5)),
    };
    db.expire_points(web.item, both).await.unwrap();
    let left: Vec<_> = db
        .points(vault, PointsOf::Vault)
        .await
        .unwrap()
        .iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(left, [second.id], "the latest stays, whatever the judge says");
    assert!(db.items_to_look_at(later(4), 0, 10).await.unwrap().is_empty());
    assert_eq!(db.items_to_look_at(later(5), 0, 10).await.unwrap(), [web.item]);
}

pub async fn items_are_listed_in_pages_and_purged_when_their_time_has_come(db: Db) {
    let vault = vault(&db, 1).await;
    db.insert_policy(vault, new_policy(&name("daily"), &files(), now()))
        .await
        .unwrap();
    for (number, name) in [(1, "web"), (2, "mail"), (3, "db")] {
        machine(&db, vault, number, name).await;
    }
    let mail = db.item_by_name(vault, &"MAIL".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        (mail.state, &mail.policy, mail.version),
        (ItemState::NotProtected, &None, 1)
    );
    assert_eq!(protect(&db, mail.id, "daily").await.version, 2);
    let query = ItemQuery {
        limit: 2,
        ..ItemQuery::default()
    };
    let names = async |query: ItemQuery| {
        let (rows, _) = db.items(vault, &query).await.unwrap();
        rows.iter().map(|row| row.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(query.clone()).await, ["db", "mail"]);
    let after = "mail".to_owned();
    assert_eq!(names(ItemQuery { after, ..query.clone() }).await, ["web"]);
    let policy = Some(name("Daily"));
    assert_eq!(
        names(ItemQuery {
            policy,
            ..query.clone()
        })
        .await,
        ["mail"]
    );
    let state = Some(ItemState::NotProtected);
    assert_eq!(names(ItemQuery { state, ..query.clone() }).await, ["db", "web"]);

    // It made two key sets, one of which another machine joined.
    let (own, shared) = (key_set(1, mail.container), key_set(2, mail.container));
    db.add_key_set(vault, own).await.unwrap();
    db.add_key_set(vault, shared).await.unwrap();
    let other = db.item_by_name(vault, &"web".parse().unwrap()).await.unwrap().unwrap();
    db.join_key_set(vault, KeySetId::from_bytes([2; 16]), other.container)
        .await
        .unwrap();
    let gone = ItemNext {
        state: ItemState::ProtectionStopped,
        policy: NextPolicy::Same,
        deleted: Some((now(), later(100))),
    };
    let changed = db.change_item(mail.id, None, now(), |_| Ok::<_, Never>(gone)).await;
    assert_eq!(changed.unwrap().unwrap().unwrap().deleted, Some(now()));
    assert_eq!(
        names(ItemQuery {
            deleted: Some(true),
            ..query.clone()
        })
        .await,
        ["mail"]
    );
    assert_eq!(
        names(ItemQuery {
            deleted: Some(false),
            ..query
        })
        .await,
        ["db", "web"]
    );
    assert!(db.items_to_purge(later(99), 0, 10).await.unwrap().is_empty());
    assert!(!db.purge_item(mail.id, later(99)).await.unwrap());
    assert_eq!(db.items_to_purge(later(100), 0, 10).await.unwrap().len(), 1);
    assert!(db.purge_item(mail.id, later(100)).await.unwrap());
    assert_eq!(db.item(mail.id).await.unwrap(), None);
    assert_eq!(db.container(mail.container).await.unwrap(), None);
    let left: Vec<_> = db.key_sets(vault).await.unwrap().iter().map(|set| set.id).collect();
    assert_eq!(left, [KeySetId::from_bytes([2; 16])]);
}

pub async fn looks_at_clocks_that_disagree_believe_nothing_new(db: Db) {
    let vault = vault(&db, 1).await;
    let (hour, ahead) = (SignedDuration::from_hours(1), 365 * 24 * 3600);
    let (watch, step) = db.look_at_clock(now(), hour).await.unwrap();
    assert_eq!((watch.believed(), step), (now(), ClockStep::Steady));
    // Many at once, as of several nodes.
    let looks = (1..40).map(|round| db.look_at_clock(later(round + ahead * (round % 2)), hour));
    for look in futures_util::future::join_all(looks).await {
        let (watch, _) = look.unwrap();
        // The steps of either clock count, in whichever order they come; the year between the two does not.
        assert!(watch.believed() <= later(3600), "{watch:?}");
    }
    let (alerts, _) = db
        .alerts(
            vault,
            &AlertQuery {
                limit: 10,
                ..AlertQuery::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].kind, AlertKind::ClockJumped);
}
