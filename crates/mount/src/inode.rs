//! Numbers of inodes.

use fuser::INodeNo;

/// No recovery point has as many names.
const NAMES_BITS: u32 = 40;
const NAMES_MASK: u64 = (1 << NAMES_BITS) - 1;

/// What an inode is. As a number: the position of its recovery point in the upper 24 bits; below that 1 for the point's
/// topmost folder, and 2 and above for its names in path order. So the root of all is 1, as FUSE wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Inode {
    /// 0 is what lies on the mount point itself; if that is the list of all recovery points, they begin with 1.
    pub point: usize,
    /// The number of a name; `None` for the topmost folder.
    pub name: Option<u64>,
}

impl Inode {
    /// What lies on the mount point.
    pub const ROOT: Self = Self { point: 0, name: None };

    /// The inode with a number that the kernel was told.
    pub fn from_number(number: INodeNo) -> Option<Self> {
        let place = number.0 & NAMES_MASK;
        Some(Self {
            point: (number.0 >> NAMES_BITS) as usize,
            name: place.checked_sub(1)?.checked_sub(1),
        })
    }

    /// Its number.
    pub fn number(self) -> INodeNo {
        let place = self.name.map_or(1, |name| name.saturating_add(2) & NAMES_MASK);
        INodeNo((self.point as u64) << NAMES_BITS | place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_back() {
        assert_eq!(Inode::ROOT.number(), INodeNo(1));
        for point in [0, 1, 9999] {
            for name in [None, Some(0), Some(1), Some(NAMES_MASK - 2)] {
                let inode = Inode { point, name };
                assert_eq!(Inode::from_number(inode.number()), Some(inode));
            }
        }
        assert_eq!(Inode::from_number(INodeNo(0)), None);
    }
}
