//! What the tables of alerts, notifications and deliveries promise.

use strongroom_model::policy::DEFAULT_POLICIES;

use super::*;

type Never = std::convert::Infallible;

const GRACE: SignedDuration = SignedDuration::from_hours(1);

async fn protected(db: &Db, vault: VaultId) -> Container {
    let policy = DEFAULT_POLICIES[3].policy();
    let name: PolicyName = "daily".parse().unwrap();
    let new = NewPolicy {
        name: &name,
        workload: DEFAULT_POLICIES[3].workload,
        policy: &policy,
        now: now(),
    };
    db.insert_policy(vault, new).await.unwrap();
    let web = machine(db, vault, 1, "web").await;
    let next = ItemNext {
        state: ItemState::IRPending,
        policy: NextPolicy::Given,
        deleted: None,
    };
    change(db, web.item, Some(&name), next, now()).await;
    web
}

async fn change(db: &Db, item: ItemId, given: Option<&PolicyName>, next: ItemNext, at: Timestamp) {
    let changed = db.change_item(item, given, at, |_| Ok::<_, Never>(next)).await;
    changed.unwrap().unwrap().unwrap();
}

async fn run_job(db: &Db, number: u8, web: &Container, trigger: Trigger, state: JobState, code: &str, at: Timestamp) {
    let new = NewJob {
        id: JobId::from_bytes([number; 16]),
        item: web.item,
        operation: Operation::Backup,
        trigger,
        state: JobState::InProgress,
        due: None,
        keep_until: None,
        now: at,
    };
    assert_eq!(db.insert_job(new).await.unwrap(), JobMade::Made);
    let mut report = JobReport::default();
    if !code.is_empty() {
        report.errors.push(JobError {
            code: code.to_owned(),
            message: "it did not work".to_owned(),
            recommendations: vec![],
        });
    }
    for _ in 0..2 {
        db.finish_job(new.id, None, state, &report, at).await.unwrap();
    }
}

async fn all(db: &Db, vault: VaultId) -> Vec<AlertRow> {
    let query = AlertQuery {
        limit: 100,
        ..AlertQuery::default()
    };
    db.alerts(vault, &query).await.unwrap().0
}

/// Kind, code, count and state of each alert, oldest first.
async fn shown(db: &Db, vault: VaultId) -> Vec<(AlertKind, String, u64, AlertState)> {
    let mut rows = all(db, vault).await;
    rows.reverse();
    rows.into_iter()
        .map(|row| (row.kind, row.code, row.count, row.state))
        .collect()
}

pub async fn failures_of_one_kind_are_one_alert_until_a_backup_is_good(db: Db) {
    use {AlertKind::*, AlertState::*, JobState::*, Trigger::*};
    let vault = vault(&db, 1).await;
    let web = protected(&db, vault).await;
    let row = |kind, code: &str, count, state| (kind, code.to_owned(), count, state);
    run_job(&db, 1, &web, Schedule, Failed, "DiskFull", later(1)).await;
    run_job(&db, 2, &web, Schedule, Failed, "DiskFull", later(2)).await;
    run_job(&db, 3, &web, Schedule, Failed, "NoNetwork", later(3)).await;
    // Neither of these is worth a word.
    run_job(&db, 4, &web, Schedule, Cancelled, "", later(4)).await;
    run_job(&db, 5, &web, Schedule, Failed, "Interrupted", later(5)).await;
    // Whoever asks for a backup hears of each.
    run_job(&db, 6, &web, OnDemand, Failed, "DiskFull", later(6)).await;
    run_job(&db, 7, &web, OnDemand, Failed, "DiskFull", later(7)).await;
    let standing = [
        row(BackupFailure, "DiskFull", 2, Active),
        row(BackupFailure, "NoNetwork", 1, Active),
        row(BackupFailure, "DiskFull", 1, Active),
        row(BackupFailure, "DiskFull", 1, Active),
    ];
    assert_eq!(shown(&db, vault).await, standing);
    let first = all(&db, vault).await.pop().unwrap();
    assert_eq!((first.raised, first.last), (later(1), later(2)));
    assert_eq!(first.job, Some(JobId::from_bytes([2; 16])));

    // Somebody sees to one; the next failure is a new alert.
    assert!(db.inactivate_alert(first.id, "admin", "seen", later(8)).await.unwrap());
    assert!(!db.inactivate_alert(first.id, "admin", "again", later(9)).await.unwrap());
    let closed = db.alert(first.id).await.unwrap().unwrap();
    assert_eq!(
        (
            closed.state,
            closed.ended,
            closed.ended_by.as_str(),
            closed.note.as_str()
        ),
        (Inactive, Some(later(8)), "admin", "seen")
    );
    run_job(&db, 8, &web, Schedule, Failed, "DiskFull", later(10)).await;
    assert_eq!(shown(&db, vault).await.len(), 5);

    run_job(&db, 9, &web, Schedule, CompletedWithWarnings, "SomeFiles", later(11)).await;
    let ended = shown(&db, vault).await;
    assert_eq!(ended.iter().filter(|(_, _, _, state)| *state == Active).count(), 1);
    assert_eq!(ended[5], row(BackupWarnings, "SomeFiles", 1, Active));
    run_job(&db, 10, &web, Schedule, Completed, "", later(12)).await;
    let ended = shown(&db, vault).await;
    assert!(ended.iter().all(|(_, _, _, state)| *state != Active));
    let resolved = AlertQuery {
        limit: 2,
        state: Some(Resolved),
        severity: Some(AlertSeverity::Critical),
        kind: Some(BackupFailure),
        item: Some(web.item),
        ..AlertQuery::default()
    };
    let (page, next) = db.alerts(vault, &resolved).await.unwrap();
    assert_eq!((page.len(), next.is_some()), (2, true));
    let (page, next) = db
        .alerts(
            vault,
            &AlertQuery {
                before: next,
                ..resolved
            },
        )
        .await
        .unwrap();
    assert_eq!((page.len(), next.is_some()), (2, true));
    assert_eq!(db.prune_alerts(later(12), 10).await.unwrap(), 0, "nobody was told yet");
    let item = db.item(web.item).await.unwrap().unwrap();
    let light = item.rpo.unwrap();
    assert_eq!((light.from, light.hours_between), (later(12), 24));
}

pub async fn a_machine_that_is_away_is_one_alert_that_counts(db: Db) {
    use {AlertKind::*, AlertState::*};
    let vault = vault(&db, 1).await;
    let web = protected(&db, vault).await;
    let day = |day: u32, time: &str| -> Timestamp { format!("2026-11-{day}T{time}Z").parse().unwrap() };
    let mut job = 0;
    for date in 21..=27 {
        let at = day(date, "22:00:00");
        let due = db.due_items(at, 10).await.unwrap();
        job += 1;
        let outcome = db
            .dispatch(&[(due[0].clone(), JobId::from_bytes([job; 16]))], at)
            .await
            .unwrap();
        let expected = if date == 21 {
            Dispatched::Made
        } else {
            Dispatched::Waiting
        };
        assert_eq!(outcome, [expected]);
        // It has an hour.
        assert_eq!(db.raise_missed(GRACE, day(date, "22:59:59"), 10).await.unwrap(), 0);
        // Two nodes look, and look again.
        for _ in 0..2 {
            db.raise_missed(GRACE, day(date, "23:00:00"), 10).await.unwrap();
        }
        let count = u64::from(date) - 20;
        assert_eq!(
            shown(&db, vault).await,
            [(BackupMissed, "MachineAway".to_owned(), count, Active)],
            "{date}"
        );
    }
    let first = JobId::from_bytes([1; 16]);
    assert!(db.take_job(first, day(28, "09:00:00")).await.unwrap());
    // While it runs, a moment passes.
    let due = db.due_items(day(28, "22:00:00"), 10).await.unwrap();
    let busy = db
        .dispatch(&[(due[0].clone(), JobId::from_bytes([9; 16]))], day(28, "22:00:00"))
        .await;
    assert_eq!(busy.unwrap(), [Dispatched::Busy]);
    assert_eq!(shown(&db, vault).await[1].1, "BackupUnderWay");
    let report = JobReport::default();
    db.finish_job(first, None, JobState::Completed, &report, day(28, "22:01:00"))
        .await
        .unwrap();
    assert!(shown(&db, vault).await.iter().all(|row| row.3 == Resolved));
    assert_eq!(
        db.item(web.item).await.unwrap().unwrap().rpo.unwrap().from,
        day(28, "09:00:00")
    );
}

pub async fn what_takes_protection_away_is_told_in_its_transaction(db: Db) {
    use {AlertKind::*, AlertState::*};
    let vault = vault(&db, 1).await;
    let web = protected(&db, vault).await;
    let kinds = async || {
        let rows = shown(&db, vault).await;
        rows.into_iter().map(|row| (row.0, row.3)).collect::<Vec<_>>()
    };
    let mut shorter = DEFAULT_POLICIES[3].policy();
    shorter.retention.daily.as_mut().unwrap().keep = 7;
    let name: PolicyName = "daily".parse().unwrap();
    let new = NewPolicy {
        name: &name,
        workload: DEFAULT_POLICIES[3].workload,
        policy: &shorter,
        now: later(1),
    };
    db.change_policy(vault, new, None).await.unwrap();
    // The same rules again take nothing away.
    db.change_policy(vault, new, None).await.unwrap();
    assert_eq!(kinds().await, [(PolicyShortened, Active)]);

    let weak = VaultSettings {
        soft_delete: SoftDelete::Disabled,
        ..VaultSettings::default()
    };
    let set = async |settings: VaultSettings, at| {
        let changed = db.change_vault(vault, at, |_| Ok::<_, Never>(settings)).await;
        changed.unwrap().unwrap().unwrap();
    };
    set(weak, later(2)).await;
    assert_eq!(kinds().await[1], (SoftDeleteDisabled, Active));
    set(VaultSettings::default(), later(3)).await;
    assert_eq!(kinds().await[1], (SoftDeleteDisabled, Resolved));

    let gone = |deleted| ItemNext {
        state: ItemState::ProtectionStopped,
        policy: NextPolicy::Same,
        deleted,
    };
    let two_days = 2 * 24 * 3600;
    let purge = later(4 + 14 * 24 * 3600);
    change(&db, web.item, None, gone(Some((later(4), purge))), later(4)).await;
    assert_eq!(kinds().await[2], (DeleteBackupData, Active));
    assert_eq!(db.raise_upcoming_purges(later(5), 10).await.unwrap(), 0);
    let soon = purge - SignedDuration::from_secs(two_days);
    assert_eq!(db.raise_upcoming_purges(soon, 10).await.unwrap(), 1);
    assert_eq!(db.raise_upcoming_purges(soon, 10).await.unwrap(), 0);
    change(&db, web.item, None, gone(None), soon).await;
    assert_eq!(
        kinds().await[2..],
        [(DeleteBackupData, Resolved), (UpcomingPurge, Resolved)]
    );

    change(&db, web.item, None, gone(Some((soon, later(9)))), soon).await;
    assert!(db.purge_item(web.item, purge).await.unwrap());
    assert_eq!(
        kinds().await[4..],
        [(DeleteBackupData, Active), (PurgeComplete, Active)]
    );
}

pub async fn an_event_is_told_once_and_a_delivery_is_tried_by_one(db: Db) {
    let vault = vault(&db, 1).await;
    let web = protected(&db, vault).await;
    run_job(&db, 1, &web, Trigger::Schedule, JobState::Failed, "DiskFull", later(1)).await;
    run_job(&db, 2, &web, Trigger::Schedule, JobState::Completed, "", later(2)).await;
    let events = db.events_to_tell(later(2), 10).await.unwrap();
    let seen: Vec<_> = events.iter().map(|event| (event.event, event.alert.kind)).collect();
    let kind = AlertKind::BackupFailure;
    assert_eq!(seen, [(AlertEvent::Raised, kind), (AlertEvent::Resolved, kind)]);
    assert_eq!(events[0].settings, NotificationSettings::default());

    let new = NewDelivery {
        id: DeliveryId::from_bytes([1; 16]),
        vault,
        channel: Channel::Mail,
        target: "ops@example.org".to_owned(),
        subject: "s".to_owned(),
        body: "b".to_owned(),
    };
    let telling = Telling {
        told: vec![events[0].clone()],
        waiting: vec![(events[1].clone(), later(3600))],
        deliveries: vec![new.clone()],
    };
    assert!(db.tell(&telling, later(3)).await.unwrap());
    // Another node saw the same.
    let late = NewDelivery {
        id: DeliveryId::from_bytes([2; 16]),
        ..new.clone()
    };
    let again = Telling {
        deliveries: vec![late],
        ..telling
    };
    assert!(!db.tell(&again, later(3)).await.unwrap());
    assert!(db.events_to_tell(later(3599), 10).await.unwrap().is_empty());
    let waited = db.events_to_tell(later(3600), 10).await.unwrap();
    assert_eq!((waited.len(), waited[0].due), (1, Some(later(3600))));
    let telling = Telling {
        told: waited,
        ..Telling::default()
    };
    assert!(db.tell(&telling, later(3600)).await.unwrap());

    let found = db.deliveries_to_try(later(4), 10).await.unwrap();
    assert_eq!((found.len(), &found[0].delivery, found[0].attempts), (1, &new, 0));
    assert!(db.claim_delivery(&found[0], later(4), later(64)).await.unwrap());
    assert!(!db.claim_delivery(&found[0], later(4), later(64)).await.unwrap());
    assert!(db.deliveries_to_try(later(63), 10).await.unwrap().is_empty());
    // Whoever had it is gone: another one takes over, and the first does not count any more.
    let found = db.deliveries_to_try(later(64), 10).await.unwrap();
    assert!(db.claim_delivery(&found[0], later(64), later(124)).await.unwrap());
    db.note_attempt(new.id, 1, &Outcome::Delivered, later(65))
        .await
        .unwrap();
    let again = Outcome::Again(later(100), "no".to_owned());
    db.note_attempt(new.id, 2, &again, later(66)).await.unwrap();
    assert!(db.deliveries_to_try(later(99), 10).await.unwrap().is_empty());
    let found = db.deliveries_to_try(later(100), 10).await.unwrap();
    assert_eq!(found[0].attempts, 2);
    // A clock that ran ahead is set back: nothing waits for what it showed.
    let hour = SignedDuration::from_hours(1);
    for shown in [later(4000), later(70)] {
        db.look_at_clock(shown, hour).await.unwrap();
    }
    assert_eq!(db.deliveries_to_try(later(70), 10).await.unwrap().len(), 1);
    let figures = db.state_figures(later(70)).await.unwrap();
    assert_eq!((figures.deliveries, figures.items.len()), (1, 1));
    assert!(db.claim_delivery(&found[0], later(100), later(160)).await.unwrap());
    db.note_attempt(new.id, 3, &Outcome::GivenUp("no".to_owned()), later(101))
        .await
        .unwrap();
    assert_eq!(db.prune_deliveries(later(101), 10).await.unwrap(), 0);
    assert_eq!(db.prune_deliveries(later(102), 10).await.unwrap(), 1);
    assert_eq!(db.prune_alerts(later(3601), 10).await.unwrap(), 1);
}

pub async fn who_is_told_has_a_version(db: Db) {
    let vault = vault(&db, 1).await;
    assert_eq!(db.notifications(vault).await.unwrap(), NotificationsRow::default());
    let settings = NotificationSettings {
        recipients: vec!["ops@example.org".parse().unwrap()],
        ..NotificationSettings::default()
    };
    let change = async |secret: &[u8], version| {
        db.change_notifications(vault, &settings, secret, version)
            .await
            .unwrap()
    };
    assert_eq!(change(b"", 1).await, None);
    assert_eq!(change(b"", 0).await, Some(1));
    assert_eq!(change(b"x", 0).await, None);
    assert_eq!(change(b"sealed", 1).await, Some(2));
    let row = db.notifications(vault).await.unwrap();
    assert_eq!(
        (row.settings, row.secret, row.version),
        (settings.clone(), b"sealed".to_vec(), 2)
    );
    assert_eq!(db.delete_vault(vault).await.unwrap(), VaultDeleted::Deleted);
}
