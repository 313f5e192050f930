//! The scanner sees every disguise, wherever it lies, and nothing else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use mayfly_tests::forensics::{Canaries, Canary, Encoding, Hit, Place, Scanner};
use proptest::prelude::*;

/// A canary to be found, one that is never written, and a scanner for both.
fn scanner() -> (Canary, Scanner) {
    let mut canaries = Canaries::new();
    let (sought, other) = (canaries.make("sought").unwrap(), canaries.make("other").unwrap());
    let scanner = Scanner::new([&sought, &other]).unwrap();
    (sought, scanner)
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that hold no stream and compress badly.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[1]
    })
    .take(length)
    .collect()
}

fn encodings(hits: &BTreeSet<Hit>) -> BTreeSet<(Encoding, bool)> {
    assert!(hits.iter().all(|hit| hit.label == "sought"), "the other canary was never written");
    hits.iter().map(|hit| (hit.encoding, hit.compressed)).collect()
}

#[test]
fn every_disguise_is_found_and_told_apart() {
    let (canary, scanner) = scanner();
    let text = canary.text();
    let digits = text.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect();
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let cases: Vec<(&str, Vec<u8>, Encoding, bool)> = vec![
        ("text", text.clone().into_bytes(), Encoding::Utf8, false),
        ("utf-16le", little, Encoding::Utf16, false),
        ("utf-16be", big, Encoding::Utf16, false),
        ("hex", hex.clone().into_bytes(), Encoding::Hex, false),
        ("HEX", hex.to_uppercase().into_bytes(), Encoding::Hex, false),
        ("zlib", zlib(text.as_bytes()), Encoding::Utf8, true),
        ("gzip", gzip(text.as_bytes()), Encoding::Utf8, true),
        ("hex in zlib", zlib(hex.as_bytes()), Encoding::Hex, true),
        ("zlib in gzip", gzip(&zlib(text.as_bytes())), Encoding::Utf8, true),
        ("zlib with a torn end", zlib(text.as_bytes())[..30].to_vec(), Encoding::Utf8, true),
    ];
    for (name, bytes, encoding, compressed) in cases {
        let around = [noise(777), bytes, noise(555)].concat();
        let found = encodings(&scanner.bytes(name, &around));
        assert_eq!(found, BTreeSet::from([(encoding, compressed)]), "{name}");
    }
}

#[test]
fn base64_is_found_at_each_alignment_and_in_both_alphabets() {
    let (canary, scanner) = scanner();
    for before in 0..6 {
        for after in 0..3 {
            let bytes = [noise(before), canary.text().into_bytes(), noise(after)].concat();
            for encoded in [STANDARD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
                let hits = scanner.bytes("base64", encoded.as_bytes());
                assert_eq!(encodings(&hits), BTreeSet::from([(Encoding::Base64, false)]));
                assert_eq!(hits.len(), 3, "each of the three words, {before} bytes in");
            }
        }
    }
}

#[test]
fn a_single_surviving_word_is_a_find() {
    let (canary, scanner) = scanner();
    for word in canary.words() {
        let torn = [&canary.text().as_bytes()[..9], word.as_bytes(), b"...".as_slice()].concat();
        assert_eq!(scanner.bytes("torn", &torn).len(), 1);
    }
    assert!(scanner.bytes("torn", &canary.text().as_bytes()[1..10]).is_empty());
}

#[test]
fn nothing_hides_on_the_border_of_a_window() {
    let (canary, scanner) = scanner();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let word = canary.words()[0].as_bytes();
    let packed = zlib(word);
    let border = 1 << 20;
    // Every position around the first border, then a few around the second.
    let around = (border - 24..border + 4).chain(2 * border - 40..2 * border - 5);
    for at in around {
        for (bytes, compressed) in [(word, false), (packed.as_slice(), true)] {
            let mut large = noise(3 * border / 2 + at / 2);
            large[at..at + bytes.len()].copy_from_slice(bytes);
            fs::write(&path, &large).unwrap();
            let report = scanner.file(&path).unwrap();
            let hit = report.hits.iter().next().unwrap();
            assert_eq!((report.hits.len(), hit.offset), (1, at as u64), "{compressed} at {at}");
            assert_eq!((hit.compressed, report.bytes), (compressed, large.len() as u64));
        }
    }
}

#[test]
fn a_stream_longer_than_a_window_is_followed_to_its_end() {
    let (canary, scanner) = scanner();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("long");
    let letters: Vec<u8> = noise(4 << 20).iter().map(|byte| b'A' + byte % 16).collect();
    let packed = zlib(&[letters, canary.text().into_bytes()].concat());
    assert!(packed.len() > 3 << 19, "longer than a window: {}", packed.len());
    fs::write(&path, [noise(1000), packed].concat()).unwrap();
    let report = scanner.file(&path).unwrap();
    assert_eq!(encodings(&report.hits), BTreeSet::from([(Encoding::Utf8, true)]));
    assert_eq!(report.hits.iter().next().unwrap().offset, 1000);
}

#[test]
fn a_tree_is_searched_with_its_names_and_links_and_without_following_them() {
    let (canary, scanner) = scanner();
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a").join("b");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("file"), canary.text()).unwrap();
    fs::write(dir.path().join(format!("{}.jpg", canary.words()[0])), "").unwrap();
    std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
    std::os::unix::fs::symlink(&canary.words()[1], deep.join("link")).unwrap();
    let report = scanner.tree(dir.path()).unwrap();
    let places: BTreeSet<Place> = report.hits.iter().map(|hit| hit.place.clone()).collect();
    let expected =
        BTreeSet::from([Place::File(deep.join("file")), Place::Name(deep), Place::Name(dir.path().to_owned())]);
    assert_eq!(places, expected);
    assert_eq!((report.files, report.unreadable.len()), (2, 0));
}

#[test]
fn a_report_never_prints_the_canary() {
    let (canary, scanner) = scanner();
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().join(canary.text());
    fs::write(&named, "").unwrap();
    fs::write(dir.path().join("file"), canary.text()).unwrap();
    let report = scanner.tree(dir.path()).unwrap();
    let mut printed = format!("{:?}", report.hits);
    for hit in &report.hits {
        writeln!(printed, "{hit}").unwrap();
    }
    assert!(printed.contains("a name in") && printed.contains("canary sought as Utf8"));
    let printed = format!("{printed} {canary:?} {report:?}");
    assert!(canary.words().iter().all(|word| !printed.contains(word.as_str())));
}

#[test]
fn canaries_differ_and_a_search_without_a_leak_finds_nothing() {
    let mut canaries = Canaries::new();
    let many: Vec<Canary> = (0..2_000).map(|number| canaries.make(number.to_string()).unwrap()).collect();
    let words: BTreeSet<&String> = many.iter().flat_map(Canary::words).collect();
    assert_eq!(words.len(), 6_000);
    let scanner = Scanner::new(&many).unwrap();
    assert!(scanner.bytes("noise", &noise(4 << 20)).is_empty());
    assert!(scanner.file(Path::new("/proc/self/exe")).unwrap().hits.is_empty());
    let all: String = many.iter().map(Canary::text).collect();
    let found = scanner.bytes("all", all.as_bytes());
    assert_eq!(found.iter().map(|hit| &hit.label).collect::<BTreeSet<_>>().len(), 2_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_word_is_found_wherever_it_lies(before in 0_usize..5_000, after in 0_usize..5_000) {
        let (canary, scanner) = scanner();
        let bytes = [noise(before), canary.words()[2].clone().into_bytes(), noise(after)].concat();
        let hits = scanner.bytes("bytes", &bytes);
        prop_assert_eq!(hits.iter().map(|hit| hit.offset).collect::<Vec<_>>(), [before as u64]);
    }
}
