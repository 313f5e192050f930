//! A reader of `SQLCipher` 4 files that does not trust the database: it decrypts every page by its
//! place in the file, whether or not a b-tree, the freelist or the log's index still leads there.
//!
//! Format (`SQLCipher` 4 defaults with a raw key, <https://www.zetetic.net/sqlcipher/design/>):
//!
//! ```text
//! page     4096 bytes = AES-256-CBC ciphertext 4016 | iv 16 | HMAC-SHA-512 64
//! page 1   its first 16 bytes are the salt in clear, in the place of SQLite's magic
//! mac key  PBKDF2-HMAC-SHA-512(key, salt ^ 0x3a.., 2 rounds, 32 bytes)
//! mac      over ciphertext | iv | page number u32 little-endian
//! -wal     32 bytes, then frames of 24 bytes (page number u32 big-endian first) + page
//! -journal one sector, then records of page number u32 big-endian + page + checksum u32
//! ```

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockDecrypt, BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{hmac, pbkdf2};

/// A page as it lies in the file.
pub const PAGE_BYTES: usize = 4096;
/// What is left of a page for `SQLite`: the rest holds the initialisation vector and the HMAC.
pub const USABLE_BYTES: usize = PAGE_BYTES - IV_BYTES - MAC_BYTES;

const IV_BYTES: usize = 16;
const MAC_BYTES: usize = 64;
const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;
const MAGIC: &[u8; SALT_BYTES] = b"SQLite format 3\0";
const WAL_HEADER_BYTES: u64 = 32;
const WAL_FRAME_HEADER_BYTES: usize = 24;
const SECTOR_BYTES: u64 = 512;

/// The keys of one database: opens its pages, and seals pages the way the database would.
///
/// `Debug` is silent.
#[derive(Clone)]
pub struct PageCipher {
    key: [u8; KEY_BYTES],
    salt: [u8; SALT_BYTES],
    mac: hmac::Key,
    blocks: Aes256,
}

impl PageCipher {
    /// From the raw key and the salt that stands at the head of the file.
    pub fn new(key: [u8; KEY_BYTES], salt: [u8; SALT_BYTES]) -> Self {
        let rounds = NonZeroU32::MIN.saturating_add(1);
        let mut mac = [0_u8; KEY_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, rounds, &salt.map(|b| b ^ 0x3a), &key, &mut mac);
        Self { key, salt, mac: hmac::Key::new(hmac::HMAC_SHA512, &mac), blocks: Aes256::new(&key.into()) }
    }

    /// From what `mayfly-cli vault key` prints.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless the key is 64 and the salt 32 hexadecimal digits.
    pub fn from_hex(key: &str, salt: &str) -> io::Result<Self> {
        let refused = || io::Error::new(io::ErrorKind::InvalidInput, "the key or the salt is not hex");
        let key = unhex(key).and_then(|bytes| bytes.try_into().ok()).ok_or_else(refused)?;
        let salt = unhex(salt).and_then(|bytes| bytes.try_into().ok()).ok_or_else(refused)?;
        Ok(Self::new(key, salt))
    }

    /// Decrypts one page and says whether its HMAC is right.
    ///
    /// A page with a wrong HMAC is decrypted all the same: a torn or half overwritten page still
    /// shows its surviving blocks, because CBC heals after one block. `None` when `sealed` is not one
    /// page long.
    pub fn open(&self, number: u32, sealed: &[u8]) -> Option<OpenedPage> {
        let (body, trailer) = sealed.split_at_checked(USABLE_BYTES)?;
        let (iv, mac) = trailer.split_first_chunk::<IV_BYTES>()?;
        if mac.len() != MAC_BYTES {
            return None;
        }
        let body = if number == 1 { body.get(SALT_BYTES..)? } else { body };
        let authentic = hmac::verify(&self.mac, &mac_input(body, iv, number), mac).is_ok();
        let mut plain = body.to_vec();
        cbc::Decryptor::<Aes256>::new(&self.key.into(), iv.into()).decrypt_padded_mut::<NoPadding>(&mut plain).ok()?;
        let mut bytes = if number == 1 { MAGIC.to_vec() } else { Vec::new() };
        bytes.append(&mut plain);
        Some(OpenedPage { authentic, bytes })
    }

    /// The first 16 bytes of what may be a page, at a fraction of the price of all of it.
    pub(super) fn peek(&self, sealed: &[u8]) -> Option<[u8; IV_BYTES]> {
        let first = sealed.first_chunk::<IV_BYTES>()?;
        let iv = sealed.get(USABLE_BYTES..)?.first_chunk::<IV_BYTES>()?;
        let mut block = (*first).into();
        self.blocks.decrypt_block(&mut block);
        let mut plain = [0; IV_BYTES];
        for ((to, byte), mask) in plain.iter_mut().zip(block).zip(iv) {
            *to = byte ^ mask;
        }
        Some(plain)
    }

    /// Encrypts one page under a fresh initialisation vector and a right HMAC, as the database would:
    /// this is how a leak is planted inside an encrypted file.
    ///
    /// # Errors
    ///
    /// `InvalidInput` unless `plain` is [`USABLE_BYTES`] long; otherwise when the system gives no
    /// random bytes.
    pub fn seal(&self, number: u32, plain: &[u8]) -> io::Result<Vec<u8>> {
        let refused = || io::Error::new(io::ErrorKind::InvalidInput, "this is not one page");
        if plain.len() != USABLE_BYTES {
            return Err(refused());
        }
        let skipped = if number == 1 { SALT_BYTES } else { 0 };
        let mut body = plain.get(skipped..).ok_or_else(refused)?.to_vec();
        let mut iv = [0_u8; IV_BYTES];
        SystemRandom::new().fill(&mut iv).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let len = body.len();
        cbc::Encryptor::<Aes256>::new(&self.key.into(), &iv.into())
            .encrypt_padded_mut::<NoPadding>(&mut body, len)
            .map_err(|_| refused())?;
        let mac = hmac::sign(&self.mac, &mac_input(&body, &iv, number));
        let mut sealed = if number == 1 { self.salt.to_vec() } else { Vec::new() };
        sealed.extend_from_slice(&body);
        sealed.extend_from_slice(&iv);
        sealed.extend_from_slice(mac.as_ref());
        Ok(sealed)
    }
}

impl fmt::Debug for PageCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCipher").finish_non_exhaustive()
    }
}

/// What came out of one page.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedPage {
    /// The HMAC fits key, page number and bytes.
    pub authentic: bool,
    /// The [`USABLE_BYTES`] plaintext bytes; those of page 1 start with `SQLite`'s magic.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for OpenedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedPage").field("authentic", &self.authentic).finish_non_exhaustive()
    }
}

/// Where a page was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageKind {
    /// In the database file.
    Database,
    /// In a frame of the write-ahead log, counted from 0, valid or stale.
    Wal(u64),
    /// In a record of the rollback journal, counted from 0.
    Journal(u64),
}

/// One decrypted page and where it lay.
#[derive(Clone)]
pub struct Page {
    /// The file it was read from.
    pub file: PathBuf,
    /// In which structure of that file.
    pub kind: PageKind,
    /// Its page number, from 1.
    pub number: u32,
    /// The page itself.
    pub opened: OpenedPage,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("kind", &self.kind)
            .field("number", &self.number)
            .field("opened", &self.opened)
            .finish_non_exhaustive()
    }
}

/// How much a search has really looked at: one that opened no page has proved nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageCensus {
    /// Pages whose HMAC was right.
    pub authentic: u64,
    /// Pages whose HMAC was wrong: another key, torn, or damaged. They are searched all the same.
    pub foreign: u64,
    /// Pages of nothing but zeros.
    pub empty: u64,
}

/// Opens every page of the database at `path`, of its `-wal` and of its `-journal`, where there are
/// such files, and shows each to `visit`.
///
/// # Errors
///
/// Whatever reading the files gives; a missing log or journal is no error, a missing database is.
pub fn read_pages(path: &Path, cipher: &PageCipher, visit: &mut dyn FnMut(Page)) -> io::Result<PageCensus> {
    let mut census = PageCensus::default();
    let mut read = |file: PathBuf, layout: &Layout| -> io::Result<()> {
        layout.each_page(&file, &mut |kind, number, sealed| {
            if sealed.iter().all(|byte| *byte == 0) {
                census.empty += 1;
            } else if let Some(opened) = cipher.open(number, sealed) {
                *(if opened.authentic { &mut census.authentic } else { &mut census.foreign }) += 1;
                visit(Page { file: file.clone(), kind, number, opened });
            }
        })
    };
    read(path.to_owned(), &Layout::DATABASE)?;
    for (suffix, layout) in [("-wal", &Layout::WAL), ("-journal", &Layout::JOURNAL)] {
        let file = beside(path, suffix);
        if file.exists() {
            read(file, layout)?;
        }
    }
    Ok(census)
}

/// The log or journal that belongs to a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// How pages are strung together in a file.
struct Layout {
    header_bytes: u64,
    prefix_bytes: usize,
    suffix_bytes: usize,
    kind: fn(u64) -> PageKind,
}

impl Layout {
    const DATABASE: Self = Self { header_bytes: 0, prefix_bytes: 0, suffix_bytes: 0, kind: |_| PageKind::Database };
    const WAL: Self = Self {
        header_bytes: WAL_HEADER_BYTES,
        prefix_bytes: WAL_FRAME_HEADER_BYTES,
        suffix_bytes: 0,
        kind: PageKind::Wal,
    };
    const JOURNAL: Self =
        Self { header_bytes: SECTOR_BYTES, prefix_bytes: 4, suffix_bytes: 4, kind: PageKind::Journal };

    fn each_page(&self, file: &Path, visit: &mut dyn FnMut(PageKind, u32, &[u8])) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, File::open(file)?);
        io::copy(&mut reader.by_ref().take(self.header_bytes), &mut io::sink())?;
        let step = self.prefix_bytes + PAGE_BYTES + self.suffix_bytes;
        let mut record = Vec::with_capacity(step);
        for index in 0_u64.. {
            record.clear();
            reader.by_ref().take(step as u64).read_to_end(&mut record)?;
            // A last record that is cut off after its page is whole enough.
            let Some(sealed) = record.get(self.prefix_bytes..self.prefix_bytes + PAGE_BYTES) else {
                break;
            };
            let number = match record.first_chunk::<4>() {
                Some(number) if self.prefix_bytes >= 4 => u32::from_be_bytes(*number),
                _ => u32::try_from(index + 1).unwrap_or(u32::MAX),
            };
            visit((self.kind)(index), number, sealed);
        }
        Ok(())
    }
}

fn mac_input(body: &[u8], iv: &[u8; IV_BYTES], number: u32) -> Vec<u8> {
    [body, iv.as_slice(), number.to_le_bytes().as_slice()].concat()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(pairs.filter_map(|pair| Some(pair.first()? << 4 | pair.last()?)).collect())
}
