//! The way down to the leaf that was asked for last.

use zeroize::Zeroize;

use super::{DEPTH, SEED_BYTES, child_seed};
use crate::cipher::{Key, Mac};
use crate::locked::Locked;
use crate::tag::Tag;

/// The seeds on the way from a node of the frontier to the last leaf.
///
/// What is written or read together mostly dies together, so the next leaf is mostly a neighbour: then the two ways part
/// a few levels above it, and only those are derived. Every seed in here follows from the frontier as it stands, so the
/// path is forgotten whenever the frontier changes.
#[derive(Debug, Default)]
pub(super) struct Path {
    /// Where it begins and which leaf it leads to; nothing while it is forgotten.
    way: Option<(u8, Tag)>,
    /// One seed for each depth; none before the first use.
    seeds: Option<Locked>,
}

impl Path {
    /// The seed of the leaf `tag` below the frontier's node at depth `top`, whose own seed is `seed`.
    pub(super) fn walk(&mut self, top: u8, tag: Tag, seed: impl FnOnce() -> Key) -> Key {
        let parting = self.way.filter(|(begins, _)| *begins == top).map(|(_, last)| shared_depth(last, tag));
        let mut at = match parting.filter(|depth| *depth >= top) {
            Some(depth) => (depth, self.seed(depth)),
            None => (top, seed()),
        };
        // Should the walk break off, no half-written path counts.
        self.way = None;
        self.keep(at.0, &at.1);
        while at.0 < DEPTH {
            at = (at.0 + 1, child_seed(&Mac::new(&at.1.0), branch(at.0, tag)));
            self.keep(at.0, &at.1);
        }
        self.way = Some((top, tag));
        at.1
    }

    /// Zeroizes every seed in it.
    pub(super) fn forget(&mut self) {
        self.way = None;
        if let Some(seeds) = &mut self.seeds {
            seeds.zeroize();
        }
    }

    fn seed(&self, depth: u8) -> Key {
        let bytes = self.seeds.as_ref().and_then(|seeds| seeds.get(usize::from(depth) * SEED_BYTES..));
        bytes.and_then(|bytes| bytes.first_chunk()).map_or(Key::ZERO, |bytes| Key(*bytes))
    }

    fn keep(&mut self, depth: u8, seed: &Key) {
        let seeds = self.seeds.get_or_insert_with(|| Locked::zeroed((usize::from(DEPTH) + 1) * SEED_BYTES));
        if let Some(room) = seeds.get_mut(usize::from(depth) * SEED_BYTES..).and_then(|rest| rest.first_chunk_mut()) {
            *room = seed.0;
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        self.seeds.as_deref().unwrap_or_default()
    }
}

/// Which child of its ancestor at `depth` a tag lies below.
pub(super) fn branch(depth: u8, tag: Tag) -> u8 {
    let shift = 2 * (DEPTH - 1).saturating_sub(depth);
    u8::try_from((tag.0 >> shift) & 3).unwrap_or(0)
}

/// The depth of the smallest subtree that holds both.
fn shared_depth(one: Tag, other: Tag) -> u8 {
    let unused_bits = u64::BITS - 2 * u32::from(DEPTH);
    let common = ((one.0 ^ other.0) << unused_bits).leading_zeros() / 2;
    u8::try_from(common).unwrap_or(DEPTH).min(DEPTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_leaves_part_where_their_digits_first_differ() {
        assert_eq!(shared_depth(Tag(0), Tag(0)), DEPTH);
        assert_eq!(shared_depth(Tag(0), Tag(1)), DEPTH - 1);
        assert_eq!(shared_depth(Tag(3), Tag(4)), DEPTH - 2);
        assert_eq!(shared_depth(Tag(0), Tag(1 << 39)), 0);
        assert_eq!(shared_depth(Tag(0), Tag(1 << 37)), 1);
    }

    #[test]
    fn a_path_leads_to_the_same_leaf_from_wherever_it_starts() {
        let root = Key([5; 32]);
        let mut kept = Path::default();
        for tag in [0, 1, 2, 700, 701, 1 << 39, (1 << 40) - 1, 700].map(Tag) {
            assert_eq!(kept.walk(0, tag, || root.clone()), Path::default().walk(0, tag, || root.clone()));
        }
        kept.forget();
        assert!(kept.bytes().iter().all(|byte| *byte == 0));
        // Nothing of the forgotten path is used for the next.
        let other = Key([6; 32]);
        assert_eq!(kept.walk(0, Tag(700), || other.clone()), Path::default().walk(0, Tag(700), || other.clone()));
    }
}
