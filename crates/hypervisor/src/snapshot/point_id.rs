//! The id of a point, and how what belongs to it is called in QEMU.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::machine::OURS;

/// Which point it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PointId(Uuid);

/// What is made for each disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Layer {
    Fleece,
    Filter,
    Past,
    Export,
}

impl PointId {
    /// The point of this id.
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The bitmap of what changes since the point.
    pub fn bitmap(self) -> String {
        format!("{OURS}{}", self.0)
    }

    /// The point that a bitmap is of, if it is of one.
    pub(super) fn of_bitmap(name: &str) -> Option<Self> {
        let id = Uuid::try_parse(name.strip_prefix(OURS)?).ok().map(Self)?;
        (id.bitmap() == name).then_some(id)
    }

    /// The bitmap of what had changed until the point.
    pub(super) fn changes(self) -> String {
        format!("{OURS}{}{}", Self::CHANGES, self.0)
    }

    pub(super) fn is_changes(name: &str) -> bool {
        let rest = name
            .strip_prefix(OURS)
            .and_then(|rest| rest.strip_prefix(Self::CHANGES));
        rest.is_some_and(|id| Uuid::try_parse(id).is_ok())
    }

    const CHANGES: &str = "changes-";

    /// The name of a layer of the disk of this number. A name of a node has 31 bytes at most.
    pub(super) fn layer(self, layer: Layer, disk: usize) -> String {
        let kind = match layer {
            Layer::Fleece => "fl",
            Layer::Filter => "cb",
            Layer::Past => "sa",
            Layer::Export => "ex",
        };
        format!("{OURS}{kind}-{}-{disk}", self.short())
    }

    /// The half of the id that is all chance: for names that have to be short.
    pub(super) fn short(self) -> String {
        format!("{:016x}", self.0.as_u64_pair().1)
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::NodeName;

    #[test]
    fn names_are_told_apart() {
        let point = PointId::new(Uuid::from_u128(7));
        assert_eq!(PointId::of_bitmap(&point.bitmap()), Some(point));
        assert!(PointId::is_changes(&point.changes()) && !PointId::is_changes(&point.bitmap()));
        assert_eq!(PointId::of_bitmap(&point.changes()), None);
        for foreign in [
            "ob-1",
            "ob-",
            "bm1",
            "ob-changes-",
            "00000000-0000-0000-0000-000000000007",
            "ob-00000000000000000000000000000007",
        ] {
            assert!(
                PointId::of_bitmap(foreign).is_none() && !PointId::is_changes(foreign),
                "{foreign}"
            );
        }
        assert!(point.layer(Layer::Fleece, 99_999).parse::<NodeName>().is_ok());
    }
}
