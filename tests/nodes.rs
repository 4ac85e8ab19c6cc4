//! Several nodes of one service: the same data folder, the same PostgreSQL, equal rights.
//!
//! Needs the PostgreSQL that `./scripts/test postgres` starts.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp};
use strongroom_api::{
    ChangePolicy, Client, ClientOptions, CreateVault, ItemFilter, JobFilter, JobView, MachineKey, ProtectItem,
    RetryPolicy, Secret, SignIn, Trust,
};
use strongroom_model::policy::DEFAULT_POLICIES;
use strongroom_model::{Clock, Operation, PolicyName, VaultName};

use crate::common::service::Service;

const MACHINES: usize = 1000;

fn vault() -> VaultName {
    "main".parse().unwrap()
}

fn clock() -> Clock {
    Clock::from_fn(Timestamp::now)
}

async fn person(service: &Service) -> Client {
    let password = std::fs::read_to_string(&service.password_file).unwrap();
    let options = || ClientOptions {
        url: service.url.clone(),
        trust: Trust::from_pem(&std::fs::read_to_string(&service.ca_file).unwrap()).unwrap(),
        clock: clock(),
        retry: RetryPolicy::BRIEF,
        proxy: None,
    };
    let session = Client::sign_in_administrator(options(), "admin", Secret::new(password.trim()));
    let refresh_token = session.await.unwrap().refresh_token;
    Client::new(options(), SignIn::Administrator { refresh_token }).unwrap()
}

async fn backups(client: &Client) -> Vec<JobView> {
    let mut filter = JobFilter {
        limit: Some(1000),
        operation: Some(Operation::Backup),
        ..JobFilter::default()
    };
    let mut jobs = Vec::new();
    loop {
        let page = client.jobs(&vault(), &filter).await.unwrap();
        jobs.extend(page.jobs);
        let Some(next) = page.next else { return jobs };
        filter.before = Some(next);
    }
}

/// The next whole minute that is far enough away to be planned for.
fn soon() -> Timestamp {
    let second = (Timestamp::now() + SignedDuration::from_secs(15)).as_second();
    Timestamp::from_second(second - second.rem_euclid(60) + 60).unwrap()
}

fn time_of(moment: Timestamp) -> Time {
    moment.to_zoned(jiff::tz::TimeZone::UTC).time()
}

#[test]
fn a_thousand_due_backups_are_made_once_each_though_a_node_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Service::start(&folder.path().join("data"));
    let second = first.another_node();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (people, due) = runtime.block_on(async {
        let through_first = person(&first).await;
        let create = CreateVault {
            name: vault(),
            resource_group: Default::default(),
            region: Default::default(),
            redundancy: Default::default(),
        };
        through_first.create_vault(&create).await.unwrap();
        let credentials = through_first.issue_credentials(&vault()).await.unwrap();
        let people = person(&second).await;
        let policy: PolicyName = "DefaultFilesPolicy".parse().unwrap();
        for number in 0..MACHINES {
            let name = format!("machine-{number:04}").parse().unwrap();
            let key = MachineKey::generate();
            let registered = Client::register_with_credentials(&credentials, &name, &key, clock());
            registered.await.unwrap();
            // Half of it through each node.
            let through = if number % 2 == 0 { &people } else { &through_first };
            let protect = ProtectItem { policy: policy.clone() };
            through.protect_item(&vault(), &name, &protect).await.unwrap();
        }
        let due = soon();
        let mut rules = DEFAULT_POLICIES[3].policy();
        rules.schedule = strongroom_model::policy::Schedule::Daily {
            times: vec![time_of(due)],
        };
        rules.retention.daily.as_mut().unwrap().times = vec![time_of(due)];
        people
            .change_policy(&vault(), &policy, &ChangePolicy { rules }, None)
            .await
            .unwrap();
        assert!(Timestamp::now() < due, "the machine is too slow for this test");
        (people, due)
    });
    // As soon as the first jobs are there, one node dies.
    let at_death = runtime.block_on(async {
        loop {
            let made = backups(&people).await.len();
            if made > 0 {
                return made;
            }
            assert!(
                Timestamp::now() < due + SignedDuration::from_secs(60),
                "nothing was made"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    first.kill();
    let jobs = runtime.block_on(async {
        let began = Instant::now();
        while backups(&people).await.len() < MACHINES {
            assert!(
                began.elapsed() < Duration::from_secs(120),
                "the other node does not go on"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Whoever would make one twice has time for it.
        tokio::time::sleep(Duration::from_secs(3)).await;
        backups(&people).await
    });
    println!("{at_death} of {MACHINES} jobs were made when a node was killed");
    assert_eq!(jobs.len(), MACHINES);
    let items: HashSet<_> = jobs.iter().map(|job| job.item).collect();
    assert_eq!(items.len(), MACHINES);
    assert!(jobs.iter().all(|job| job.due == Some(due)));
    let listed = runtime
        .block_on(people.items(&vault(), &ItemFilter::default()))
        .unwrap();
    assert!(listed.items.iter().all(|item| item.next_backup > Some(due)));
}
