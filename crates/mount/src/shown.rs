//! What is shown: one recovery point, or several in folders of their own.

use std::sync::Arc;
use std::time::SystemTime;

use strongroom_engine::browse::{BrowsedPoint, PointTree, Unreadable};

use crate::inode::Inode;

/// What lies on the mount point.
pub enum Shown {
    /// A recovery point.
    One(BrowsedPoint),
    /// A folder for each.
    All(Vec<PointFolder>),
}

/// A recovery point and the name of its folder, which no other one has.
pub struct PointFolder {
    /// Without slashes.
    pub name: String,
    /// What is in it.
    pub point: BrowsedPoint,
}

impl Shown {
    /// The folders of the recovery points, if there are such: what lies on the mount point then.
    pub fn folders(&self) -> Option<&[PointFolder]> {
        match self {
            Self::One(_) => None,
            Self::All(folders) => Some(folders),
        }
    }

    /// Whether an inode is the list of all recovery points.
    pub fn is_list(&self, inode: Inode) -> bool {
        inode == Inode::ROOT && matches!(self, Self::All(_))
    }

    /// The recovery point that an inode belongs to.
    pub fn point(&self, inode: Inode) -> Option<&BrowsedPoint> {
        match self {
            Self::One(point) => (inode.point == 0).then_some(point),
            Self::All(folders) => Some(&folders.get(inode.point.checked_sub(1)?)?.point),
        }
    }

    /// The names of the recovery point that an inode belongs to.
    pub async fn tree(&self, inode: Inode) -> Result<&Arc<PointTree>, Unreadable> {
        let no_such = || Unreadable("the kernel asks for a recovery point that it was not told of".into());
        self.point(inode).ok_or_else(no_such)?.tree().await
    }

    /// When what lies on the mount point was made: the newest point.
    pub fn created(&self) -> SystemTime {
        match self {
            Self::One(point) => point.created().into(),
            Self::All(folders) => {
                let newest = folders.last().map(|folder| folder.point.created().into());
                newest.unwrap_or(SystemTime::UNIX_EPOCH)
            }
        }
    }
}
