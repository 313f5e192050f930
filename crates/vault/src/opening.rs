//! The share file's copies, and the rules by which a vault opens after whatever crash.

use ring::digest::{SHA256, digest};

use crate::Error;
use crate::cipher::Key;
use crate::state::{Header, PAGE, State, open_record};
use crate::tpm::Tpm;

const MAGIC: &[u8; 4] = b"MFSH";
const PANIC_MAGIC: &[u8; 4] = b"MFPX";
/// Everything of a copy that its checksum covers.
const CHECKED_BYTES: usize = 48;
const CHECKSUM_BYTES: usize = 16;

/// One copy of the share file, as found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ShareCopy {
    Whole(Slot),
    /// Torn, empty or foreign.
    Broken,
    /// The vault was destroyed on purpose.
    Panic,
}

/// The slot share of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) e: u64,
    pub(crate) key: Key,
}

impl Slot {
    /// The 4 KiB that a copy takes in the share file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(PAGE);
        copy.extend(MAGIC);
        copy.extend([1, 0, 0, 0]);
        copy.extend(self.e.to_be_bytes());
        copy.extend(self.key.0);
        let checksum = digest(&SHA256, &copy);
        copy.extend(checksum.as_ref().iter().take(CHECKSUM_BYTES));
        copy.resize(PAGE, 0);
        copy
    }
}

/// What a vault keeps outside its files, for whoever finishes its destruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// The id by which the keyring knows it.
    pub(crate) keyring_id: Option<[u8; 16]>,
    pub(crate) tpm: Option<Tpm>,
}

/// The 4 KiB that say "destroyed on purpose", and what is still to be removed elsewhere.
pub(crate) fn panic_copy(elsewhere: Elsewhere) -> Vec<u8> {
    let mut copy = PANIC_MAGIC.to_vec();
    copy.extend(elsewhere.keyring_id.unwrap_or_default());
    copy.extend(elsewhere.tpm.map_or(0, Tpm::index).to_be_bytes());
    copy.resize(PAGE, 0);
    copy
}

/// What a panic left to be removed elsewhere.
pub(crate) fn left_elsewhere(copy: &[u8]) -> Option<Elsewhere> {
    let (id, rest) = copy.strip_prefix(PANIC_MAGIC)?.split_first_chunk::<16>()?;
    let index = u32::from_be_bytes(*rest.first_chunk()?);
    let keyring_id = (id != &[0; 16]).then_some(*id);
    Some(Elsewhere { keyring_id, tpm: (index != 0).then(|| Tpm::at(index)) })
}

impl ShareCopy {
    /// Reads one copy; anything that is not exactly what [`Slot::encode`] writes is broken.
    pub(crate) fn decode(copy: &[u8]) -> Self {
        // Four bytes are enough: a panic that a power cut tore after its first sector is still a panic.
        if copy.starts_with(PANIC_MAGIC) {
            return Self::Panic;
        }
        Self::decode_slot(copy).map_or(Self::Broken, Self::Whole)
    }

    fn decode_slot(copy: &[u8]) -> Option<Slot> {
        let (checked, rest) = copy.split_first_chunk::<CHECKED_BYTES>()?;
        let (checksum, zeros) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
        let (start, rest) = checked.split_first_chunk::<8>()?;
        let (e, key) = rest.split_first_chunk::<8>()?;
        let slot = Slot { e: u64::from_be_bytes(*e), key: Key(*key.first_chunk()?) };
        let is_whole = start == b"MFSH\x01\0\0\0"
            && digest(&SHA256, checked).as_ref().starts_with(checksum)
            && copy.len() == PAGE
            && zeros.iter().all(|byte| *byte == 0)
            && slot.e > 0;
        is_whole.then_some(slot)
    }
}

/// Everything on disk that decides how a vault opens.
pub(crate) struct Found<'a> {
    pub(crate) copy_a: ShareCopy,
    pub(crate) copy_b: ShareCopy,
    pub(crate) states: [&'a [u8]; 2],
    /// The epoch that the keyring last saw, where there is a keyring share.
    pub(crate) keyring_mark: Option<u64>,
}

/// What opened, and what a crash left to be put right before anything else is written.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) slot: Slot,
    pub(crate) header: Header,
    pub(crate) state: State,
    pub(crate) mend_a: bool,
    pub(crate) mend_b: bool,
    pub(crate) mend_old_state: bool,
}

impl Found<'_> {
    /// The newest whole copy whose state opens wins.
    ///
    /// `root` gives the root for a header and a slot; its errors (no passphrase given, a share out of reach) are passed on if
    /// nothing else opens.
    ///
    /// # Errors
    /// [`Error::Panicked`], [`Error::RolledBack`], [`Error::Locked`], or that of `root`.
    pub(crate) fn open(&self, mut root: impl FnMut(&Header, &Key) -> Result<Key, Error>) -> Result<Opened, Error> {
        if self.copy_a == ShareCopy::Panic || self.copy_b == ShareCopy::Panic {
            return Err(Error::Panicked);
        }
        let mut refusal = Error::Locked;
        let mut newest = None;
        for slot in self.candidates() {
            let [even, odd] = self.states;
            let (file, other) = if slot.e % 2 == 0 { (even, odd) } else { (odd, even) };
            let Some(header) = Header::decode(file).ok().filter(|header| header.e == slot.e) else { continue };
            // A change of the passphrase counts from its copy B on: the old one does not open what copy A still leads to.
            if *newest.get_or_insert(header.access()) != header.access() {
                continue;
            }
            let root = match root(&header, &slot.key) {
                Ok(root) => root,
                Err(error) => {
                    refusal = error;
                    continue;
                }
            };
            let Ok(state) = open_record(file, &header, &root) else { continue };
            if self.keyring_mark.is_some_and(|mark| slot.e < mark) {
                return Err(Error::RolledBack);
            }
            return Ok(Opened {
                mend_a: self.copy_a != ShareCopy::Whole(slot.clone()),
                mend_b: self.copy_b != ShareCopy::Whole(slot.clone()),
                mend_old_state: other.iter().any(|byte| *byte != 0),
                slot,
                header,
                state,
            });
        }
        Err(refusal)
    }

    /// The header of the state that is tried first.
    pub(crate) fn newest_header(&self) -> Option<Header> {
        self.candidates().iter().find_map(|slot| {
            let [even, odd] = self.states;
            let header = Header::decode(if slot.e % 2 == 0 { even } else { odd }).ok()?;
            (header.e == slot.e).then_some(header)
        })
    }

    fn candidates(&self) -> Vec<Slot> {
        let whole = |copy: &ShareCopy| match copy {
            ShareCopy::Whole(slot) => Some(slot.clone()),
            ShareCopy::Broken | ShareCopy::Panic => None,
        };
        // B first: of two copies of one epoch that differ, the later written counts.
        let mut slots: Vec<Slot> = [&self.copy_b, &self.copy_a].into_iter().filter_map(whole).collect();
        slots.sort_by_key(|slot| std::cmp::Reverse(slot.e));
        slots.dedup();
        slots
    }
}
