//! The state file: header, and sealed beneath it the mark of time, the database key and the frontier.

use zeroize::Zeroizing;

use crate::Error;
use crate::cipher::{Alg, Key, LABEL, SEAL_BYTES};
use crate::locked::Locked;
use crate::share::{Cost, bit, state_key};
use crate::time::{Mark, UnixMs};
use crate::tree::{BadFrontier, Frontier};

pub(crate) const HEADER_BYTES: usize = 116;
/// A record ends on a multiple of this.
pub(crate) const PAGE: usize = 4096;
const MAGIC: &[u8; 4] = b"MFST";
const MAX_SEALED: u32 = 1 << 24;
/// Everything of the state before the generations, and their number.
const FIXED_BYTES: usize = 98;

/// Why the bytes are not a state. Nobody outside acts on the difference; tests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadState {
    Short,
    Version,
    Header,
    Cost,
    Forged,
    Generations,
    Trailing,
    Frontier(BadFrontier),
}

/// The header, in clear but bound to the seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) alg: Alg,
    pub(crate) shares: u8,
    pub(crate) e: u64,
    pub(crate) store_id: [u8; 16],
    pub(crate) salt: [u8; 16],
    pub(crate) cost: Cost,
    pub(crate) tpm_counter: u64,
    pub(crate) duress: [u8; 32],
    pub(crate) sealed_bytes: u32,
    pub(crate) nonce: [u8; 12],
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend(MAGIC);
        out.extend([1, self.alg.byte(), self.shares, 0]);
        out.extend(self.e.to_be_bytes());
        out.extend(self.store_id);
        out.extend(self.salt);
        for number in [self.cost.m_kib, self.cost.t, self.cost.p] {
            out.extend(number.to_be_bytes());
        }
        out.extend(self.tpm_counter.to_be_bytes());
        out.extend(self.duress);
        out.extend(self.sealed_bytes.to_be_bytes());
        out.extend(self.nonce);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        let mut cursor = Cursor(bytes.get(..HEADER_BYTES).ok_or(BadState::Short)?);
        let magic: [u8; 4] = cursor.take()?;
        let [ver, alg, shares, reserved] = cursor.take()?;
        if &magic != MAGIC || ver != 1 {
            return Err(BadState::Version);
        }
        let header = Self {
            alg: Alg::from_byte(alg).ok_or(BadState::Header)?,
            shares,
            e: u64::from_be_bytes(cursor.take()?),
            store_id: cursor.take()?,
            salt: cursor.take()?,
            cost: Cost {
                m_kib: u32::from_be_bytes(cursor.take()?),
                t: u32::from_be_bytes(cursor.take()?),
                p: u32::from_be_bytes(cursor.take()?),
            },
            tpm_counter: u64::from_be_bytes(cursor.take()?),
            duress: cursor.take()?,
            sealed_bytes: u32::from_be_bytes(cursor.take()?),
            nonce: cursor.take()?,
        };
        header.check(reserved)?;
        Ok(header)
    }

    /// What decides which shares open it, and how.
    pub(crate) fn access(&self) -> (u8, [u8; 16], Cost, [u8; 32]) {
        (self.shares, self.salt, self.cost, self.duress)
    }

    fn check(&self, reserved: u8) -> Result<(), BadState> {
        let lengths_fit = (SEAL_BYTES..=MAX_SEALED as usize).contains(&(self.sealed_bytes as usize));
        let known = self.shares & !bit::ALL == 0 && self.shares & bit::SLOT != 0;
        if reserved != 0 || self.e == 0 || !lengths_fit || !known {
            return Err(BadState::Header);
        }
        if self.shares & bit::PASS == 0 {
            let none = self.cost == Cost::NONE && self.salt == [0; 16];
            return if none { Ok(()) } else { Err(BadState::Header) };
        }
        if self.cost.is_allowed() { Ok(()) } else { Err(BadState::Cost) }
    }
}

/// What is sealed: enough to open the database and every living item.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mark: Mark,
    pub(crate) k_db: Locked,
    pub(crate) k_db_next: Option<Locked>,
    /// One tree, or two while the living move to a fresh one; generations rise.
    pub(crate) trees: Vec<Frontier>,
}

impl State {
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let trees: usize = self.trees.iter().map(Frontier::encoded_bytes).sum();
        let mut out = Zeroizing::new(Vec::with_capacity(FIXED_BYTES + trees + SEAL_BYTES));
        out.push(1);
        out.extend(u64::try_from(self.mark.at.0).unwrap_or(0).to_be_bytes());
        out.extend(self.mark.boot_id);
        out.extend(self.mark.boottime_ms.to_be_bytes());
        out.extend_from_slice(&self.k_db);
        match &self.k_db_next {
            Some(next) => out.extend_from_slice(next),
            None => out.extend([0; 32]),
        }
        out.push(u8::try_from(self.trees.len()).unwrap_or(u8::MAX));
        for tree in &self.trees {
            tree.encode(&mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadState> {
        let mut cursor = Cursor(bytes);
        let [ver] = cursor.take()?;
        if ver != 1 {
            return Err(BadState::Version);
        }
        let at = u64::from_be_bytes(cursor.take()?);
        let mark = Mark {
            at: UnixMs(i64::try_from(at).map_err(|_| BadState::Header)?),
            boot_id: cursor.take()?,
            boottime_ms: u64::from_be_bytes(cursor.take()?),
        };
        let k_db = Locked::of(&Key(cursor.take()?));
        let next = Key(cursor.take()?);
        let k_db_next = (!next.is_zero()).then(|| Locked::of(&next));
        let [count] = cursor.take()?;
        if !(1..=2).contains(&count) {
            return Err(BadState::Generations);
        }
        let mut trees: Vec<Frontier> = Vec::new();
        let mut rest = cursor.0;
        for _ in 0..count {
            let (tree, after) = Frontier::decode(rest).map_err(BadState::Frontier)?;
            if trees.last().is_some_and(|before| before.generation() >= tree.generation()) {
                return Err(BadState::Generations);
            }
            trees.push(tree);
            rest = after;
        }
        if rest.is_empty() { Ok(Self { mark, k_db, k_db_next, trees }) } else { Err(BadState::Trailing) }
    }
}

fn aad(header: &[u8]) -> Vec<u8> {
    [LABEL, b"state", header].concat()
}

/// The whole record of epoch `header.e`, zeros to the next 4 KiB included; sets the header's length itself.
pub(crate) fn seal_record(header: &mut Header, root: &Key, state: &[u8]) -> Result<Vec<u8>, Error> {
    let sealed_bytes = u32::try_from(state.len() + SEAL_BYTES).map_err(|_| Error::TooLarge)?;
    if sealed_bytes > MAX_SEALED {
        return Err(Error::TooLarge);
    }
    header.sealed_bytes = sealed_bytes;
    let mut record = header.encode();
    let mut sealed = Vec::with_capacity(state.len() + SEAL_BYTES);
    sealed.extend_from_slice(state);
    let key = state_key(root, &header.store_id, header.e);
    header.alg.seal(&key, header.nonce, &aad(&record), &mut sealed)?;
    record.append(&mut sealed);
    record.resize(record.len().next_multiple_of(PAGE), 0);
    Ok(record)
}

/// Opens the record at the start of `file`, whose header is given as read from there.
pub(crate) fn open_record(file: &[u8], header: &Header, root: &Key) -> Result<State, BadState> {
    let head = file.get(..HEADER_BYTES).ok_or(BadState::Short)?;
    let end = HEADER_BYTES + header.sealed_bytes as usize;
    let sealed = file.get(HEADER_BYTES..end).ok_or(BadState::Short)?;
    let key = state_key(root, &header.store_id, header.e);
    let state = header.alg.open(&key, header.nonce, &aad(head), sealed).ok_or(BadState::Forged)?;
    State::decode(&state)
}

/// Takes fixed pieces from the front; a piece that is not whole is an error, never a panic.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BadState> {
        let (piece, rest) = self.0.split_first_chunk().ok_or(BadState::Short)?;
        self.0 = rest;
        Ok(*piece)
    }
}
