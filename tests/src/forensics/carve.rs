//! What is left of a vault in raw bytes: a disk with its freed blocks and its journal, or a file with its gaps.
//!
//! Nothing here trusts a file system, a b-tree or an index. Key files are known by their magic, pages of the database by
//! what their first block decrypts to, and rows by the shape of their record, whether or not anything still leads there.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use mayfly_vault::{
    ChatId, ItemId,
    forensics::{Dump, FoundRow, attack},
};

use super::sqlcipher::{PAGE_BYTES, PageCipher, USABLE_BYTES};

/// A share copy and the fixed head of a state record, as docs/vault.md has them.
const SHARE_BYTES: usize = 4_096;
const STATE_HEAD_BYTES: usize = 116;
const STATE_LENGTH_AT: usize = 100;
/// Pages lie at multiples of 4,096, but for those in a log, whose frames begin anywhere that eight divides.
const STEP: usize = 8;
/// A table's leaf begins with this; the pages of indices hold no wraps.
const LEAF: u8 = 0x0D;
/// In the header of a row's record: a wrap of 60 bytes, and neither blob nor its size.
const WRAP_AND_NO_BLOB: [u8; 4] = [0x81, 0x04, 0x00, 0x00];
/// A block of a disk that nobody ever wrote.
const NOTHING: [u8; PAGE_BYTES] = [0; PAGE_BYTES];
/// The vault's kind for the item that holds a chat's key.
const CHAT_KEY_KIND: u8 = 1;
/// Kinds below this one are the vault's own.
const FIRST_FREE_KIND: u8 = 16;

/// A row, or what is left of one: its wrap at least.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Carved {
    id: [u8; 16],
    chat: Option<[u8; 16]>,
    kind: u8,
    tau: u64,
    generation: u32,
    wrap: Vec<u8>,
    /// Nothing where the body went on in another page.
    body: Option<Vec<u8>>,
}

impl std::fmt::Debug for Carved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carved").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Carved {
    fn found(&self) -> FoundRow<'_> {
        FoundRow {
            id: ItemId::from_bytes(self.id),
            chat: self.chat.map(ChatId::from_bytes),
            kind: self.kind,
            tau: self.tau,
            generation: self.generation,
            wrap: &self.wrap,
            body: self.body.as_deref().unwrap_or_default(),
        }
    }
}

/// Everything of use that was found in any of some heaps of bytes.
#[derive(Default)]
pub struct Hoard {
    rows: BTreeSet<Carved>,
    states: BTreeSet<Vec<u8>>,
    shares: BTreeSet<Vec<u8>>,
}

/// The items that open, each with the number of its versions that do.
#[derive(Debug)]
pub struct Opened(BTreeMap<ItemId, usize>);

impl Opened {
    /// The items.
    pub fn items(&self) -> BTreeSet<ItemId> {
        self.0.keys().copied().collect()
    }

    /// Whether exactly these open, and of each the present version alone.
    pub fn is_just(&self, items: &BTreeSet<ItemId>) -> bool {
        &self.items() == items && self.0.values().all(|versions| *versions == 1)
    }
}

impl std::fmt::Debug for Hoard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rows, states, shares } = self;
        write!(f, "{} rows, {} states, {} shares", rows.len(), states.len(), shares.len())
    }
}

impl Hoard {
    /// Searches bytes for key files, and for rows in pages under this cipher.
    pub fn search(&mut self, bytes: &[u8], cipher: &PageCipher) {
        self.search_keys(bytes);
        for at in pages(bytes, cipher) {
            let sealed = bytes.get(at..at + PAGE_BYTES).unwrap_or_default();
            // Any number but that of the first page, which holds no rows: the seal is not asked.
            if let Some(page) = cipher.open(2, sealed) {
                self.rows.extend(rows(&page.bytes));
            }
        }
    }

    /// Takes the rows, and no keys, that were found elsewhere or at another time.
    pub fn add_rows(&mut self, of: Self) {
        self.rows.extend(of.rows);
    }

    /// Shares and states, wherever they lie.
    fn search_keys(&mut self, bytes: &[u8]) {
        let Ok(magics) = AhoCorasick::new([b"MFSH\x01", b"MFST\x01"]) else { return };
        for hit in magics.find_iter(bytes) {
            let rest = bytes.get(hit.start()..).unwrap_or_default();
            if hit.pattern().as_usize() == 0 {
                self.shares.extend(rest.get(..SHARE_BYTES).map(<[u8]>::to_vec));
            } else {
                let length = rest.get(STATE_LENGTH_AT..).and_then(|from| from.first_chunk::<4>());
                let end = STATE_HEAD_BYTES + length.map_or(0, |length| u32::from_be_bytes(*length) as usize);
                self.states.extend(rest.get(..end).map(<[u8]>::to_vec));
            }
        }
    }

    /// How many rows of these items were found, in any version.
    pub fn count_rows_of(&self, items: &BTreeSet<ItemId>) -> usize {
        self.rows.iter().filter(|row| items.contains(&ItemId::from_bytes(row.id))).count()
    }

    /// How many shares and states were found.
    pub fn count_keys(&self) -> (usize, usize) {
        (self.shares.len(), self.states.len())
    }

    /// The items of which any wrap opens, under any state that any share opens, and how many versions of each. Whether
    /// the body was found whole does not matter: whoever has its key needs but one more page.
    pub fn opened(&self) -> Opened {
        let dumps = self.dumps();
        let chats = self.chat_keys(&dumps);
        let opens = |row: &&Carved| {
            let of_chat = row.chat.and_then(|chat| chats.get(&chat));
            let keys = of_chat.into_iter().flatten().copied().chain([[0; 32]]);
            let found = row.found();
            keys.into_iter().any(|key| dumps.iter().any(|dump| dump.unwrap(&found, &key).is_some()))
        };
        let mut versions: BTreeMap<ItemId, BTreeSet<&[u8]>> = BTreeMap::new();
        // The vault's own keys are no item of anybody's.
        for row in self.rows.iter().filter(|row| row.kind >= FIRST_FREE_KIND).filter(opens) {
            versions.entry(ItemId::from_bytes(row.id)).or_default().insert(&row.wrap);
        }
        Opened(versions.into_iter().map(|(item, wraps)| (item, wraps.len())).collect())
    }

    /// The states that open.
    pub fn dumps(&self) -> Vec<Dump> {
        let slices = |all: &BTreeSet<Vec<u8>>| all.iter().cloned().collect::<Vec<_>>();
        let (states, shares) = (slices(&self.states), slices(&self.shares));
        let (states, shares): (Vec<&[u8]>, Vec<&[u8]>) =
            (states.iter().map(Vec::as_slice).collect(), shares.iter().map(Vec::as_slice).collect());
        attack(&states, &shares, None)
    }

    fn chat_keys(&self, dumps: &[Dump]) -> BTreeMap<[u8; 16], BTreeSet<[u8; 32]>> {
        let mut keys: BTreeMap<[u8; 16], BTreeSet<[u8; 32]>> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.kind == CHAT_KEY_KIND) {
            let found = row.found();
            for dump in dumps {
                let body = dump.unwrap(&found, &[0; 32]).and_then(|dek| dump.open_body(&found, &dek));
                if let Some(key) = body.and_then(|body| body.as_slice().try_into().ok()) {
                    keys.entry(row.id).or_default().insert(key);
                }
            }
        }
        keys
    }
}

/// Where something lies whose first block decrypts to the head of a table's leaf.
fn pages(bytes: &[u8], cipher: &PageCipher) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(sealed) = bytes.get(at..at + PAGE_BYTES) {
        // Most of a disk is zeros, a whole block of them at a time.
        let is_aligned = at % PAGE_BYTES == 0;
        if is_aligned && sealed == NOTHING {
            // A frame may begin before the block and end in it, so only what begins in it is passed over.
            at += PAGE_BYTES;
            continue;
        }
        if sealed.first_chunk::<STEP>() != Some(&[0; STEP]) && cipher.peek(sealed).is_some_and(is_head_of_leaf) {
            found.push(at);
        }
        at += STEP;
    }
    found
}

/// Byte 0 the kind; then two bytes each: first free block, number of cells, start of their content.
fn is_head_of_leaf(head: [u8; 16]) -> bool {
    let [kind, free_high, free_low, cells_high, cells_low, start_high, start_low, ..] = head;
    let number = |high, low| usize::from(u16::from_be_bytes([high, low]));
    kind == LEAF
        && number(free_high, free_low) < USABLE_BYTES
        && number(cells_high, cells_low) < 512
        && number(start_high, start_low) <= USABLE_BYTES
}

/// Every row whose record begins in this page, in a cell or in a gap.
fn rows(page: &[u8]) -> Vec<Carved> {
    let Ok(shape) = AhoCorasick::new([WRAP_AND_NO_BLOB]) else { return Vec::new() };
    shape.find_overlapping_iter(page).filter_map(|hit| row(page, hit.start())).collect()
}

/// The row whose record header has the wrap's type at `wrap_at`. Before it stand the types of order, item id, chat id,
/// kind, tag, generation and due second, of one byte each; behind it those of blob, its size, and body.
fn row(page: &[u8], wrap_at: usize) -> Option<Carved> {
    let types = page.get(wrap_at.checked_sub(7)?..wrap_at)?;
    let &[order, id, chat, kind, tau, generation, due] = types else { return None };
    if order != 0 || id != 44 || !matches!(chat, 0 | 44) {
        return None;
    }
    let (body_type, after) = varint(page.get(wrap_at + WRAP_AND_NO_BLOB.len()..)?)?;
    let mut values = Values(after);
    let id = values.take(16)?.try_into().ok()?;
    let chat = if chat == 0 { None } else { Some(values.take(16)?.try_into().ok()?) };
    let kind = u8::try_from(values.integer(kind)?).ok()?;
    let tau = values.integer(tau)?;
    let generation = u32::try_from(values.integer(generation)?).ok()?;
    values.integer(due)?;
    let wrap = values.take(60)?.to_vec();
    let body_bytes = usize::try_from(body_type.checked_sub(12)? / 2).ok()?;
    let body = values.take(body_bytes).map(<[u8]>::to_vec);
    Some(Carved { id, chat, kind, tau, generation, wrap, body })
}

/// `SQLite`'s number of up to nine bytes, seven bits each.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        number = number << 7 | u64::from(byte & 0x7F);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The values of a record, one after the other.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (value, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(value)
    }

    /// An integer by its type; nothing counts as zero, which is only asked of what is not needed.
    fn integer(&mut self, of_type: u8) -> Option<u64> {
        let bytes = match of_type {
            0 | 8 => return Some(0),
            9 => return Some(1),
            bytes @ 1..=4 => usize::from(bytes),
            5 => 6,
            6 => 8,
            _ => return None,
        };
        Some(self.take(bytes)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}
