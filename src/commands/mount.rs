//! `strongroom mount`: recovery points as a file system.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use strongroom_agent::{AgentError, Machine};
use strongroom_api::{PointFilter, RetryPolicy};
use strongroom_engine::browse::Browser;
use strongroom_model::{MachineName, PointId};
use strongroom_mount::{LONGEST, MountPoint, Mounted, PointFolder, Shown, mount};

use crate::cli::Global;
use crate::commands::{agent, block_on};
use crate::failure::{Failure, Outcome};
use crate::interrupt;
use crate::shown_path::absolute;
use crate::terminal::Terminal;
use crate::unlock::OtherKeys;
use crate::waiting::{Waiting, first_calls};

/// Mount a recovery point, or all of them, as a file system to look at and copy from
///
/// Nothing is fetched before somebody looks at it, and nothing can be changed. Everything is there with its full path, owner,
/// permissions, times, attributes and links: `mount latest /mnt` shows /etc/hosts as /mnt/etc/hosts. A file that cannot be read
/// gives an input/output error, and the reason is told here; while the service is away, readers wait.
///
/// It runs until it is unmounted: by Ctrl-C, by SIGTERM, by `fusermount3 -u DIR`, when nobody has looked at anything for as long
/// as `--idle` says, or after 24 hours. To have it run in the background, put an `&` behind the command, or start it with `systemd-run --user`.
///
/// Users other than root need the package fuse3. What a process that was killed left mounted is freed by the same command, or by
/// `fusermount3 -u DIR`.
#[derive(Debug, Args)]
#[command(override_usage = "strongroom mount [OPTIONS] <POINT> <DIR>\n       strongroom mount [OPTIONS] --all <DIR>")]
#[command(after_long_help = "\
Examples:
  strongroom mount latest /mnt
  strongroom mount 0199f3a0-7c1e /mnt --idle 30m
  strongroom mount latest /mnt --machine web-1 --allow-other
  strongroom mount --all /mnt
  systemd-run --user strongroom mount latest /home/ann/recovered")]
pub(crate) struct Mount {
    /// The recovery point: an id, a unique beginning of one, or `latest`; with --all the folder stands here
    #[arg(value_name = "POINT")]
    point: PathBuf,
    /// The folder to mount on; it has to be empty
    #[arg(value_name = "DIR", required_unless_present = "all", conflicts_with = "all")]
    dir: Option<PathBuf>,
    /// All recovery points that there are now, each in a folder named by its time
    #[arg(long)]
    all: bool,
    /// Those of another machine of the vault: one that uses the same passphrase, or another one that is given here
    #[arg(long, value_name = "NAME")]
    machine: Option<MachineName>,
    #[command(flatten)]
    keys: OtherKeys,
    /// Unmount when nobody has looked at anything for so long, such as 30m or 6h; 24h at most
    #[arg(long, value_name = "TIME", default_value = "6h", value_parser = idle_limit)]
    idle: Duration,
    /// Let other users in, as far as permissions allow; else only the user who mounts may look
    #[arg(long)]
    allow_other: bool,
}

#[derive(Serialize)]
struct MountedView {
    mounted: PathBuf,
    points: Vec<PointId>,
}

impl Mount {
    pub(crate) fn run(self, global: &Global, terminal: &Terminal) -> Result<Outcome, Failure> {
        let (point, dir) = self.point_and_dir();
        let machine = agent::open(global, RetryPolicy::PATIENT)?;
        let folder = MountPoint::prepare(&absolute(dir)?)?;
        block_on(async {
            let machine = self.keys.given_to(machine, None, terminal).await?;
            let opening = self.shown(&machine, point.as_deref());
            let (shown, points) = first_calls(machine.client(), terminal, opening).await?;
            // Before anything is mounted, so that nothing stays so.
            let interrupted = interrupt::requested();
            let view = MountedView {
                mounted: folder.path().to_owned(),
                points,
            };
            let mounted = mount(shown, folder, self.allow_other)?;
            terminal.announce(&view, |view| self.announcement(view))?;
            let waiting = Waiting::for_service_of(machine.client());
            self.watch(mounted, waiting, interrupted, terminal).await
        })
    }

    /// What to mount, all if it is `None`, and where.
    fn point_and_dir(&self) -> (Option<String>, &Path) {
        match &self.dir {
            Some(dir) => (Some(self.point.to_string_lossy().into_owned()), dir),
            None => (None, &self.point),
        }
    }

    async fn shown(&self, machine: &Machine, point: Option<&str>) -> Result<(Shown, Vec<PointId>), AgentError> {
        let filter = match &self.machine {
            Some(name) => PointFilter::Machine(name.clone()),
            None => PointFilter::Own,
        };
        let browser = machine.browser();
        let Some(point) = point else {
            let points = machine.openable_points(&filter).await?;
            let ids = points.iter().map(|point| point.id).collect();
            let points = points.iter().map(|point| (point.id, point.created)).collect();
            return Ok((Shown::All(folders(&browser, points)), ids));
        };
        let point = machine.find_and_open(point, &filter).await?;
        Ok((Shown::One(browser.opened(&point)), vec![point.header.point]))
    }

    fn announcement(&self, view: &MountedView) -> String {
        let what = match &view.points[..] {
            [point] if !self.all => format!("Recovery point {point} is"),
            points => format!("{} recovery points are", points.len()),
        };
        let at = view.mounted.display();
        let idle = SignedDuration::try_from(self.idle).unwrap_or_default();
        format!("{what} mounted on {at}. Ctrl-C unmounts, and so do {idle:#} without a look at it.")
    }

    /// Stays until it is or has to be unmounted.
    async fn watch(
        &self,
        mut mounted: Mounted,
        mut waiting: Waiting,
        interrupted: impl Future<Output = ()>,
        terminal: &Terminal,
    ) -> Result<Outcome, Failure> {
        let idle = mounted.idle(self.idle);
        tokio::pin!(idle, interrupted);
        loop {
            tokio::select! {
                () = mounted.ended() => {
                    terminal.say("It was unmounted.");
                    return Ok(Outcome::Done);
                }
                () = &mut interrupted => break,
                () = &mut idle => {
                    terminal.say("Unmounting: its time is over.");
                    break;
                }
                notice = waiting.notice() => {
                    if !terminal.is_quiet() {
                        eprintln!("{notice}");
                    }
                }
            }
        }
        waiting.give_up();
        mounted.unmount()?;
        Ok(Outcome::Done)
    }
}

/// A folder for each recovery point: 2026-11-21T18-30-00Z, and for another one of the same second 2026-11-21T18-30-00Z-2.
fn folders(browser: &Browser, points: Vec<(PointId, Timestamp)>) -> Vec<PointFolder> {
    let names = folder_names(points.iter().map(|(_, created)| *created));
    let folder = |(name, (id, created))| PointFolder {
        name,
        point: browser.point(id, created),
    };
    names.into_iter().zip(points).map(folder).collect()
}

fn folder_names(times: impl Iterator<Item = Timestamp>) -> Vec<String> {
    let mut taken = HashSet::new();
    let name = |time: Timestamp| {
        // Without colons, which would make a host's name of the time to rsync and scp.
        let plain = time.strftime("%Y-%m-%dT%H-%M-%SZ").to_string();
        let numbered = (2_u32..).map(|number| format!("{plain}-{number}"));
        let mut names = std::iter::once(plain.clone()).chain(numbered);
        names.find(|name| taken.insert(name.clone())).unwrap_or(plain)
    };
    times.map(name).collect()
}

fn idle_limit(text: &str) -> Result<Duration, String> {
    let usage = || "give a time such as 30m or 6h, of 24h at most".to_owned();
    let limit: SignedDuration = text.parse().map_err(|_| usage())?;
    let limit = Duration::try_from(limit).map_err(|_| usage())?;
    match limit.is_zero() || limit > LONGEST {
        false => Ok(limit),
        true => Err(usage()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_a_folder_of_its_own() {
        let times = [
            "2026-11-21T18:30:00.1Z",
            "2026-11-21T18:30:00.2Z",
            "2026-11-21T18:30:01Z",
        ];
        let names = folder_names(times.iter().filter_map(|time| time.parse().ok()));
        assert_eq!(
            names,
            ["2026-11-21T18-30-00Z", "2026-11-21T18-30-00Z-2", "2026-11-21T18-30-01Z"]
        );
    }

    #[test]
    fn idle_limits() {
        for (text, seconds) in [
            ("30m", 1800),
            ("6h", 21_600),
            ("1h 30m", 5400),
            ("24h", 86_400),
            ("90s", 90),
        ] {
            assert_eq!(idle_limit(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0s", "25h", "-5m", "soon", "30"] {
            assert!(idle_limit(text).is_err(), "{text}");
        }
    }
}
