//! The frontier against the plainest model there is: a list of dropped ranges.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn encoded(tree: &Frontier) -> Vec<u8> {
    let mut out = Vec::new();
    tree.encode(&mut out);
    out
}

/// Ranges that are sometimes tiny, sometimes huge, and mostly close to each other.
fn any_range() -> impl Strategy<Value = Range> {
    let near = (0u64..2000, 0u64..300).prop_map(|(lo, length)| (Tag::HOLD.0 + lo, length));
    let far = (0u64..Tag::END.0, 0u64..=Tag::END.0);
    prop_oneof![4 => near, 1 => far]
        .prop_map(|(lo, length)| Range { lo: Tag(lo), hi: Tag(lo.saturating_add(length).min(Tag::END.0)) })
}

fn borders(ranges: &[Range]) -> Vec<u64> {
    let near = |tag: u64| [tag.saturating_sub(1), tag, tag + 1];
    ranges.iter().flat_map(|r| [near(r.lo.0), near(r.hi.0)].concat()).filter(|tag| *tag < Tag::END.0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn exactly_what_no_range_dropped_is_alive_and_its_key_never_changes(
        ranges in vec(any_range(), 0..12),
        others in vec(0u64..Tag::END.0, 0..20),
    ) {
        let whole = Frontier::fresh(&Key([5; 32]), 3);
        let (mut singly, mut at_once) = (Frontier::fresh(&Key([5; 32]), 3), Frontier::fresh(&Key([5; 32]), 3));
        for range in &ranges {
            singly.drop_ranges(vec![*range]);
        }
        at_once.drop_ranges(ranges.clone());
        prop_assert_eq!(encoded(&singly), encoded(&at_once), "in whatever order, the same frontier");
        for tag in borders(&ranges).into_iter().chain(others).map(Tag) {
            let is_dropped = ranges.iter().any(|range| range.lo <= tag && tag < range.hi);
            let expected = if is_dropped { None } else { whole.eval(tag) };
            prop_assert_eq!(singly.is_open(tag), !is_dropped);
            prop_assert_eq!(singly.eval(tag), expected);
            let next = singly.next_open(tag, Tag::END);
            prop_assert!(next.is_none_or(|next| next >= tag && singly.is_open(next)));
            prop_assert!(is_dropped || next == Some(tag));
        }
    }

    #[test]
    fn subtrees_are_as_large_as_they_can_be(ranges in vec(any_range(), 1..6)) {
        let mut tree = Frontier::fresh(&Key([5; 32]), 0);
        tree.drop_ranges(ranges);
        for four in tree.nodes.windows(4) {
            let is_family = four.iter().all(|node| node.depth == four[0].depth && node.depth > 0)
                && four.windows(2).all(|pair| pair[0].end() == pair[1].left)
                && four[0].left.is_multiple_of(four[0].size() * 4);
            prop_assert!(!is_family, "four children stand where their parent could");
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        if let Ok((tree, rest)) = Frontier::decode(&bytes) {
            let mut again = encoded(&tree);
            again.extend_from_slice(rest);
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn a_million_tags_in_sequence_leave_a_small_frontier() {
    let mut tree = Frontier::fresh(&Key([5; 32]), 0);
    tree.drop_ranges(vec![Range { lo: Tag::HOLD, hi: Tag(Tag::HOLD.0 + 1_000_000) }]);
    assert!(tree.node_count() < 70, "{}", tree.node_count());
    assert_eq!(tree.next_open(Tag::HOLD, Tag::RECORD), Some(Tag(Tag::HOLD.0 + 1_000_000)));
}

#[test]
fn nothing_of_a_dropped_leaf_stays_in_memory() {
    let mut tree = Frontier::fresh(&Key([5; 32]), 0);
    let tag = Tag(Tag::HOLD.0 + 77);
    assert!(tree.eval(tag).is_some());
    assert!(tree.path.get_mut().unwrap().bytes().iter().any(|byte| *byte != 0), "the way down is remembered");
    tree.drop_ranges(vec![Range::one(tag)]);
    assert!(tree.path.get_mut().unwrap().bytes().iter().all(|byte| *byte == 0), "and forgotten with the leaf");
    assert_eq!(tree.eval(tag), None);
}
