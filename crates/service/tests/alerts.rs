//! Alerts: raised when they should be, told to whom they should be, and over when they are.

use std::time::Duration;

use aws_lc_rs::hmac;
use jiff::SignedDuration;
use strongroom_api::{
    AlertFilter, AlertView, ChangeNotifications, ChangePolicy, Client, ClientError, Code, FinishJob, InactivateAlert,
    LinkRequest, ProtectItem, Secret, StopData, StopItem, WebhookBody,
};
use strongroom_model::{
    AlertEvent, AlertKind, AlertSeverity, AlertState, Channel, JobError, JobId, JobProgress, JobState, MailAddress,
    NotificationSettings, Operation, Rhythm, Rpo, SoftDelete, VaultName, VaultSettings,
};
use strongroom_service::{MailTls, NotifyOptions};

use crate::world;
use crate::world::receivers::{Receiver, Sink, eventually};
use crate::world::{Machine, World, machine_name, vault_name};

struct Scene {
    world: World,
    vault: VaultName,
    machine: Machine,
}

/// A service with a vault and a machine that is backed up each night.
async fn scene(notify: NotifyOptions) -> Scene {
    let world = World::with(|options| options.notify = notify).await;
    let machine = world.machine(&world.vault("main").await, "web").await;
    let administrator = world.administrator().await;
    let vault = vault_name("main");
    let protect = ProtectItem {
        policy: "DefaultFilesPolicy".parse().unwrap(),
    };
    administrator
        .protect_item(&vault, &machine_name("web"), &protect)
        .await
        .unwrap();
    Scene { world, vault, machine }
}

fn mails_through(sink: &Sink) -> NotifyOptions {
    NotifyOptions {
        owners: vec![address("owner@example.org")],
        mail: Some(sink.options(MailTls::None)),
        ..NotifyOptions::default()
    }
}

fn address(text: &str) -> MailAddress {
    text.parse().unwrap()
}

fn to_ops() -> NotificationSettings {
    NotificationSettings {
        recipients: vec![address("ops@example.org")],
        ..NotificationSettings::default()
    }
}

impl Scene {
    /// Signed in just now: sessions do not outlive the days that these tests take.
    async fn administrator(&self) -> Client {
        self.world.administrator().await
    }

    async fn told(&self, settings: NotificationSettings) {
        let change = ChangeNotifications {
            settings,
            webhook_secret: None,
        };
        self.administrator()
            .await
            .change_notifications(&self.vault, &change, None)
            .await
            .unwrap();
    }

    /// Alerts of a kind, newest first.
    async fn alerts(&self, kind: AlertKind) -> Vec<AlertView> {
        let filter = AlertFilter {
            kind: Some(kind),
            ..AlertFilter::default()
        };
        self.administrator()
            .await
            .alerts(&self.vault, &filter)
            .await
            .unwrap()
            .alerts
    }

    async fn finish(&self, job: JobId, state: JobState, code: &str) {
        let error = JobError {
            code: code.to_owned(),
            message: format!("There was {code}"),
            recommendations: vec![],
        };
        let finish = FinishJob {
            state,
            errors: if code.is_empty() { vec![] } else { vec![error] },
            progress: JobProgress::default(),
            tasks: vec![],
        };
        self.machine.client.finish_job(job, &finish).await.unwrap();
    }

    /// Somebody at the machine does something, and it ends so.
    async fn run(&self, operation: Operation, state: JobState, code: &str) {
        let job = self.machine.client.begin_job(operation).await.unwrap();
        self.finish(job.id, state, code).await;
    }

    async fn rpo(&self) -> Option<Rpo> {
        let item = self.administrator().await.item(&self.vault, &machine_name("web")).await;
        item.unwrap().rpo
    }

    fn advance(&self, seconds: i64) {
        self.world.time.advance(SignedDuration::from_secs(seconds));
    }
}

#[tokio::test]
async fn a_machine_that_was_off_for_a_week_is_one_alert_which_ends_with_its_backup() {
    let sink = Sink::plain();
    let scene = scene(mails_through(&sink)).await;
    scene.told(to_ops()).await;
    assert_eq!(scene.rpo().await, Some(Rpo::Healthy));
    for day in 1..=7 {
        let due = format!("2030-06-0{day}T22:00:00Z").parse().unwrap();
        scene.world.time.set(due);
        let next = due + SignedDuration::from_hours(24);
        eventually("the moment passes", async || {
            let item = scene
                .administrator()
                .await
                .item(&scene.vault, &machine_name("web"))
                .await;
            (item.unwrap().next_backup == Some(next)).then_some(())
        })
        .await;
        scene.advance(3600);
        eventually("a missed backup is counted", async || {
            let alerts = scene.alerts(AlertKind::BackupMissed).await;
            alerts.first().filter(|alert| alert.count == day).map(drop)
        })
        .await;
    }
    let alerts = scene.alerts(AlertKind::BackupMissed).await;
    let [alert] = &alerts[..] else {
        panic!("{alerts:?}");
    };
    assert_eq!((alert.count, alert.state), (7, AlertState::Active));
    assert_eq!((alert.severity, alert.sev), (AlertSeverity::Critical, 1));
    assert_eq!(alert.subject, "web");
    assert_eq!(scene.rpo().await, Some(Rpo::Breached));
    let metrics = scene.world.call("GET", "/metrics", None, b"").await.body;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("strongroom_items{rpo=\"Breached\"} 1"), "{metrics}");
    assert!(!metrics.contains("web"), "{metrics}");

    let request = LinkRequest {
        program: "test".to_owned(),
        running: vec![],
        wait_seconds: 1,
        settings: None,
        discovers: false,
    };
    let work = scene.machine.client.link(&request).await.unwrap();
    assert_eq!(work.jobs.len(), 1);
    scene.finish(work.jobs[0].id, JobState::Completed, "").await;
    let alerts = scene.alerts(AlertKind::BackupMissed).await;
    assert_eq!((alerts.len(), alerts[0].state), (1, AlertState::Resolved));
    assert_eq!(scene.rpo().await, Some(Rpo::Healthy));

    let ended = "[Strongroom] Resolved: Backup Did Not Run - web (vault main)";
    eventually("a mail says that it is over", async || sink.about(ended).pop()).await;
    let raised = sink.about("[Strongroom] Critical: Backup Did Not Run - web (vault main)");
    let [mail] = &raised[..] else {
        panic!("{raised:?}");
    };
    assert_eq!(mail.to, ["ops@example.org"]);
    assert_eq!(mail.from, "strongroom@example.org");
    assert!(
        mail.text.contains("the machine has not asked for work"),
        "{}",
        mail.text
    );
    assert!(mail.text.contains(&alert.id.to_string()), "{}", mail.text);
    assert!(mail.headers["date"].contains("2030"), "{:?}", mail.headers);
}

#[tokio::test]
async fn what_takes_protection_away_reaches_the_owners_whatever_was_chosen() {
    let sink = Sink::plain();
    let scene = scene(mails_through(&sink)).await;
    scene
        .told(NotificationSettings {
            severities: vec![],
            rhythm: Rhythm::HourlyDigest,
            ..to_ops()
        })
        .await;
    // Nobody wants to hear of this.
    scene.run(Operation::Restore, JobState::Failed, "NoSpace").await;
    let delete = StopItem { data: StopData::Delete };
    let (client, vault) = (&scene.administrator().await, &scene.vault);
    client.stop_item(vault, &machine_name("web"), &delete).await.unwrap();
    let weak = VaultSettings {
        soft_delete: SoftDelete::Disabled,
        ..VaultSettings::default()
    };
    client.change_settings(vault, &weak, None).await.unwrap();
    let policy = client
        .policy(vault, &"DefaultFilesPolicy".parse().unwrap())
        .await
        .unwrap();
    let mut rules = policy.rules;
    rules.retention.daily.as_mut().unwrap().keep = 7;
    let change = ChangePolicy { rules };
    client.change_policy(vault, &policy.name, &change, None).await.unwrap();
    for title in [
        "Delete Backup Data - web",
        "Soft Delete Disabled for Vault",
        "Modify Policy with Shorter Retention - DefaultFilesPolicy",
    ] {
        let mails = eventually(title, async || Some(sink.about(title)).filter(|mails| mails.len() == 2)).await;
        let mut to: Vec<String> = mails.into_iter().flat_map(|mail| mail.to).collect();
        to.sort();
        assert_eq!(to, ["ops@example.org", "owner@example.org"], "{title}");
    }
    assert_eq!(
        scene.alerts(AlertKind::RestoreFailure).await[0].state,
        AlertState::Resolved
    );
    assert_eq!(sink.mails().len(), 6);

    // Two days before it is gone, somebody is warned; then it is gone, a day after the clock's last jump.
    scene.advance(12 * 24 * 3600);
    let warned = eventually("a warning", async || scene.alerts(AlertKind::UpcomingPurge).await.pop()).await;
    assert!(warned.message.contains("2030-06-15 12:00 UTC"), "{}", warned.message);
    scene.advance(2 * 24 * 3600);
    eventually("it is gone", async || {
        scene.advance(3540);
        scene.world.seen().await;
        scene.alerts(AlertKind::PurgeComplete).await.pop()
    })
    .await;
    assert!(scene.alerts(AlertKind::UpcomingPurge).await[0].state == AlertState::Resolved);
    let jumps = scene.alerts(AlertKind::ClockJumped).await;
    // The simulated clock may have jumped once more, if a round took long.
    assert!(
        jumps.iter().any(|alert| alert.state == AlertState::Resolved),
        "{jumps:?}"
    );
    eventually("a mail says so", async || sink.about("Purge Complete - web").pop()).await;
}

#[tokio::test]
async fn a_digest_leaves_out_what_is_over() {
    let sink = Sink::plain();
    let scene = scene(mails_through(&sink)).await;
    scene
        .told(NotificationSettings {
            rhythm: Rhythm::HourlyDigest,
            ..to_ops()
        })
        .await;
    scene
        .run(Operation::Backup, JobState::Failed, "ServiceUnreachable")
        .await;
    scene.run(Operation::Backup, JobState::Completed, "").await;
    scene.run(Operation::Restore, JobState::Failed, "NoSpace").await;
    eventually("it is planned", async || {
        scene.advance(1);
        let metrics = scene.world.call("GET", "/metrics", None, b"").await.body;
        let metrics = String::from_utf8(metrics).unwrap();
        metrics
            .contains("strongroom_alerts_active{severity=\"Critical\"} 1")
            .then_some(())
    })
    .await;
    assert!(sink.mails().is_empty());
    scene.world.time.set("2030-06-01T13:00:00Z".parse().unwrap());
    let mail = eventually("the digest", async || sink.mails().pop()).await;
    assert_eq!(
        mail.subject,
        "[Strongroom] 1 raised, 0 resolved within the hour (vault main)"
    );
    assert!(mail.text.contains("Restore Failure - web"), "{}", mail.text);
    assert!(!mail.text.contains("ServiceUnreachable"), "{}", mail.text);
    // An hour in which nothing happens is not worth a mail.
    scene.advance(3600);
    scene.run(Operation::Restore, JobState::Failed, "NoSpace").await;
    scene.advance(3600);
    let digests = || sink.about("within the hour");
    eventually("the next digest", async || digests().get(1).cloned()).await;
    assert_eq!(digests().len(), 2);
}

#[tokio::test]
async fn a_webhook_is_signed_and_tried_until_it_is_taken() {
    let receiver = Receiver::start(&[500, 302, 503]).await;
    let mut scene = scene(world::notify()).await;
    let change = ChangeNotifications {
        settings: NotificationSettings {
            webhook: Some(receiver.url.parse().unwrap()),
            ..NotificationSettings::default()
        },
        webhook_secret: None,
    };
    let (client, vault) = (scene.administrator().await, scene.vault.clone());
    let view = client.change_notifications(&vault, &change, Some(0)).await.unwrap();
    let secret = view.webhook_secret.expect("a secret that was made is shown once");
    assert!(view.has_webhook_secret);
    let view = client.notifications(&vault).await.unwrap();
    assert_eq!(
        (view.webhook_secret, view.has_webhook_secret, view.version),
        (None, true, 1)
    );
    let refused = client.change_notifications(&vault, &change, Some(7)).await;
    assert_code(refused, Code::VersionMismatch);

    scene.run(Operation::Restore, JobState::Failed, "NoSpace").await;
    eventually("the first call", async || receiver.calls().first().cloned()).await;
    // The service ends before anybody has taken it.
    scene.world = scene.world.restart().await;
    eventually("it is taken", async || {
        scene.advance(5);
        (receiver.calls().len() == 4).then_some(())
    })
    .await;
    for _ in 0..20 {
        scene.advance(60);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let calls = receiver.calls();
    assert_eq!(calls.len(), 4, "once it is taken, it is over");
    for call in &calls {
        verify(&secret, &call.signature, &call.body);
        assert_eq!(call.body, calls[0].body);
    }
    let body: WebhookBody = serde_json::from_slice(&calls[0].body).unwrap();
    let alert = body.alert.unwrap();
    assert_eq!((body.event, body.vault), (Some(AlertEvent::Raised), vault));
    assert_eq!(
        (alert.kind, alert.code.as_str()),
        (AlertKind::RestoreFailure, "NoSpace")
    );

    for entry in std::fs::read_dir(scene.world.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let needle = secret.reveal().as_bytes();
            let shows = bytes.windows(needle.len()).any(|part| part == needle);
            assert!(!shows, "{} has the secret in the clear", path.display());
        }
    }
}

/// What a test of the webhook at this address says.
async fn tested(scene: &Scene, webhook: &str) -> Option<String> {
    let settings = NotificationSettings {
        webhook: Some(webhook.parse().unwrap()),
        ..NotificationSettings::default()
    };
    scene.told(settings).await;
    let client = scene.administrator().await;
    let mut results = client.test_notifications(&scene.vault).await.unwrap().results;
    results.remove(0).error
}

/// Whoever may read a vault may name its webhook: the service is nobody's way into its own network.
#[tokio::test]
async fn a_webhook_does_not_lead_into_the_services_own_network() {
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let port = receiver.local_addr().unwrap().port();
    let scene = scene(NotifyOptions::default()).await;
    for address in [
        format!("http://127.0.0.1:{port}/admin?x=1"),
        format!("http://localhost:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://0.0.0.0:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let error = tested(&scene, &address).await.unwrap();
        assert!(error.contains("webhook_networks"), "{address}: {error}");
        let came = receiver.accept().unwrap_err();
        assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock, "{address}");
    }
}

/// Where it may be called, the answer still tells little: nothing of ports, certificates and pages.
#[tokio::test]
async fn what_a_webhook_is_like_stays_in_the_log() {
    let receiver = Receiver::start(&[403]).await;
    let scene = scene(world::notify()).await;
    assert_eq!(
        tested(&scene, &receiver.url).await.unwrap(),
        "the webhook answered 403 Forbidden"
    );
    assert_eq!(
        tested(&scene, &receiver.url.replace("127.0.0.1", "localhost")).await,
        None
    );
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed_url = format!("https://{}/", closed.local_addr().unwrap());
    drop(closed);
    let own_url = format!("https://localhost:{}/", scene.world.service.address().port());
    let no_tls = receiver.url.replace("http://", "https://");
    let mut said = Vec::new();
    for address in [closed_url, own_url, no_tls] {
        said.push(tested(&scene, &address).await.unwrap());
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("nobody answered"), "{said:?}");
    assert_eq!(receiver.calls().len(), 2);
}

fn verify(secret: &Secret, signature: &str, body: &[u8]) {
    let (moment, tag) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let signed = hmac::sign(&key, &[moment.as_bytes(), b".", body].concat());
    let expected: String = signed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(tag, expected);
    let seconds: i64 = moment.parse().unwrap();
    assert!(
        jiff::Timestamp::from_second(seconds)
            .unwrap()
            .to_string()
            .starts_with("2030-06-01T12:")
    );
}

fn assert_code<T: std::fmt::Debug>(result: Result<T, ClientError>, code: Code) {
    match result {
        Err(error) => assert_eq!(error.problem().map(|problem| problem.code), Some(code), "{error}"),
        other => panic!("{other:?} instead of {code:?}"),
    }
}

#[tokio::test]
async fn a_test_mail_goes_over_starttls_with_a_sign_in_or_says_why_not() {
    let sink = Sink::starttls();
    let with = |sink: &Sink, change: &dyn Fn(&mut strongroom_service::MailOptions)| {
        let mut mail = sink.options(MailTls::StartTls);
        mail.sign_in = Some(("strongroom".to_owned(), Secret::new("a mail password")));
        change(&mut mail);
        NotifyOptions {
            mail: Some(mail),
            ..NotifyOptions::default()
        }
    };
    let test = async |notify: NotifyOptions| {
        let scene = scene(notify).await;
        let nobody = scene.administrator().await.test_notifications(&scene.vault).await;
        assert_code(nobody, Code::InvalidSettings);
        scene
            .told(NotificationSettings {
                recipients: vec![address("ops@example.org"), address("refused@example.org")],
                ..NotificationSettings::default()
            })
            .await;
        let test = scene
            .administrator()
            .await
            .test_notifications(&scene.vault)
            .await
            .unwrap();
        assert!(test.results.iter().all(|result| result.channel == Channel::Mail));
        let errors = test.results.into_iter().map(|result| result.error.unwrap_or_default());
        errors.collect::<Vec<String>>()
    };
    let errors = test(with(&sink, &|_| {})).await;
    assert!(
        errors[0].is_empty() && errors[1].contains("nobody of that name"),
        "{errors:?}"
    );
    let mails = sink.mails();
    let [mail] = &mails[..] else {
        panic!("{mails:?}");
    };
    assert!(mail.tls && mail.user == "strongroom", "{mail:?}");
    assert_eq!(mail.subject, "[Strongroom] Test (vault main)");

    // Nothing is said to a server that is not the right one, or that has no TLS.
    let other = Sink::starttls();
    let errors = test(with(&sink, &|mail| mail.authority = other.authority.clone())).await;
    assert!(errors[0].contains("certificate"), "{errors:?}");
    let errors = test(with(&sink, &|mail| mail.authority = None)).await;
    assert!(errors[0].contains("certificate"), "{errors:?}");
    let wrong = Secret::new("another password");
    let errors = test(with(&sink, &|mail| {
        mail.sign_in = Some(("strongroom".to_owned(), wrong.clone()))
    }))
    .await;
    assert!(errors[0].contains("535"), "{errors:?}");
    let plain = Sink::plain();
    let errors = test(with(&plain, &|_| {})).await;
    assert!(errors[0].contains("STARTTLS"), "{errors:?}");
    let errors = test(NotifyOptions::default()).await;
    assert!(errors[0].contains("no mail server"), "{errors:?}");
    assert_eq!((sink.mails().len(), plain.mails().len()), (1, 0));
}

#[tokio::test]
async fn an_alert_is_closed_once_with_a_note_and_listed_by_state_and_page() {
    let scene = scene(NotifyOptions::default()).await;
    let (client, vault) = (&scene.administrator().await, &scene.vault);
    for _ in 0..3 {
        scene.run(Operation::Restore, JobState::Failed, "NoSpace").await;
    }
    // What somebody at the machine asks for is told each time; what gave way to another is not.
    let alerts = scene.alerts(AlertKind::RestoreFailure).await;
    assert_eq!(alerts.len(), 3);
    let note = InactivateAlert {
        note: " the disk was changed ".to_owned(),
    };
    let closed = client.inactivate_alert(vault, alerts[0].id, &note).await.unwrap();
    assert_eq!(closed.state, AlertState::Inactive);
    assert_eq!(closed.ended_by.as_deref(), Some("admin"));
    assert_eq!(closed.note.as_deref(), Some("the disk was changed"));
    assert_code(
        client.inactivate_alert(vault, alerts[0].id, &note).await,
        Code::AlertOver,
    );
    assert_eq!(client.alert(vault, alerts[0].id).await.unwrap(), closed);
    scene.world.vault("other").await;
    assert_code(
        client.alert(&vault_name("other"), alerts[0].id).await,
        Code::AlertNotFound,
    );

    let active = AlertFilter {
        limit: Some(1),
        state: Some(AlertState::Active),
        severity: Some(AlertSeverity::Critical),
        item: Some("WEB".to_owned()),
        ..AlertFilter::default()
    };
    let page = client.alerts(vault, &active).await.unwrap();
    assert_eq!((page.alerts.len(), page.alerts[0].id), (1, alerts[1].id));
    let before = page.next;
    let page = client.alerts(vault, &AlertFilter { before, ..active }).await.unwrap();
    assert_eq!(page.alerts[0].id, alerts[2].id);
}

/// What a machine says about its errors decides neither how many alerts there are nor how long they are.
#[tokio::test]
async fn a_machine_does_not_invent_alerts_without_end() {
    let scene = scene(NotifyOptions::default()).await;
    for number in 0..40 {
        scene
            .run(Operation::Restore, JobState::Failed, &format!("Invented-{number}"))
            .await;
    }
    let alerts = scene.alerts(AlertKind::RestoreFailure).await;
    assert_eq!(alerts.len(), 21, "twenty, and one for all others");
    let (last, others) = alerts.split_first().unwrap();
    assert_eq!((last.code.as_str(), last.count), ("Several", 20));
    assert!(
        others
            .iter()
            .all(|alert| alert.code == "OperationFailed" && alert.count == 1)
    );
    let jobs = scene.administrator().await;
    let jobs = jobs
        .jobs(&scene.vault, &strongroom_api::JobFilter::default())
        .await
        .unwrap();
    let error = &jobs.jobs[0].errors[0];
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("OperationFailed", "There was Invented-39")
    );
}
