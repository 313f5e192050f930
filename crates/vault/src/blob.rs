//! The byte format of media: a header and chunks of 64 KiB, each sealed by itself, so that any place can be read alone.
//!
//! The same bytes lie on disk and travel to the store of a relay. How long a blob is stands in the body of its item.

use zeroize::Zeroizing;

use crate::Error;
use crate::cipher::{self, Alg, Key, LABEL, SEAL_BYTES, expand};

/// Bytes of the header before the first chunk.
pub const HEADER_BYTES: usize = 32;
/// Plaintext bytes of every chunk but the last.
pub const CHUNK_BYTES: usize = 1 << 16;
const SEALED_CHUNK: u64 = (CHUNK_BYTES + SEAL_BYTES) as u64;
const MAGIC: &[u8; 4] = b"MFB1";

/// Why bytes are not a blob, or not this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBlob {
    /// The header is not one of this format.
    #[error("This is not a sealed file.")]
    Header,
    /// It ends before its first chunk does.
    #[error("The sealed file is not whole.")]
    Short,
    /// A chunk of a length that no writer makes.
    #[error("The sealed file is not cut as it should be.")]
    Chunk,
    /// Changed, moved, cut off, or sealed under another key.
    #[error("The sealed file does not open.")]
    Forged,
}

/// Seals and opens the chunks of one blob. Silent in `Debug`.
pub struct Blob {
    alg: Alg,
    key: Key,
    header: [u8; HEADER_BYTES],
}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blob(..)")
    }
}

impl Blob {
    /// A new blob under a DEK that seals nothing else.
    ///
    /// # Errors
    /// [`Error::Randomness`] when the system gives no random bytes.
    pub fn new(dek: &[u8; 32], blob_id: &[u8; 16]) -> Result<Self, Error> {
        let alg = Alg::for_this_cpu();
        let prefix: [u8; 7] = cipher::random()?;
        let mut header = [0; HEADER_BYTES];
        let fields = [MAGIC.as_slice(), &[alg.byte(), 16, 0, 0], blob_id, &prefix].concat();
        for (to, from) in header.iter_mut().zip(fields) {
            *to = from;
        }
        Ok(Self { alg, key: blob_key(dek), header })
    }

    /// A sealed blob, by the bytes it begins with.
    ///
    /// # Errors
    /// [`BadBlob::Header`].
    pub fn open(dek: &[u8; 32], sealed: &[u8]) -> Result<Self, BadBlob> {
        let header: &[u8; HEADER_BYTES] = sealed.first_chunk().ok_or(BadBlob::Header)?;
        let [m0, m1, m2, m3, alg, 16, 0, 0, .., 0] = header else { return Err(BadBlob::Header) };
        if [*m0, *m1, *m2, *m3] != *MAGIC {
            return Err(BadBlob::Header);
        }
        let alg = Alg::from_byte(*alg).ok_or(BadBlob::Header)?;
        Ok(Self { alg, key: blob_key(dek), header: *header })
    }

    /// What stands before the first chunk.
    pub fn header(&self) -> &[u8; HEADER_BYTES] {
        &self.header
    }

    /// Seals chunk `index`. Each index is sealed once, in order, and exactly the final one is the last.
    ///
    /// # Errors
    /// [`BadBlob::Chunk`] for a length that this index must not have.
    pub fn seal_chunk(&self, index: u32, is_last: bool, data: &[u8]) -> Result<Vec<u8>, BadBlob> {
        check_length(index, is_last, data.len())?;
        let mut sealed = Vec::with_capacity(data.len() + SEAL_BYTES);
        sealed.extend_from_slice(data);
        self.alg.seal(&self.key, self.nonce(index, is_last), &self.aad(), &mut sealed).map_err(|_| BadBlob::Chunk)?;
        Ok(sealed)
    }

    /// Opens chunk `index`.
    ///
    /// # Errors
    /// [`BadBlob::Chunk`] for a length that this index must not have, [`BadBlob::Forged`] otherwise.
    pub fn open_chunk(&self, index: u32, is_last: bool, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, BadBlob> {
        check_length(index, is_last, sealed.len().checked_sub(SEAL_BYTES).ok_or(BadBlob::Short)?)?;
        let nonce = self.nonce(index, is_last);
        self.alg.open(&self.key, nonce, &self.aad(), sealed).ok_or(BadBlob::Forged)
    }

    fn nonce(&self, index: u32, is_last: bool) -> [u8; 12] {
        let [.., p0, p1, p2, p3, p4, p5, p6, _] = self.header;
        let [i0, i1, i2, i3] = index.to_be_bytes();
        [p0, p1, p2, p3, p4, p5, p6, i0, i1, i2, i3, u8::from(is_last)]
    }

    fn aad(&self) -> Vec<u8> {
        [LABEL, b"blob", &self.header].concat()
    }
}

/// Where the chunks of a sealed blob lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How many chunks there are; never none.
    pub chunks: u32,
    /// How long the plaintext is.
    pub data_bytes: u64,
    sealed_bytes: u64,
}

impl Layout {
    /// The layout of a blob of this sealed size.
    ///
    /// # Errors
    /// [`BadBlob`] for a size that no writer makes.
    pub fn of(sealed_bytes: u64) -> Result<Self, BadBlob> {
        let body = sealed_bytes.checked_sub(HEADER_BYTES as u64).ok_or(BadBlob::Header)?;
        let chunks = body.div_ceil(SEALED_CHUNK);
        let last = body.checked_sub(chunks.checked_sub(1).ok_or(BadBlob::Short)? * SEALED_CHUNK);
        let last = last.and_then(|bytes| bytes.checked_sub(SEAL_BYTES as u64)).ok_or(BadBlob::Short)?;
        if last == 0 && chunks > 1 {
            return Err(BadBlob::Chunk);
        }
        let chunks_u32 = u32::try_from(chunks).map_err(|_| BadBlob::Chunk)?;
        Ok(Self { chunks: chunks_u32, data_bytes: body - chunks * SEAL_BYTES as u64, sealed_bytes })
    }

    /// The sealed bytes of chunk `index`, as offsets into the blob, and whether it is the last.
    pub fn chunk(&self, index: u32) -> Option<(std::ops::Range<u64>, bool)> {
        if index >= self.chunks {
            return None;
        }
        let start = HEADER_BYTES as u64 + u64::from(index) * SEALED_CHUNK;
        Some((start..(start + SEALED_CHUNK).min(self.sealed_bytes), index + 1 == self.chunks))
    }
}

fn check_length(index: u32, is_last: bool, data_bytes: usize) -> Result<(), BadBlob> {
    let fits = match (is_last, data_bytes) {
        (false, CHUNK_BYTES) => true,
        (true, 0) => index == 0,
        (true, bytes) => bytes <= CHUNK_BYTES,
        (false, _) => false,
    };
    if fits { Ok(()) } else { Err(BadBlob::Chunk) }
}

fn blob_key(dek: &[u8; 32]) -> Key {
    expand(&Key(*dek), &[LABEL, b"blob"])
}
