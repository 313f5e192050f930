//! What the memory of running programs holds: every page that is there, of a process and of all it has started, as root
//! reads them through `/proc/PID/mem`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
};

use aho_corasick::AhoCorasick;

use super::{canary::Canary, scan::disguises};

const PAGE_BYTES: u64 = 4_096;
/// How much is read in one go.
const WINDOW_PAGES: u64 = 1_024;
/// In `/proc/PID/pagemap`: the page is in memory, or in swap.
const PRESENT: u64 = 0b11 << 62;

/// Looks for canaries, and for keys, in memory.
#[derive(Debug)]
pub struct MemorySearch {
    automaton: AhoCorasick,
    labels: Vec<String>,
    longest: usize,
}

/// How often each label was found, by process and mapping; and how much was read.
#[derive(Debug, Default)]
pub struct Memories {
    /// `(label, process, mapping)`, how often.
    pub hits: BTreeMap<(String, String, String), usize>,
    /// The processes that were read, by name.
    pub processes: Vec<String>,
    /// Bytes read.
    pub bytes: u64,
}

impl Memories {
    /// How often a label was found in processes whose name begins so.
    pub fn count(&self, label: &str, process: &str) -> usize {
        let of = |(found, at, _): &&(String, String, String)| found == label && at.starts_with(process);
        self.hits.iter().filter(|(hit, _)| of(hit)).map(|(_, count)| count).sum()
    }
}

impl MemorySearch {
    /// A search for the words of canaries, in every disguise, and for keys as they are and in hexadecimal.
    ///
    /// # Errors
    /// `InvalidInput` where there are too many to look for at once.
    pub fn new<'a>(
        canaries: impl IntoIterator<Item = &'a Canary>,
        keys: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> io::Result<Self> {
        let (mut patterns, mut labels) = (Vec::new(), Vec::new());
        for canary in canaries {
            for (_, pattern) in canary.words().iter().flat_map(|word| disguises(word.as_bytes())) {
                patterns.push(pattern);
                labels.push(canary.label().to_owned());
            }
        }
        for (label, key) in keys {
            for pattern in [key.to_vec(), hex::encode(key).into_bytes(), hex::encode_upper(key).into_bytes()] {
                patterns.push(pattern);
                labels.push(label.to_owned());
            }
        }
        let automaton =
            AhoCorasick::new(&patterns).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too much"))?;
        Ok(Self { automaton, labels, longest: patterns.iter().map(Vec::len).max().unwrap_or(1) })
    }

    /// Searches a process and everything below it. One that ends meanwhile is passed over.
    ///
    /// # Errors
    /// `PermissionDenied` where this program may not read other programs' memory.
    pub fn tree(&self, root: u32) -> io::Result<Memories> {
        let mut found = Memories::default();
        for pid in family(root)? {
            match self.process(pid, &mut found) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
                _ => {}
            }
        }
        Ok(found)
    }

    fn process(&self, pid: u32, found: &mut Memories) -> io::Result<()> {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"))?.trim().to_owned();
        let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
        let memory = File::open(format!("/proc/{pid}/mem"))?;
        let pages = File::open(format!("/proc/{pid}/pagemap"))?;
        found.processes.push(name.clone());
        for mapping in maps.lines().filter_map(Mapping::read) {
            let hits = self.mapping(&memory, &pages, &mapping, &mut found.bytes);
            for (label, count) in hits {
                *found.hits.entry((label, name.clone(), mapping.name.clone())).or_default() += count;
            }
        }
        Ok(())
    }

    fn mapping(&self, memory: &File, pages: &File, mapping: &Mapping, read: &mut u64) -> BTreeMap<String, usize> {
        let mut hits = BTreeMap::new();
        // What is left of the window before, so that nothing hides on a border.
        let mut window: Vec<u8> = Vec::new();
        let mut at = mapping.start;
        while at < mapping.end {
            let count = WINDOW_PAGES.min((mapping.end - at) / PAGE_BYTES);
            let seen = window.len();
            for (page, address) in present(pages, at, count) {
                if page && append(memory, address, &mut window).is_ok() {
                    *read += PAGE_BYTES;
                }
            }
            for hit in self.automaton.find_overlapping_iter(&window).filter(|hit| hit.end() > seen) {
                let label = self.labels.get(hit.pattern().as_usize()).cloned().unwrap_or_default();
                *hits.entry(label).or_default() += 1;
            }
            window.drain(..window.len().saturating_sub(self.longest - 1));
            at += count.max(1) * PAGE_BYTES;
        }
        hits
    }
}

/// A range of addresses that can hold what a program has made itself.
struct Mapping {
    start: u64,
    end: u64,
    name: String,
}

impl Mapping {
    /// A line of `/proc/PID/maps`; nothing for what cannot be read, and for the read-only bytes of programs and fonts.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        let rights = fields.next()?;
        let name = fields.nth(3).unwrap_or("anonymous").to_owned();
        let is_made = rights.contains('w') || !name.starts_with('/') || name.contains("shm") || name.contains("memfd");
        let is_memory = rights.starts_with('r') && !name.starts_with("[v");
        (is_made && is_memory).then_some(Self { start, end, name })
    }
}

/// Which of so many pages are there.
fn present(pages: &File, start: u64, count: u64) -> Vec<(bool, u64)> {
    let mut entries = vec![0_u8; usize::try_from(count * 8).unwrap_or(0)];
    let addresses = (0..count).map(|index| start + index * PAGE_BYTES);
    if pages.read_exact_at(&mut entries, start / PAGE_BYTES * 8).is_err() {
        return addresses.map(|address| (true, address)).collect();
    }
    let is_there = |entry: &[u8; 8]| u64::from_ne_bytes(*entry) & PRESENT != 0;
    entries.as_chunks::<8>().0.iter().map(is_there).zip(addresses).collect()
}

fn append(memory: &File, address: u64, window: &mut Vec<u8>) -> io::Result<()> {
    let length = window.len();
    window.resize(length + usize::try_from(PAGE_BYTES).unwrap_or(0), 0);
    let read = memory.read_exact_at(window.get_mut(length..).unwrap_or_default(), address);
    if read.is_err() {
        window.truncate(length);
    }
    read
}

/// A process and all its descendants.
///
/// # Errors
/// Fails where there is no `/proc`.
pub fn family(root: u32) -> io::Result<Vec<u32>> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name in brackets may hold anything, so the fields are counted from behind it.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        parents.insert(pid, parent.unwrap_or(0_u32));
    }
    let mut all = vec![root];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        all.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    Ok(all)
}
