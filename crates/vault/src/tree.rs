//! The key tree, of which only the living part is kept.
//!
//! A GGM tree of arity 4 and depth 20 over the 40-bit tags (Goldreich, Goldwasser, Micali 1986), punctured as in
//! Backendal, Günther and Paterson, *Puncturable Key Wrapping and Its Applications* (ASIACRYPT 2022). Because timed tags
//! are ordered by the second of death, "everything up to now" is one range and one step drops it.

use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::cipher::{Key, LABEL, Mac, mac};
use crate::locked::Locked;
use crate::tag::Tag;

mod path;

use path::Path;

/// Depth of a leaf.
const DEPTH: u8 = 20;
const SEED_BYTES: usize = 32;
/// Bytes of one node in the state: left u40, depth u8, seed.
const NODE_BYTES: usize = 5 + 1 + SEED_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    left: u64,
    depth: u8,
}

impl Node {
    /// How many tags the subtree holds.
    fn size(self) -> u64 {
        1 << (2 * (DEPTH - self.depth.min(DEPTH)))
    }

    fn end(self) -> u64 {
        self.left + self.size()
    }

    fn child(self, branch: u8) -> Self {
        let child = Self { left: self.left, depth: self.depth + 1 };
        Self { left: self.left + u64::from(branch) * child.size(), ..child }
    }
}

/// Tags from `lo` up to, but not with, `hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Range {
    pub(crate) lo: Tag,
    pub(crate) hi: Tag,
}

impl Range {
    pub(crate) fn up_to(hi: Tag) -> Self {
        Self { lo: Tag(0), hi }
    }

    pub(crate) fn one(tag: Tag) -> Self {
        Self { lo: tag, hi: Tag(tag.0 + 1) }
    }
}

/// Why the bytes are not a frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadFrontier {
    Short,
    Depth,
    Alignment,
    Order,
}

/// The largest subtrees without a dropped tag: what can still be derived, and nothing else.
///
/// Nodes are in order and disjoint. The seeds stand in locked memory beside them.
#[derive(Debug)]
pub(crate) struct Frontier {
    generation: u32,
    nodes: Vec<Node>,
    seeds: Locked,
    path: Mutex<Path>,
}

impl Frontier {
    /// A whole tree under a fresh seed.
    pub(crate) fn fresh(seed: &Key, generation: u32) -> Self {
        Self::of(generation, vec![Node { left: 0, depth: 0 }], Locked::of(seed))
    }

    fn of(generation: u32, nodes: Vec<Node>, seeds: Locked) -> Self {
        Self { generation, nodes, seeds, path: Mutex::default() }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    #[cfg(test)]
    pub(crate) fn node_count(&self) -> usize {
        self.nodes.len()
    }

    fn seed(&self, index: usize) -> Key {
        let start = index * SEED_BYTES;
        let seed = self.seeds.get(start..).and_then(|rest| rest.first_chunk());
        seed.map_or(Key::ZERO, |bytes| Key(*bytes))
    }

    fn covering(&self, tag: Tag) -> Option<(usize, Node)> {
        let index = self.nodes.partition_point(|node| node.left <= tag.0).checked_sub(1)?;
        let node = *self.nodes.get(index)?;
        (tag.0 < node.end()).then_some((index, node))
    }

    /// Whether the key of this tag still exists.
    pub(crate) fn is_open(&self, tag: Tag) -> bool {
        self.covering(tag).is_some()
    }

    /// The first tag from `from` on, and before `end`, whose key still exists.
    pub(crate) fn next_open(&self, from: Tag, end: Tag) -> Option<Tag> {
        let index = self.nodes.partition_point(|node| node.end() <= from.0);
        let tag = Tag(self.nodes.get(index)?.left.max(from.0));
        (tag < end).then_some(tag)
    }

    /// The key of a tag, or nothing once the tag was dropped.
    pub(crate) fn eval(&self, tag: Tag) -> Option<Key> {
        let (index, node) = self.covering(tag)?;
        // A walk that broke off has left no path, so one that panicked spoils nothing.
        let mut path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = path.walk(node.depth, tag, || self.seed(index));
        Some(mac(&seed.0, &[LABEL, b"leaf", &self.generation.to_be_bytes()]))
    }

    /// Drops every tag in the ranges, for good: their seeds are zeroized, and with them the last way down.
    ///
    /// The order of the ranges does not matter; neighbours become one, so that a run of single tags leaves no crumbs.
    pub(crate) fn drop_ranges(&mut self, ranges: Vec<Range>) {
        self.path.get_mut().unwrap_or_else(PoisonError::into_inner).forget();
        let ranges = merged(ranges);
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return };
        let from = self.nodes.partition_point(|node| node.end() <= first.lo.0);
        let until = self.nodes.partition_point(|node| node.left < last.hi.0);
        if from >= until {
            return;
        }
        let mut kept = Kept::default();
        for index in from..until {
            if let Some(node) = self.nodes.get(index) {
                kept.keep(*node, &self.seed(index), &ranges);
            }
        }
        self.splice(from, until, kept);
    }

    /// Puts what was kept in the place of the nodes from `from` to `until`.
    fn splice(&mut self, from: usize, until: usize, kept: Kept) {
        let before = self.seeds.get(..from * SEED_BYTES).unwrap_or_default();
        let after = self.seeds.get(until * SEED_BYTES..).unwrap_or_default();
        let mut seeds = Locked::zeroed(before.len() + kept.seeds.len() + after.len());
        let old = before.iter().chain(kept.seeds.iter()).chain(after);
        for (to, byte) in seeds.iter_mut().zip(old) {
            *to = *byte;
        }
        self.seeds = seeds;
        self.nodes.splice(from..until, kept.nodes);
    }

    /// Appends the frontier as it stands in the state.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.reserve_exact(8 + self.nodes.len() * NODE_BYTES);
        out.extend(self.generation.to_be_bytes());
        out.extend(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (node, seed) in self.nodes.iter().zip(self.seeds.chunks(SEED_BYTES)) {
            let [_, _, _, left @ ..] = node.left.to_be_bytes();
            out.extend(left);
            out.push(node.depth);
            out.extend(seed);
        }
    }

    /// How many bytes [`encode`](Self::encode) appends.
    pub(crate) fn encoded_bytes(&self) -> usize {
        8 + self.nodes.len() * NODE_BYTES
    }

    /// Reads a frontier from the start of `bytes`; gives it and the rest.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), BadFrontier> {
        let (generation, rest) = bytes.split_first_chunk().ok_or(BadFrontier::Short)?;
        let (count, rest) = rest.split_first_chunk().ok_or(BadFrontier::Short)?;
        let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|_| BadFrontier::Short)?;
        let total = count.checked_mul(NODE_BYTES).ok_or(BadFrontier::Short)?;
        let (body, rest) = rest.split_at_checked(total).ok_or(BadFrontier::Short)?;
        let mut nodes: Vec<Node> = Vec::with_capacity(count);
        let mut seeds = Locked::zeroed(count * SEED_BYTES);
        for (bytes, seed) in body.as_chunks::<NODE_BYTES>().0.iter().zip(seeds.chunks_mut(SEED_BYTES)) {
            let (head, from) = bytes.split_first_chunk::<6>().ok_or(BadFrontier::Short)?;
            // Five bytes of `left` and one of depth, read as one number.
            let [left @ .., depth] = *head;
            let left = left.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
            let node = Node { left, depth };
            if node.depth > DEPTH {
                return Err(BadFrontier::Depth);
            }
            if !node.left.is_multiple_of(node.size()) {
                return Err(BadFrontier::Alignment);
            }
            if nodes.last().is_some_and(|before| before.end() > node.left) {
                return Err(BadFrontier::Order);
            }
            nodes.push(node);
            seed.copy_from_slice(from);
        }
        Ok((Self::of(u32::from_be_bytes(*generation), nodes, seeds), rest))
    }
}

/// What is left of some nodes after the ranges are taken out.
#[derive(Default)]
struct Kept {
    nodes: Vec<Node>,
    seeds: Zeroizing<Vec<u8>>,
}

impl Kept {
    fn keep(&mut self, node: Node, seed: &Key, ranges: &[Range]) {
        // The first range that ends behind the node's start is the only one that can hold its first tag.
        let index = ranges.partition_point(|range| range.hi.0 <= node.left);
        match ranges.get(index) {
            Some(range) if range.lo.0 < node.end() => {
                if range.lo.0 <= node.left && node.end() <= range.hi.0 {
                    return;
                }
                let parent = Mac::new(&seed.0);
                for branch in 0..4 {
                    self.keep(node.child(branch), &child_seed(&parent, branch), ranges);
                }
            }
            _ => self.push(node, seed),
        }
    }

    fn push(&mut self, node: Node, seed: &Key) {
        self.nodes.push(node);
        if self.seeds.len() + SEED_BYTES > self.seeds.capacity() {
            // A vector that grows by itself leaves its old bytes behind on the heap.
            let mut larger = Zeroizing::new(Vec::with_capacity((self.seeds.capacity() * 2).max(64 * SEED_BYTES)));
            larger.extend_from_slice(&self.seeds);
            self.seeds = larger;
        }
        self.seeds.extend_from_slice(&seed.0);
    }
}

fn child_seed(parent: &Mac, branch: u8) -> Key {
    parent.of(&[LABEL, b"ggm", &[branch]])
}

/// Sorted, without empty ranges, neighbours and overlaps joined.
fn merged(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.retain(|range| range.lo < range.hi);
    ranges.sort_unstable();
    ranges.dedup_by(|next, before| {
        let joins = next.lo <= before.hi;
        if joins {
            before.hi = before.hi.max(next.hi);
        }
        joins
    });
    ranges
}

#[cfg(test)]
mod tests;
