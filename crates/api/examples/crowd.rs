//! Measures the control plane of a running service: sign-in, long lists, idle machines on the link, and a moment at which
//! all of them have a backup due. `bench/control` starts the service and calls this:
//!
//! `cargo run --release -p strongroom-api --example crowd -- URL CA_FILE PASSWORD_FILE SERVER_PID [LINKED [ITEMS]]`
//!
//! The service is a new one, with nothing in it. Needs curl. Prints a table.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use strongroom_api::{
    ChangePolicy, Client, ClientOptions, CreateVault, ItemFilter, LinkRequest, MachineKey, ProtectItem, RetryPolicy,
    Secret, SignIn, Trust,
};
use strongroom_model::policy::{DEFAULT_POLICIES, Schedule};
use strongroom_model::{Clock, MachineName, PolicyName, VaultName};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Calls that are under way at the same time.
const AT_ONCE: usize = 16;
const SIGN_INS: usize = 200;
/// Of one person: more attempts at once are refused, as they may be guesses.
const SIGN_INS_AT_ONCE: usize = 2;

/// The service under measurement.
struct Service {
    url: String,
    ca_file: String,
    password: String,
    pid: u32,
}

impl Service {
    fn options(&self) -> ClientOptions {
        let ca = std::fs::read_to_string(&self.ca_file).expect("a file");
        ClientOptions {
            url: self.url.clone(),
            trust: Trust::from_pem(&ca).expect("certificates"),
            clock: clock(),
            retry: RetryPolicy::PATIENT,
            proxy: None,
        }
    }

    async fn person(&self) -> Client {
        let session = Client::sign_in_administrator(self.options(), "admin", Secret::new(&self.password)).await;
        let refresh_token = session.expect("the password is right").refresh_token;
        Client::new(self.options(), SignIn::Administrator { refresh_token }).expect("a client")
    }

    /// A figure of `/proc/PID/status`, in MiB.
    fn mebibytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("the service runs");
        let line = status
            .lines()
            .find(|line| line.starts_with(name))
            .expect("Linux says so");
        let kibibytes = line.split_whitespace().nth(1).expect("a number");
        kibibytes.parse::<u64>().expect("a number") / 1024
    }

    fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("the service runs");
        let after_name = stat.rsplit_once(')').expect("a name in brackets").1;
        let ticks = after_name.split_whitespace().skip(11).take(2);
        // Linux counts hundredths of a second wherever this runs.
        ticks.map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
    }

    /// Does something, and prints a row about it.
    async fn row<T>(&self, what: &str, count: usize, work: impl Future<Output = T>) -> T {
        let (began, cpu) = (Instant::now(), self.cpu_seconds());
        let done = work.await;
        let (seconds, cpu) = (began.elapsed().as_secs_f64(), self.cpu_seconds() - cpu);
        let (now, peak) = (self.mebibytes("VmRSS:"), self.mebibytes("VmHWM:"));
        let rate = count as f64 / seconds;
        println!("| {what} | {count} | {seconds:.2} | {rate:.0} | {cpu:.2} | {now} | {peak} |");
        done
    }

    /// How many machines are on the link, as the service says.
    fn linked(&self) -> usize {
        let url = format!("{}/metrics", self.url);
        let output = Command::new("curl")
            .args(["-s", "--cacert", &self.ca_file, &url])
            .output();
        let figures = String::from_utf8(output.expect("curl").stdout).expect("text");
        let figure = figures
            .lines()
            .find_map(|line| line.strip_prefix("strongroom_machines_linked "));
        figure.expect("the service says so").parse().expect("a number")
    }
}

fn clock() -> Clock {
    Clock::from_fn(Timestamp::now)
}

fn vault() -> VaultName {
    "main".parse().expect("a name")
}

fn policy() -> PolicyName {
    "DefaultFilesPolicy".parse().expect("a name")
}

fn machine_name(number: usize) -> MachineName {
    format!("machine-{number:05}").parse().expect("a name")
}

/// Does `work` for each number below `count`, so many at a time. The results are in no order.
async fn each<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    at_once: usize,
    work: impl Fn(usize) -> F,
) -> Vec<T> {
    let places = Arc::new(Semaphore::new(at_once));
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let place = places.clone().acquire_owned().await.expect("it is never closed");
        let task = work(number);
        tasks.spawn(async move {
            let done = task.await;
            drop(place);
            done
        });
    }
    tasks.join_all().await
}

/// The next whole minute that is far enough away.
fn soon() -> Timestamp {
    let second = (clock().now() + SignedDuration::from_secs(20)).as_second();
    Timestamp::from_second(second - second.rem_euclid(60) + 60).expect("a moment")
}

/// Waits for a job on the link. Returns when it came.
async fn wait_for_job(machine: Client) -> Timestamp {
    loop {
        let request = LinkRequest {
            program: "crowd".to_owned(),
            running: vec![],
            wait_seconds: 50,
            settings: None,
            discovers: false,
        };
        if !machine.link(&request).await.expect("the link").jobs.is_empty() {
            return clock().now();
        }
    }
}

/// Counts the items, page by page.
async fn list(people: &Client) -> usize {
    let mut filter = ItemFilter {
        limit: Some(1000),
        ..ItemFilter::default()
    };
    let mut listed = 0;
    loop {
        let page = people.items(&vault(), &filter).await.expect("a page");
        listed += page.items.len();
        match page.next {
            Some(next) => filter.after = Some(next),
            None => return listed,
        }
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, ca_file, password_file, pid, more @ ..] = &arguments[..] else {
        panic!("crowd URL CA_FILE PASSWORD_FILE SERVER_PID [LINKED [ITEMS]]");
    };
    let given = |index: usize| more.get(index).map(|text| text.parse().expect("a number"));
    let (linked, items): (usize, usize) = (given(0).unwrap_or(2000), given(1).unwrap_or(10_000));
    let password = std::fs::read_to_string(password_file).expect("a file");
    let service = Arc::new(Service {
        url: url.clone(),
        ca_file: ca_file.clone(),
        password: password.trim().to_owned(),
        pid: pid.parse().expect("a process id"),
    });
    println!("| what | count | s | 1/s | CPU s of the service | MiB after | MiB at the peak |");
    println!("|---|---|---|---|---|---|---|");

    let sign_in = |_| {
        let service = service.clone();
        async move { drop(service.person().await) }
    };
    let what = "sign-ins with a password";
    service
        .row(what, SIGN_INS, each(SIGN_INS, SIGN_INS_AT_ONCE, sign_in))
        .await;

    let people = Arc::new(service.person().await);
    let create = CreateVault {
        name: vault(),
        resource_group: Default::default(),
        region: Default::default(),
        redundancy: Default::default(),
    };
    people.create_vault(&create).await.expect("a vault");
    let credentials = people.issue_credentials(&vault()).await.expect("credentials");
    let register = |number| {
        let credentials = credentials.clone();
        async move {
            let key = MachineKey::generate();
            let name = machine_name(number);
            let registered = Client::register_with_credentials(&credentials, &name, &key, clock()).await;
            (number, registered.expect("registered").container, key)
        }
    };
    let machines = service
        .row("machines registered", items, each(items, AT_ONCE, register))
        .await;

    let protect = |number| {
        let people = people.clone();
        async move {
            let under = ProtectItem { policy: policy() };
            let done = people.protect_item(&vault(), &machine_name(number), &under).await;
            done.map(drop).expect("protected");
        }
    };
    service
        .row("items put under a policy", linked, each(linked, AT_ONCE, protect))
        .await;

    let listed = service.row("items listed, 1,000 a page", items, list(&people)).await;
    assert_eq!(listed, items);

    let mut waiting = JoinSet::new();
    let options = service.options();
    let link = async {
        for (_, container, key) in machines.into_iter().filter(|(number, ..)| *number < linked) {
            let sign_in = SignIn::Machine { container, key };
            waiting.spawn(wait_for_job(Client::new(options.clone(), sign_in).expect("a client")));
        }
        while service.linked() < linked {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    service.row("machines that come at once", linked, link).await;
    let minute = tokio::time::sleep(Duration::from_secs(60));
    service.row("machines idle on the link", linked, minute).await;

    let due = soon();
    let mut rules = DEFAULT_POLICIES[3].policy();
    let time = due.to_zoned(jiff::tz::TimeZone::UTC).time();
    rules.schedule = Schedule::Daily { times: vec![time] };
    rules.retention.daily.as_mut().expect("it has one").times = vec![time];
    let change = ChangePolicy { rules };
    let changed = people.change_policy(&vault(), &policy(), &change, None).await;
    changed.expect("a policy");
    let pause = due.duration_since(clock().now());
    tokio::time::sleep(pause.try_into().expect("it is to come")).await;
    let what = "due backups, until each machine has its job";
    let mut came = service.row(what, linked, waiting.join_all()).await;
    came.sort();
    let after = |part: f64| {
        let index = (part * (came.len() - 1) as f64) as usize;
        came[index].duration_since(due).as_secs_f64()
    };
    println!(
        "\nFrom the moment until the machine has its job: first {:.2} s, median {:.2} s, p99 {:.2} s, last {:.2} s",
        after(0.0),
        after(0.5),
        after(0.99),
        after(1.0)
    );
}
