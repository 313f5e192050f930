//! Plants one leak in one place, so that a story can show that its search sees that place before it
//! claims that nothing is there.
//!
//! Every function here works on a copy of what a story left behind: the files are for looking at
//! afterwards, and a database that was planted in is not opened again. In encrypted databases the
//! leak is sealed with a right HMAC, as a careless database would have left it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::canary::Canary;
use super::sqlcipher::{PAGE_BYTES, PageCipher, USABLE_BYTES, beside};

/// Why a leak could not be planted.
#[derive(Debug, thiserror::Error)]
pub enum PlantError {
    /// Reading or writing the files failed.
    #[error("the files could not be read or written: {0}")]
    Io(#[from] io::Error),
    /// The database holds no such place; the story must make one first.
    #[error("the database holds no {0} with room for a canary")]
    NoRoom(&'static str),
}

/// The pages of a database file, encrypted or not, to be planted in.
#[derive(Debug)]
pub struct Pages {
    path: PathBuf,
    cipher: Option<PageCipher>,
    page_bytes: usize,
    usable_bytes: usize,
}

impl Pages {
    /// The pages of an encrypted database.
    pub fn encrypted(path: &Path, cipher: PageCipher) -> Self {
        Self { path: path.to_owned(), cipher: Some(cipher), page_bytes: PAGE_BYTES, usable_bytes: USABLE_BYTES }
    }

    /// The pages of a database in clear, such as a relay's.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or is no database.
    pub fn clear(path: &Path) -> Result<Self, PlantError> {
        let mut header = [0_u8; 100];
        File::open(path)?.read_exact(&mut header)?;
        let page_bytes = match be16(&header, 16).ok_or(PlantError::NoRoom("header"))? {
            1 => 65_536,
            size => size,
        };
        let reserved = header.get(20).copied().map_or(0, usize::from);
        let usable_bytes = page_bytes.saturating_sub(reserved);
        Ok(Self { path: path.to_owned(), cipher: None, page_bytes, usable_bytes })
    }

    /// Into the gap between the cell pointers and the cells of a b-tree page: where balancing leaves
    /// copies of rows that `secure_delete` does not know of. The database stays whole.
    ///
    /// # Errors
    ///
    /// [`PlantError::NoRoom`] where no page has such a gap.
    pub fn plant_in_page_gap(&self, canary: &Canary) -> Result<u32, PlantError> {
        let text = canary.text();
        // From the back, so that the schema on page 1 is the last to be touched.
        for number in (1..=self.count()?).rev() {
            let mut page = self.load(number)?;
            if let Some((start, end)) = gap(&page, number)
                && end - start >= text.len()
            {
                overwrite(&mut page, end - text.len(), text.as_bytes());
                self.save(number, &page)?;
                return Ok(number);
            }
        }
        Err(PlantError::NoRoom("page gap"))
    }

    /// Into a page of the freelist: one that it has, or else a new one at its head.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read or written.
    pub fn plant_in_freelist(&self, canary: &Canary) -> Result<u32, PlantError> {
        let mut first = self.load(1)?;
        let (Some(pages), Some(trunk), Some(free)) = (be32(&first, 28), be32(&first, 32), be32(&first, 36)) else {
            return Err(PlantError::NoRoom("freelist"));
        };
        let leaf = match trunk {
            0 => None,
            trunk => {
                let page = self.load(trunk)?;
                be32(&page, 4).filter(|leaves| *leaves > 0).and_then(|_| be32(&page, 8))
            }
        };
        if let Some(leaf) = leaf {
            let mut page = self.load(leaf)?;
            overwrite(&mut page, self.usable_bytes / 2, canary.text().as_bytes());
            self.save(leaf, &page)?;
            return Ok(leaf);
        }
        let number = pages.max(self.count()?) + 1;
        let mut page = vec![0; self.usable_bytes];
        overwrite(&mut page, 0, &trunk.to_be_bytes());
        overwrite(&mut page, self.usable_bytes / 2, canary.text().as_bytes());
        self.save(number, &page)?;
        overwrite(&mut first, 28, &number.to_be_bytes());
        overwrite(&mut first, 32, &number.to_be_bytes());
        overwrite(&mut first, 36, &(free + 1).to_be_bytes());
        self.save(1, &first)?;
        Ok(number)
    }

    /// Into the unused end of the last page of an overflow chain. The database stays whole.
    ///
    /// # Errors
    ///
    /// [`PlantError::NoRoom`] where no row is long enough to have overflow pages.
    pub fn plant_in_overflow(&self, canary: &Canary) -> Result<u32, PlantError> {
        let text = canary.text();
        for number in 1..=self.count()? {
            let page = self.load(number)?;
            for (first, length) in overflows(&page, number, self.usable_bytes) {
                let (last, used) = self.last_of_chain(first, length)?;
                if self.usable_bytes - used >= text.len() {
                    let mut page = self.load(last)?;
                    overwrite(&mut page, self.usable_bytes - text.len(), text.as_bytes());
                    self.save(last, &page)?;
                    return Ok(last);
                }
            }
        }
        Err(PlantError::NoRoom("overflow page"))
    }

    /// Into a frame behind the valid end of the write-ahead log, which is made where there is none:
    /// what a checkpoint that does not truncate leaves. Returns the frame, counted from 0.
    ///
    /// # Errors
    ///
    /// Fails when the files cannot be read or written.
    pub fn plant_in_wal(&self, canary: &Canary) -> Result<u64, PlantError> {
        let number = self.count()?.max(2);
        let mut page = vec![0; self.usable_bytes];
        overwrite(&mut page, self.usable_bytes / 3, canary.text().as_bytes());
        let sealed = self.seal(number, &page)?;
        let mut log =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(beside(&self.path, "-wal"))?;
        let frame_bytes = 24 + self.page_bytes as u64;
        let frame = log.metadata()?.len().saturating_sub(32) / frame_bytes;
        log.seek(SeekFrom::Start(32 + frame * frame_bytes))?;
        // Salts of zero match no log header: `SQLite` takes this frame for an old one.
        let mut head = [0_u8; 24];
        overwrite(&mut head, 0, &number.to_be_bytes());
        log.write_all(&head)?;
        log.write_all(&sealed)?;
        Ok(frame)
    }

    fn count(&self) -> io::Result<u32> {
        let pages = fs::metadata(&self.path)?.len() / self.page_bytes as u64;
        u32::try_from(pages).map_err(io::Error::other)
    }

    /// The last page of a chain that carries `length` bytes, and how much of that page is used.
    fn last_of_chain(&self, first: u32, length: usize) -> Result<(u32, usize), PlantError> {
        let (mut number, mut left) = (first, length);
        let carried = self.usable_bytes - 4;
        while left > carried {
            number = be32(&self.load(number)?, 0).ok_or(PlantError::NoRoom("overflow page"))?;
            left -= carried;
        }
        Ok((number, 4 + left))
    }

    fn load(&self, number: u32) -> Result<Vec<u8>, PlantError> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset(number)))?;
        let mut page = vec![0; self.page_bytes];
        file.read_exact(&mut page)?;
        let Some(cipher) = &self.cipher else {
            page.truncate(self.usable_bytes);
            return Ok(page);
        };
        match cipher.open(number, &page) {
            Some(opened) if opened.authentic => Ok(opened.bytes),
            _ => Err(PlantError::NoRoom("page that this key opens")),
        }
    }

    fn save(&self, number: u32, page: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset(number)))?;
        file.write_all(&self.seal(number, page)?)?;
        // A page in clear may have a reserved end, which stays as it is or becomes zeros.
        let end = self.offset(number) + self.page_bytes as u64;
        if file.metadata()?.len() < end {
            file.set_len(end)?;
        }
        Ok(())
    }

    fn seal(&self, number: u32, page: &[u8]) -> io::Result<Vec<u8>> {
        match &self.cipher {
            Some(cipher) => cipher.seal(number, page),
            None => Ok(page.to_vec()),
        }
    }

    fn offset(&self, number: u32) -> u64 {
        u64::from(number.saturating_sub(1)) * self.page_bytes as u64
    }
}

/// Into the zeros at the end of a state or share file, whose length stays as it is.
///
/// # Errors
///
/// [`PlantError::NoRoom`] where the file does not end in enough zeros.
pub fn plant_in_zeros(path: &Path, canary: &Canary) -> Result<(), PlantError> {
    let text = canary.text();
    let mut bytes = fs::read(path)?;
    let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    if zeros < text.len() {
        return Err(PlantError::NoRoom("run of zeros"));
    }
    let at = bytes.len() - text.len();
    overwrite(&mut bytes, at, text.as_bytes());
    Ok(fs::write(path, bytes)?)
}

/// At the end of a blob, a log or any other file, which is made where there is none.
///
/// # Errors
///
/// Fails when the file cannot be written.
pub fn plant_at_end(path: &Path, canary: &Canary) -> Result<(), PlantError> {
    append(path, canary.text().as_bytes())
}

/// As UTF-16 in a file of a webview's profile, the way browsers keep what pages store.
///
/// # Errors
///
/// Fails when the file cannot be written.
pub fn plant_in_webview(profile: &Path, canary: &Canary) -> Result<(), PlantError> {
    let wide: Vec<u8> = canary.text().encode_utf16().flat_map(u16::to_le_bytes).collect();
    append(&profile.join("localstorage").join("tauri_localhost_0.localstorage"), &wide)
}

fn append(path: &Path, bytes: &[u8]) -> Result<(), PlantError> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    Ok(OpenOptions::new().create(true).append(true).open(path)?.write_all(bytes)?)
}

/// The unused bytes between the cell pointers and the cells of a b-tree page.
fn gap(page: &[u8], number: u32) -> Option<(usize, usize)> {
    let head = if number == 1 { 100 } else { 0 };
    let pointers = match page.get(head)? {
        2 | 5 => head + 12,
        10 | 13 => head + 8,
        _ => return None,
    };
    let start = pointers + 2 * be16(page, head + 3)?;
    let end = be16(page, head + 5)?;
    (start < end && end <= page.len()).then_some((start, end))
}

/// For each row on a leaf page that is too long for it: where its overflow chain starts, and how many
/// bytes the chain carries (file format of `SQLite`, section 1.6).
fn overflows(page: &[u8], number: u32, usable: usize) -> Vec<(u32, usize)> {
    let head = if number == 1 { 100 } else { 0 };
    let (is_table, most) = match page.get(head) {
        Some(13) => (true, usable - 35),
        Some(10) => (false, (usable - 12) * 64 / 255 - 23),
        _ => return Vec::new(),
    };
    let least = (usable - 12) * 32 / 255 - 23;
    let cells = be16(page, head + 3).unwrap_or(0);
    let chain = |cell: usize| -> Option<(u32, usize)> {
        let at = be16(page, head + 8 + 2 * cell)?;
        let (length, mut at) = varint(page, at)?;
        if is_table {
            at = varint(page, at)?.1;
        }
        if length <= most {
            return None;
        }
        let fitting = least + (length - least) % (usable - 4);
        let local = if fitting <= most { fitting } else { least };
        Some((be32(page, at + local)?, length - local))
    };
    (0..cells).filter_map(chain).collect()
}

/// A number of `SQLite`'s variable length at `at`, and where it ends.
fn varint(page: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (index, byte) in page.get(at..)?.iter().take(9).enumerate() {
        let bits = if index == 8 { 8 } else { 7 };
        let low = usize::from(*byte) & ((1 << bits) - 1);
        value = value.checked_shl(bits)? | low;
        if index == 8 || byte & 0x80 == 0 {
            return Some((value, at + index + 1));
        }
    }
    None
}

fn be16(bytes: &[u8], at: usize) -> Option<usize> {
    let pair = bytes.get(at..at + 2)?.first_chunk::<2>()?;
    Some(usize::from(u16::from_be_bytes(*pair)))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..at + 4)?.first_chunk::<4>()?))
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + with.len()) {
        room.copy_from_slice(with);
    }
}
