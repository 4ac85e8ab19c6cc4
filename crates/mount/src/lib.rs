//! Recovery points as a read-only file system, by FUSE.
//!
//! ```text
//! kernel ──requests──▶ file_system ──one task each──▶ engine::browse ──▶ vault
//! ```
//!
//! A thread takes the kernel's requests and hands each to a task of its own, so that whoever waits for the vault keeps
//! nobody else waiting. Nothing is remembered about what the kernel knows: the number of an inode says of which recovery
//! point it is the how many-th name ([`inode`]). What is mounted never changes, so the kernel keeps what it was told.

#![forbid(unsafe_code)]

mod activity;
mod answers;
mod attributes;
mod file_system;
mod inode;
mod mount_point;
mod open_files;
mod shown;

pub use mount_point::{MountError, MountPoint};
pub use shown::{PointFolder, Shown};

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use activity::Activity;
use file_system::PointFileSystem;

/// However much is being read, nothing stays mounted for longer.
pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What is mounted. It has to be unmounted before the process ends.
pub struct Mounted {
    point: MountPoint,
    activity: Arc<Activity>,
    ended: oneshot::Receiver<()>,
    /// It would unmount when it is dropped, but does not know whether somebody was faster.
    _session: ManuallyDrop<BackgroundSession>,
}

/// Mounts recovery points on a folder. Requests are answered on the runtime that this is called on.
pub fn mount(shown: Shown, point: MountPoint, allow_other: bool) -> Result<Mounted, MountError> {
    let mut options = Config::default();
    options.mount_options = vec![
        MountOption::RO,
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        MountOption::FSName(mount_point::SOURCE.to_owned()),
        MountOption::Subtype(mount_point::SOURCE.to_owned()),
    ];
    if allow_other {
        options.acl = SessionACL::All;
    }
    let activity = Arc::new(Activity::begin());
    let (alive, ended) = oneshot::channel();
    let file_system = PointFileSystem::new(shown, activity.clone(), Handle::current(), alive);
    let session = Session::new(file_system, point.path(), &options).and_then(Session::spawn);
    let session = session.map_err(|error| point.not_mounted(error))?;
    Ok(Mounted {
        point,
        activity,
        ended,
        _session: ManuallyDrop::new(session),
    })
}

impl Mounted {
    /// Returns when somebody else has unmounted it.
    pub async fn ended(&mut self) {
        // Nothing is ever sent: the file system goes, and the sender with it.
        let _ = (&mut self.ended).await;
    }

    /// Returns when nothing was asked of it for so long, or it has been mounted for [`LONGEST`].
    pub fn idle(&self, limit: Duration) -> impl Future<Output = ()> + use<> {
        let activity = self.activity.clone();
        async move { activity.idle(limit).await }
    }

    /// Unmounts it. Whoever still uses it finds nothing there any more.
    pub fn unmount(self) -> Result<(), MountError> {
        self.point.unmount()
    }
}
