//! Looks for canaries in bytes, files, directories and decrypted pages.
//!
//! A canary is found as it is (UTF-8), as UTF-16 in either byte order, in base64 at each of its three
//! alignments, in hexadecimal of either case, and as any of these inside a zlib or gzip stream, down
//! to a stream within a stream.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::canary::Canary;
use super::inflate::{inflate, starts};
use super::sqlcipher::{PageCensus, PageCipher, PageKind, read_pages};

/// How much of a file is looked at in one go.
const WINDOW_BYTES: usize = 1 << 20;
/// What a stream must give before a file is opened a second time for it.
const PROBE_BYTES: u64 = 64;
/// A stream whose first bytes are as many as this and give nothing is none.
const SURE_BYTES: usize = 1024;
/// Streams within streams are followed this deep.
const DEPTH: u8 = 2;

/// In which disguise a canary was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// The text itself.
    Utf8,
    /// Two bytes a letter, little- or big-endian: in a run of letters the two differ only at the ends.
    Utf16,
    /// Standard or URL-safe, at any alignment.
    Base64,
    /// Upper or lower case.
    Hex,
}

/// What was looked at when a canary came to light.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The bytes of a file.
    File(PathBuf),
    /// The name of a file or the target of a link in this directory; the name itself is the leak.
    Name(PathBuf),
    /// A page of a database file.
    Page {
        /// The database.
        file: PathBuf,
        /// The page number, from 1.
        number: u32,
    },
    /// A page in a frame of a write-ahead log.
    WalFrame {
        /// The log.
        file: PathBuf,
        /// The frame, from 0, valid or stale.
        frame: u64,
        /// The number of the page that it holds.
        number: u32,
    },
    /// A page in a rollback journal.
    JournalRecord {
        /// The journal.
        file: PathBuf,
        /// The record, from 0.
        record: u64,
        /// The number of the page that it holds.
        number: u32,
    },
    /// Bytes that are no file: memory, a clipboard, the text of a window.
    Bytes(String),
}

/// A canary that was found. Says which one and where, never what it reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hit {
    /// The canary's label.
    pub label: String,
    /// Where it lay.
    pub place: Place,
    /// Bytes from the start of the place; for a compressed find, where its outermost stream starts.
    pub offset: u64,
    /// In which disguise.
    pub encoding: Encoding,
    /// It lay in a compressed stream.
    pub compressed: bool,
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, offset, encoding, .. } = self;
        let compressed = if self.compressed { ", compressed" } else { "" };
        write!(f, "canary {label} as {encoding:?}{compressed} at byte {offset} of ")?;
        match &self.place {
            Place::File(file) => write!(f, "{}", file.display()),
            Place::Name(dir) => write!(f, "a name in {}", dir.display()),
            Place::Page { file, number } => write!(f, "page {number} of {}", file.display()),
            Place::WalFrame { file, frame, number } => {
                write!(f, "frame {frame} (page {number}) of {}", file.display())
            }
            Place::JournalRecord { file, record, number } => {
                write!(f, "record {record} (page {number}) of {}", file.display())
            }
            Place::Bytes(name) => write!(f, "{name}"),
        }
    }
}

/// What a search found, and how much it has looked at.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Every find, once each.
    pub hits: BTreeSet<Hit>,
    /// Files read to their end.
    pub files: u64,
    /// Bytes read from them.
    pub bytes: u64,
    /// Database pages decrypted.
    pub pages: PageCensus,
    /// What could not be read: a search with blind spots proves nothing.
    pub unreadable: Vec<PathBuf>,
}

impl Report {
    /// The labels of all canaries found.
    pub fn labels(&self) -> BTreeSet<&str> {
        self.hits.iter().map(|hit| hit.label.as_str()).collect()
    }

    /// Joins another search to this one.
    pub fn add(&mut self, other: Self) {
        self.hits.extend(other.hits);
        self.files += other.files;
        self.bytes += other.bytes;
        self.pages.authentic += other.pages.authentic;
        self.pages.foreign += other.pages.foreign;
        self.pages.empty += other.pages.empty;
        self.unreadable.extend(other.unreadable);
    }
}

/// Looks for a set of canaries, all of them in one pass.
#[derive(Debug)]
pub struct Scanner {
    automaton: AhoCorasick,
    /// For each pattern of the automaton: the index of its canary, and its disguise.
    meanings: Vec<(usize, Encoding)>,
    labels: Vec<String>,
    longest: usize,
}

impl Scanner {
    /// A scanner for these canaries.
    ///
    /// # Errors
    ///
    /// `InvalidInput` where there are too many of them to look for at once.
    pub fn new<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> io::Result<Self> {
        let (mut patterns, mut meanings, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for canary in canaries {
            for word in canary.words() {
                for (encoding, pattern) in disguises(word.as_bytes()) {
                    patterns.push(pattern);
                    meanings.push((labels.len(), encoding));
                }
            }
            labels.push(canary.label().to_owned());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too many canaries"))?;
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(1);
        Ok(Self { automaton, meanings, labels, longest })
    }

    /// Searches bytes that are no file.
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> BTreeSet<Hit> {
        self.slice(&Place::Bytes(name.to_owned()), bytes)
    }

    /// Searches the bytes of one file as they lie there.
    ///
    /// # Errors
    ///
    /// Whatever reading the file gives.
    pub fn file(&self, path: &Path) -> io::Result<Report> {
        let mut report = Report::default();
        let place = Place::File(path.to_owned());
        let mut search = Search { scanner: self, place: &place, file: Some(path), hits: &mut report.hits };
        report.bytes = search.read(&mut File::open(path)?, None, DEPTH)?;
        report.files = 1;
        Ok(report)
    }

    /// Searches every file under `dir`, the names of all entries and the targets of links, which are
    /// not followed. A file that goes away meanwhile is passed over.
    ///
    /// # Errors
    ///
    /// Fails when `dir` itself cannot be read; what cannot be read below it is named in the report.
    pub fn tree(&self, dir: &Path) -> io::Result<Report> {
        let mut report = Report::default();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let mut names = path.file_name().map(|name| name.as_encoded_bytes().to_vec()).into_iter();
            let target = fs::read_link(&path).map(|to| to.into_os_string().into_encoded_bytes());
            for name in names.by_ref().chain(target) {
                report.hits.extend(self.slice(&Place::Name(dir.to_owned()), &name));
            }
            match self.entry(&path) {
                Ok(found) => report.add(found),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => report.unreadable.push(path),
            }
        }
        Ok(report)
    }

    /// Searches the decrypted pages of the database at `path`, of its log and of its journal.
    /// Their raw bytes are searched by [`Scanner::file`] or [`Scanner::tree`].
    ///
    /// # Errors
    ///
    /// Whatever reading the files gives.
    pub fn database(&self, path: &Path, cipher: &PageCipher) -> io::Result<Report> {
        let mut report = Report::default();
        let hits = &mut report.hits;
        report.pages = read_pages(path, cipher, &mut |page| {
            let (file, number) = (page.file, page.number);
            let place = match page.kind {
                PageKind::Database => Place::Page { file, number },
                PageKind::Wal(frame) => Place::WalFrame { file, frame, number },
                PageKind::Journal(record) => Place::JournalRecord { file, record, number },
            };
            hits.extend(self.slice(&place, &page.opened.bytes));
        })?;
        Ok(report)
    }

    fn entry(&self, path: &Path) -> io::Result<Report> {
        let kind = fs::symlink_metadata(path)?.file_type();
        if kind.is_dir() {
            self.tree(path)
        } else if kind.is_file() {
            self.file(path)
        } else {
            // A link, a socket or a pipe: its name was searched, and it holds nothing of its own.
            Ok(Report::default())
        }
    }

    fn slice(&self, place: &Place, bytes: &[u8]) -> BTreeSet<Hit> {
        let mut hits = BTreeSet::new();
        let mut search = Search { scanner: self, place, file: None, hits: &mut hits };
        search.window(bytes, 0, 0, None, DEPTH);
        hits
    }
}

/// One place being searched.
struct Search<'a> {
    scanner: &'a Scanner,
    place: &'a Place,
    /// Where to read on when a compressed stream reaches beyond the window.
    file: Option<&'a Path>,
    hits: &'a mut BTreeSet<Hit>,
}

impl Search<'_> {
    /// Searches what a reader gives, window by window; each window starts with the end of the one
    /// before, so that nothing hides on a border. `stream` is where the outermost compressed stream
    /// starts, if this is one. Returns how many bytes were read.
    fn read(&mut self, reader: &mut dyn Read, stream: Option<u64>, depth: u8) -> io::Result<u64> {
        let keep = self.scanner.longest.saturating_sub(1).max(1);
        let (mut window, mut start, mut seen) = (Vec::new(), 0_u64, 0_usize);
        loop {
            let taken = (&mut *reader).take(WINDOW_BYTES as u64).read_to_end(&mut window);
            if window.len() > seen {
                self.window(&window, start, seen, stream, depth);
            }
            let end = start + window.len() as u64;
            if taken? == 0 {
                return Ok(end);
            }
            window.drain(..window.len().saturating_sub(keep));
            (seen, start) = (window.len(), end - window.len() as u64);
        }
    }

    /// Searches one window that lies at `start`, whose first `seen` bytes were searched before.
    fn window(&mut self, window: &[u8], start: u64, seen: usize, stream: Option<u64>, depth: u8) {
        for found in self.scanner.automaton.find_overlapping_iter(window) {
            let Some((canary, encoding)) = self.scanner.meanings.get(found.pattern().as_usize()) else {
                continue;
            };
            if found.end() > seen {
                self.hits.insert(Hit {
                    label: self.scanner.labels.get(*canary).cloned().unwrap_or_default(),
                    place: self.place.clone(),
                    offset: stream.unwrap_or(start + found.start() as u64),
                    encoding: *encoding,
                    compressed: stream.is_some(),
                });
            }
        }
        if depth > 0 {
            for at in starts(window, seen) {
                self.follow(window.get(at..).unwrap_or_default(), start + at as u64, stream, depth);
            }
        }
    }

    /// Follows a compressed stream that starts with `head`, at byte `at` of what is being read.
    fn follow(&mut self, head: &[u8], at: u64, stream: Option<u64>, depth: u8) {
        let outermost = Some(stream.unwrap_or(at));
        let follow_in_file = self.file.filter(|_| stream.is_none());
        let Some(path) = follow_in_file else {
            // A stream within a stream is followed to the end of this window. Reading bytes from
            // memory does not fail.
            let _ = self.read(&mut inflate(head), outermost, depth - 1);
            return;
        };
        let mut probe = Vec::new();
        let _ = inflate(head).take(PROBE_BYTES).read_to_end(&mut probe);
        // A window may end a few bytes into a stream; only longer heads can be judged by themselves.
        if probe.is_empty() && head.len() > SURE_BYTES {
            return;
        }
        if let Ok(mut file) = File::open(path)
            && file.seek(SeekFrom::Start(at)).is_ok()
        {
            // A file that was read a moment ago and now fails is named by the next search.
            let _ = self.read(&mut inflate(BufReader::new(file)), outermost, depth - 1);
        }
    }
}

/// All byte strings that betray a word.
pub(super) fn disguises(word: &[u8]) -> Vec<(Encoding, Vec<u8>)> {
    let mut all = vec![(Encoding::Utf8, word.to_vec())];
    // Letters with zeros between, without a zero at either end: this lies in both byte orders.
    let mut wide: Vec<u8> = word.iter().flat_map(|byte| [*byte, 0]).collect();
    wide.pop();
    all.push((Encoding::Utf16, wide));
    for before in 0..3_usize {
        let padded = [vec![0; before], word.to_vec()].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded).into_bytes();
        // Of the letters at both ends some bits belong to the neighbours: those letters vary.
        let first = (before * 8).div_ceil(6);
        let last = padded.len() * 8 / 6;
        all.push((Encoding::Base64, encoded.get(first..last).unwrap_or_default().to_vec()));
    }
    let digits = word.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let lower: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
    all.push((Encoding::Hex, lower.to_uppercase().into_bytes()));
    all.push((Encoding::Hex, lower.into_bytes()));
    all
}
