//! `strongroom item export`: recovery points on a disk, for a restore that is too large for the line.

use std::path::PathBuf;

use clap::Args;
use strongroom_agent::{Exported, export_points};
use strongroom_api::{Client, KeptPoint};
use strongroom_engine::Progress;
use strongroom_model::PointId;

use super::Which;
use crate::clock;
use crate::commands::block_on;
use crate::failure::{Failure, Outcome};
use crate::progress::watch;
use crate::shown_path::absolute;
use crate::terminal::{Terminal, bytes};
use crate::waiting::Waiting;

/// Export recovery points to a disk, for a restore that is too large for the line
///
/// Everything that they need is written as it lies in the vault: sealed. The machine restores from the disk with
/// `strongroom restore POINT --from-disk FOLDER`; anybody who has its passphrase or recovery key does with
/// `strongroom rescue --store FOLDER`. Nobody else can read it.
///
/// What is on the disk already is not fetched again: a further recovery point adds what is new in it, and an export that was
/// interrupted goes on. Recovery points of several machines of one vault may lie on one disk. Ends with status 3 when the vault
/// has damaged objects, which are named.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  strongroom item export web-1 --to /mnt/usb/export                (near the service)
  strongroom restore latest --from-disk /mnt/usb/export --in-place   (at the machine)
  strongroom item export web-1 --point 0199f3a0-7c1e --point latest --to /mnt/usb/export
  strongroom item export web-1 --all --to /mnt/usb/export")]
pub(crate) struct Export {
    #[command(flatten)]
    which: Which,
    /// The recovery point: an id, a unique beginning of one, or `latest`; may be given several times [default: latest]
    #[arg(long, value_name = "POINT")]
    point: Vec<String>,
    /// All recovery points of the item
    #[arg(long, conflicts_with = "point")]
    all: bool,
    /// The folder: an empty one, or one with an earlier export of the vault; it is made if it does not exist
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
}

impl Export {
    pub(super) fn run(self, client: &Client, terminal: &Terminal) -> Result<Outcome, Failure> {
        let folder = absolute(&self.to)?;
        let progress = Progress::default();
        let exported = block_on(async {
            let vault = self.which.vault(client).await?;
            let kept = client.item_points(&vault, &self.which.item).await?.points;
            let points = self.points(&kept)?;
            let waiting = Some(Waiting::for_service_of(client));
            let now = clock::system().now();
            let work = export_points(client, &vault, &points, &folder, now, &progress);
            Ok(watch(terminal, "Exporting", &progress, waiting, work).await?)
        })?;
        for damage in &exported.damaged {
            eprintln!("strongroom: damaged in the vault: {}: {}", damage.object, damage.why);
        }
        terminal.done(&exported, text)?;
        Ok(match exported.damaged.is_empty() {
            true => Outcome::Done,
            false => Outcome::Warnings,
        })
    }

    /// Those of the item's recovery points that are meant, newest last.
    fn points(&self, kept: &[KeptPoint]) -> Result<Vec<PointId>, Failure> {
        let mut kept: Vec<&KeptPoint> = kept.iter().collect();
        kept.sort_by_key(|kept| kept.point.created);
        let ids: Vec<PointId> = kept.iter().map(|kept| kept.point.id).collect();
        let latest = *ids
            .last()
            .ok_or_else(|| Failure::new(format!("{} has no recovery point yet", self.which.item)))?;
        if self.all {
            return Ok(ids);
        }
        let mut meant = Vec::new();
        for text in &self.point {
            meant.push(match text.as_str() {
                "latest" => latest,
                text => the_one(&ids, text)?,
            });
        }
        match meant.is_empty() {
            true => Ok(vec![latest]),
            false => Ok(meant),
        }
    }
}

fn the_one(ids: &[PointId], text: &str) -> Result<PointId, Failure> {
    let folded = text.to_ascii_lowercase();
    let mut fitting = ids
        .iter()
        .filter(|id| !folded.is_empty() && id.to_string().starts_with(&folded));
    match (fitting.next(), fitting.next()) {
        (Some(id), None) => Ok(*id),
        (Some(_), Some(_)) => Err(Failure::new(format!(
            "several recovery points of the item begin with \"{text}\": give more digits (see `strongroom item points`)"
        ))),
        (None, _) => Err(Failure::new(format!(
            "the item has no recovery point \"{text}\": see `strongroom item points`"
        ))),
    }
}

fn text(exported: &Exported) -> String {
    let known = match exported.points_known {
        0 => String::new(),
        known => format!(", {known} were there already"),
    };
    let written = match exported.points_written {
        1 => "1 recovery point".to_owned(),
        several => format!("{several} recovery points"),
    };
    format!(
        "Exported {written}{known}: {} in {} packs were fetched. {} holds {} objects, {} in all",
        bytes(exported.new_bytes),
        exported.packs_written,
        exported.folder.display(),
        exported.objects,
        bytes(exported.bytes)
    )
}
