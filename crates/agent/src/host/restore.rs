//! The disks of a virtual machine, back from a recovery point, in the form that is wanted.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use strongroom_engine::listing::Listed;
use strongroom_engine::restore::{Picked, RestoreOptions, RestoreReport};
use strongroom_engine::{EngineError, OpenPoint, Progress};

use super::disks::DESCRIPTION;
use super::form::DiskForm;
use crate::error::AgentError;
use crate::machine::Machine;

/// Where raw disks are until they have their form. A restore that was interrupted goes on there.
const STAGE: &str = ".restoring";

/// What to restore of a virtual machine.
#[derive(Clone, Debug)]
pub struct DiskRestore {
    /// The folder that the disks come to.
    pub to: PathBuf,
    /// Their form.
    pub form: DiskForm,
    /// Which, by name; none: all.
    pub disks: Vec<String>,
}

/// A virtual machine's disks that were restored.
#[derive(Clone, Debug)]
pub struct RestoredDisks {
    /// What the restore did.
    pub report: RestoreReport,
    /// The files of the disks.
    pub files: Vec<PathBuf>,
}

impl Machine {
    /// Restores disks of a recovery point of a virtual machine. The service knows of it as a job of this machine.
    ///
    /// # Errors
    /// [`AgentError::NoDisk`] when the point has no such disk, [`AgentError::DiskExists`] when there is a file of the name of one.
    pub async fn restore_disks(
        &self,
        point: &OpenPoint,
        wanted: &DiskRestore,
        progress: Progress,
    ) -> Result<RestoredDisks, AgentError> {
        let (mut names, mut lost): (Vec<String>, _) = (Vec::new(), None);
        self.list(point, Vec::new(), |listed| match listed {
            Listed::Entry(entry) => {
                let name = String::from_utf8_lossy(&entry.path);
                names.extend(name.strip_suffix(".raw").map(str::to_owned));
            }
            Listed::Lost(why) => lost = Some(why),
        })
        .await?;
        if let Some(why) = lost {
            return Err(EngineError::Point(why).into());
        }
        if let Some(absent) = wanted.disks.iter().find(|disk| !names.contains(disk)) {
            return Err(AgentError::NoDisk {
                disk: absent.clone(),
                there: names.join(", "),
            });
        }
        if !wanted.disks.is_empty() {
            names.retain(|name| wanted.disks.contains(name));
        }
        let target = |name: &str| wanted.to.join(format!("{name}.{}", wanted.form));
        if let Some(there) = names.iter().map(|name| target(name)).find(|file| file.exists()) {
            return Err(AgentError::DiskExists(there));
        }
        let stage = wanted.to.join(STAGE);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&stage);
        made.map_err(failed("make", &stage))?;
        let paths = names.iter().map(|name| format!("{name}.raw").into_bytes());
        let options = RestoreOptions {
            picked: Picked {
                paths: paths.chain([DESCRIPTION.as_bytes().to_vec()]).collect(),
                ..Picked::default()
            },
            owners: false,
            ..RestoreOptions::to(&stage)
        };
        let report = self.restore(point, &options, progress).await?;
        let mut files = Vec::new();
        for name in &names {
            let (raw, to) = (stage.join(format!("{name}.raw")), target(name));
            // Nobody takes half a disk for a whole one.
            let part = stage.join(format!("{name}.{}.part", wanted.form));
            wanted.form.give(&raw, &part, self.now()).await?;
            fs::rename(&part, &to).map_err(failed("rename", &part))?;
            files.push(to);
        }
        let (described, to) = (stage.join(DESCRIPTION), wanted.to.join(DESCRIPTION));
        fs::rename(&described, &to).map_err(failed("rename", &described))?;
        fs::remove_dir_all(&stage).map_err(failed("remove", &stage))?;
        Ok(RestoredDisks { report, files })
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    let path = path.to_owned();
    move |source| AgentError::State { action, path, source }
}
