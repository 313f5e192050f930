//! Tags: the leaves of the key tree, one 40-bit number for "when this dies".

use crate::time::Second;

/// A leaf of the key tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tag(pub(crate) u64);

/// The three regions of the tree; the tag alone tells which one it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// The tag itself says the second of death.
    Timed(Second),
    /// Given out in sequence; the row's `due_s` is the latest death, if there is one.
    Hold,
    /// The upper half of the held region, given out in a sequence of its own: a timed item whose second has no open
    /// leaf left. It dies as a held item does, at its row's `due_s`, but its timer runs.
    Spill,
    /// Given out in sequence to what is replaced by newer versions.
    Record,
}

impl Tag {
    pub(crate) const HOLD: Tag = Tag(1 << 39);
    pub(crate) const SPILL: Tag = Tag((1 << 39) + (1 << 37));
    pub(crate) const RECORD: Tag = Tag(3 << 38);
    pub(crate) const END: Tag = Tag(1 << 40);

    /// The tag of a second and its sub-leaf.
    pub(crate) fn timed(second: Second, sub: u8) -> Self {
        Self((u64::from(second.0) << 8) | u64::from(sub))
    }

    pub(crate) fn region(self) -> Region {
        if self < Self::HOLD {
            Region::Timed(Second(u32::try_from(self.0 >> 8).unwrap_or(u32::MAX)))
        } else if self < Self::SPILL {
            Region::Hold
        } else if self < Self::RECORD {
            Region::Spill
        } else {
            Region::Record
        }
    }

    /// `SQLite` has signed integers alone; 40 bits always fit.
    pub(crate) fn to_sql(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    pub(crate) fn from_sql(value: i64) -> Option<Self> {
        u64::try_from(value).ok().map(Self).filter(|tag| *tag < Self::END)
    }
}
