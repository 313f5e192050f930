//! Looks for words in files: as they are, as UTF-16, in base64 at each alignment, in hexadecimal, and in names.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    path::Path,
    time::UNIX_EPOCH,
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use zeroize::{Zeroize as _, Zeroizing};

use super::view::FindView;

/// How much of a file is looked at in one go.
const WINDOW_BYTES: u64 = 1 << 20;

/// A search over several folders.
pub(super) struct Search {
    patterns: AhoCorasick,
    disguises: Vec<&'static str>,
    longest: usize,
    /// Files read to their end.
    pub(super) files: u64,
    /// Bytes in them.
    pub(super) bytes: u64,
    /// What could not be read.
    pub(super) unreadable: u64,
    pub(super) finds: BTreeSet<FindView>,
}

impl Search {
    /// A search for these words; `None` where the automaton cannot be built.
    pub(super) fn new(words: &[Zeroizing<String>]) -> Option<Self> {
        let all: Vec<_> = words.iter().flat_map(|word| disguises(word.as_bytes())).collect();
        let patterns = AhoCorasick::new(all.iter().map(|(_, pattern)| pattern)).ok()?;
        let longest = all.iter().map(|(_, pattern)| pattern.len()).max()?;
        let disguises = all.iter().map(|(name, _)| *name).collect();
        Some(Self { patterns, disguises, longest, files: 0, bytes: 0, unreadable: 0, finds: BTreeSet::new() })
    }

    /// Searches what lies under a folder, or a single file; with `since_ms`, only what was written from then on. Links are
    /// not followed.
    pub(super) fn folder(&mut self, path: &Path, since_ms: Option<i64>) {
        let Ok(about) = fs::symlink_metadata(path) else { return };
        if about.is_dir() {
            let Ok(entries) = fs::read_dir(path) else {
                self.unreadable += 1;
                return;
            };
            for entry in entries.flatten() {
                self.name(&entry.path());
                self.folder(&entry.path(), since_ms);
            }
        } else if about.is_file() && since_ms.is_none_or(|since_ms| is_since(&about, since_ms)) {
            match self.file(path) {
                Ok(bytes) => {
                    self.files += 1;
                    self.bytes += bytes;
                }
                // What went away meanwhile holds nothing any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => self.unreadable += 1,
            }
        }
    }

    fn name(&mut self, path: &Path) {
        let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).unwrap_or_default();
        if self.patterns.is_match(&name) {
            self.finds.insert(FindView { file: path.to_owned(), disguise: "name" });
        }
    }

    fn file(&mut self, path: &Path) -> io::Result<u64> {
        let mut file = File::open(path)?;
        let (mut window, mut total) = (Vec::new(), 0);
        loop {
            let read = Read::by_ref(&mut file).take(WINDOW_BYTES).read_to_end(&mut window)?;
            if read == 0 {
                window.zeroize();
                return Ok(total);
            }
            total += read as u64;
            for found in self.patterns.find_iter(&window) {
                let disguise = self.disguises.get(found.pattern().as_usize()).copied().unwrap_or("text");
                self.finds.insert(FindView { file: path.to_owned(), disguise });
            }
            // The end is looked at again with what follows, so that nothing hides on the border.
            window.drain(..window.len().saturating_sub(self.longest));
        }
    }
}

fn is_since(about: &fs::Metadata, since_ms: i64) -> bool {
    let written = about.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    // A time that cannot be told counts as now.
    written.is_none_or(|at| i64::try_from(at.as_millis()).unwrap_or(i64::MAX) >= since_ms)
}

/// All byte strings that betray a word.
fn disguises(word: &[u8]) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
    let mut all = vec![("text", Zeroizing::new(word.to_vec()))];
    // Letters with zeros between, without a zero at either end: this lies in both byte orders.
    let mut wide: Vec<u8> = word.iter().flat_map(|byte| [*byte, 0]).collect();
    wide.pop();
    all.push(("utf16", Zeroizing::new(wide)));
    for before in 0..3_usize {
        let padded = Zeroizing::new([vec![0; before], word.to_vec()].concat());
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(&*padded).into_bytes());
        // Of the letters at both ends some bits belong to the neighbours: those letters vary.
        let certain = encoded.get((before * 8).div_ceil(6)..padded.len() * 8 / 6).unwrap_or_default();
        all.push(("base64", Zeroizing::new(certain.to_vec())));
    }
    let lower = hex::encode(word);
    all.push(("hex", Zeroizing::new(lower.to_uppercase().into_bytes())));
    all.push(("hex", Zeroizing::new(lower.into_bytes())));
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found_in(files: &[(&str, Vec<u8>)], words: &[Zeroizing<String>]) -> Vec<(String, &'static str)> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("below")).unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join("below").join(name), bytes).unwrap();
        }
        let mut search = Search::new(words).unwrap();
        search.folder(folder.path(), None);
        assert_eq!((search.files, search.unreadable), (files.len() as u64, 0));
        let name = |find: &FindView| find.file.file_name().unwrap().to_str().unwrap().to_owned();
        search.finds.iter().map(|find| (name(find), find.disguise)).collect()
    }

    #[test]
    fn a_word_is_found_in_every_disguise_and_across_windows() {
        let words = super::super::canary::words().unwrap();
        let word = words.last().unwrap().as_str();
        let wide: Vec<u8> = word.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let border = [vec![b'x'; (1 << 20) - 5], word.as_bytes().to_vec()].concat();
        let files = [
            ("a", format!("say {word}!").into_bytes()),
            ("b", wide),
            ("c", STANDARD_NO_PAD.encode(format!("xy{word}z")).into_bytes()),
            ("d", hex::encode_upper(word).into_bytes()),
            ("e", border),
            (word, Vec::new()),
            ("f", b"nothing of the kind".to_vec()),
        ];
        let mut found = found_in(&files, &words);
        found.sort();
        let expected = [("a", "text"), ("b", "utf16"), ("c", "base64"), ("d", "hex"), ("e", "text"), (word, "name")];
        let mut expected = expected.map(|(name, disguise)| (name.to_owned(), disguise));
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_was_written_before_is_passed_over_only_where_it_is_asked() {
        let words = super::super::canary::words().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("old"), words.first().unwrap().as_bytes()).unwrap();
        for (since_ms, files) in [(None, 1), (Some(0), 1), (Some(i64::MAX), 0)] {
            let mut search = Search::new(&words).unwrap();
            search.folder(folder.path(), since_ms);
            assert_eq!((search.files, search.finds.len() as u64), (files, files));
        }
    }
}
