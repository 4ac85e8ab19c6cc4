//! What a restore would do.

use strongroom_format::entry::Node;

use super::task::{Fate, Task};
use super::write::size;
use super::{Batches, RestoreReport};

/// What a restore would do with one entry.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Where it would go, below the target.
    pub path: Vec<u8>,
    /// What would become of it.
    pub fate: Fate,
    /// What the recovery point has, without its contents.
    pub node: Box<Node>,
}

/// Tells of every entry instead of writing it.
pub fn tell(batches: &Batches, mut report: RestoreReport, mut each: impl FnMut(Planned)) -> RestoreReport {
    for task in batches.iter().flatten() {
        let planned = match task {
            Task::Make(place, node) | Task::Begin(place, node, _) => Planned {
                path: place.path,
                fate: place.fate,
                node,
            },
            Task::Keep(path, node) => Planned {
                path,
                fate: Fate::Kept,
                node,
            },
            Task::Skip(path, node) => Planned {
                path,
                fate: Fate::Skipped,
                node,
            },
            Task::Write(_) | Task::Finish | Task::Abandon(_) => continue,
        };
        report.count(planned.fate);
        if planned.fate != Fate::Skipped {
            report.entries += 1;
            report.bytes += size(&planned.node);
        }
        each(planned);
    }
    report
}
