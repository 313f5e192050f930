//! The files beside the database: filled once, then only written in place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::opening::{Elsewhere, ShareCopy, Slot, left_elsewhere, panic_copy};
use crate::share::bit;
use crate::state::{Header, PAGE};
use crate::tpm::Tpm;

/// Each state file is this long from the start, so that a full disk cannot stop a wipe.
pub(crate) const STATE_BYTES: usize = 256 * 1024;
const SHARE_BYTES: usize = 2 * PAGE;
/// No state is longer than its header, 16 MiB and the zeros behind it.
const MAX_FILE_BYTES: u64 = (1 << 24) + (1 << 16);
/// A file of this name keeps programs that make backups away from the folder it lies in; so does an empty one of the other.
const CACHE_TAG_NAME: &str = "CACHEDIR.TAG";
const NO_BACKUP_NAME: &str = ".nobackup";
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55
# This file marks a folder that must not be backed up: a copy of it would keep alive what is meant to die.
";

/// Where a vault lives.
#[derive(Clone)]
pub struct Place {
    /// The folder of the database, the state and the lock file.
    pub profile: PathBuf,
    /// The folder of the share file. Outside the profile, and left out of backups.
    pub share: PathBuf,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place(..)")
    }
}

impl Place {
    pub(crate) fn database(&self) -> PathBuf {
        self.profile.join("vault.db")
    }

    /// The database and what `SQLite` keeps beside it.
    pub(crate) fn database_files(&self) -> [PathBuf; 4] {
        ["vault.db", "vault.db-wal", "vault.db-shm", "vault.db-journal"].map(|name| self.profile.join(name))
    }

    /// Everything that a vault is made of; what says that it was destroyed comes last.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let rest = [self.state(0), self.state(1), self.attempts_file(), self.share_file()];
        self.database_files().into_iter().chain(rest)
    }

    /// What says to others what these folders are, and holds them.
    pub(crate) fn signs(&self) -> [PathBuf; 3] {
        [self.share.join(CACHE_TAG_NAME), self.share.join(NO_BACKUP_NAME), self.profile.join("lock")]
    }

    pub(crate) fn state(&self, e: u64) -> PathBuf {
        self.profile.join(if e.is_multiple_of(2) { "state.0" } else { "state.1" })
    }

    pub(crate) fn share_file(&self) -> PathBuf {
        self.share.join("share")
    }

    pub(crate) fn attempts_file(&self) -> PathBuf {
        self.share.join("attempts")
    }

    /// What stands there; empty where there is nothing.
    pub(crate) fn read_attempts(&self) -> Result<Vec<u8>, Error> {
        read(&self.attempts_file())
    }

    pub(crate) fn make_folders(&self) -> Result<(), Error> {
        for folder in [&self.profile, &self.share] {
            fs::create_dir_all(folder)?;
            keep_private(folder)?;
        }
        fs::write(self.share.join(CACHE_TAG_NAME), CACHE_TAG)?;
        fs::write(self.share.join(NO_BACKUP_NAME), "")?;
        crate::tier::set_no_dump(&self.share);
        Ok(())
    }

    /// Takes the profile for this process.
    pub(crate) fn lock(&self) -> Result<ProfileLock, Error> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.profile.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(ProfileLock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(Error::InUse),
            Err(fs::TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Both state files as they are; what is missing counts as empty.
    pub(crate) fn read_states(&self) -> Result<[Vec<u8>; 2], Error> {
        Ok([read(&self.state(0))?, read(&self.state(1))?])
    }

    /// What the vault keeps outside its files: by its states, or by what a panic left.
    pub(crate) fn elsewhere(&self) -> Elsewhere {
        let states = self.read_states().unwrap_or_default();
        let headers: Vec<Header> = states.iter().filter_map(|state| Header::decode(state).ok()).collect();
        if headers.is_empty() {
            let share = read(&self.share_file()).unwrap_or_default();
            return share.chunks(PAGE).find_map(left_elsewhere).unwrap_or_default();
        }
        let with = |bit: u8| headers.iter().find(|header| header.shares & bit != 0);
        Elsewhere {
            keyring_id: with(bit::KEYRING).map(|header| header.store_id),
            tpm: with(bit::TPM).map(|header| Tpm::of(header.tpm_counter)),
        }
    }

    /// Copies A and B of the share file.
    pub(crate) fn read_share(&self) -> Result<[ShareCopy; 2], Error> {
        let bytes = read(&self.share_file())?;
        let (a, b) = bytes.split_at_checked(PAGE).unwrap_or((&bytes, &[]));
        Ok([ShareCopy::decode(a), ShareCopy::decode(b.get(..PAGE).unwrap_or(b))])
    }
}

/// The profile, held by this process; let go when dropped.
#[derive(Debug)]
pub(crate) struct ProfileLock(File);

impl Drop for ProfileLock {
    fn drop(&mut self) {
        // Said aloud: a program that is just being started by this process holds the file, too, for a moment.
        let _ = self.0.unlock();
    }
}

#[cfg(unix)]
fn keep_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn keep_private(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// A whole file; an empty one where there is none.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(bytes)
}

/// Makes what is in a folder survive a power cut.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// The open state and share files.
#[derive(Debug)]
pub(crate) struct Files {
    states: [InPlace; 2],
    share: InPlace,
    /// After a panic nothing is written any more.
    pub(crate) is_panicked: bool,
    /// Copy A may be torn or old: the last write to it failed.
    pub(crate) is_copy_a_doubtful: bool,
}

impl Files {
    /// Opens the files, and fills those that are shorter than they have to be.
    pub(crate) fn open(place: &Place) -> Result<Self, Error> {
        let files = Self {
            states: [InPlace::open(&place.state(0), STATE_BYTES)?, InPlace::open(&place.state(1), STATE_BYTES)?],
            share: InPlace::open(&place.share_file(), SHARE_BYTES)?,
            is_panicked: false,
            is_copy_a_doubtful: false,
        };
        sync_folder(&place.profile)?;
        sync_folder(&place.share)?;
        Ok(files)
    }

    fn state(&mut self, e: u64) -> &mut InPlace {
        let [even, odd] = &mut self.states;
        if e.is_multiple_of(2) { even } else { odd }
    }

    /// Writes the record of epoch `e`, and zeros over what a longer one left.
    pub(crate) fn write_state(&mut self, e: u64, record: &[u8]) -> Result<(), Error> {
        self.refuse_after_panic()?;
        self.state(e).replace(record)
    }

    /// Zeros the state file that epoch `e` does not use.
    pub(crate) fn zero_other_state(&mut self, e: u64) -> Result<(), Error> {
        self.refuse_after_panic()?;
        self.state(e + 1).replace(&[])
    }

    pub(crate) fn write_copy_a(&mut self, slot: &Slot) -> Result<(), Error> {
        self.refuse_after_panic()?;
        self.obey_panic()?;
        self.is_copy_a_doubtful = true;
        self.share.write_at(0, &slot.encode())?;
        self.is_copy_a_doubtful = false;
        Ok(())
    }

    pub(crate) fn write_copy_b(&mut self, slot: &Slot) -> Result<(), Error> {
        self.refuse_after_panic()?;
        self.obey_panic()?;
        self.share.write_at(PAGE as u64, &slot.encode())
    }

    fn refuse_after_panic(&self) -> Result<(), Error> {
        if self.is_panicked { Err(Error::Closed) } else { Ok(()) }
    }

    /// Another process has destroyed the vault under this one: then it stays destroyed. Asked between a state and its
    /// share: what was written before the panic it has zeroed, and what was written after it meets this.
    fn obey_panic(&mut self) -> Result<(), Error> {
        let share = self.share.start()?;
        let Some(elsewhere) = share.chunks(PAGE).find_map(left_elsewhere) else { return Ok(()) };
        self.panic(elsewhere)?;
        Err(Error::Panicked)
    }

    /// Destroys the slot and both states.
    pub(crate) fn panic(&mut self, elsewhere: Elsewhere) -> Result<(), Error> {
        self.is_panicked = true;
        let copy = panic_copy(elsewhere);
        let share = self.share.write_at(0, &[copy.as_slice(), &copy].concat());
        // Even if the share could not be written, the states may be.
        let [even, odd] = &mut self.states;
        share.and(even.replace(&[])).and(odd.replace(&[]))
    }
}

/// A file that is only ever written in place: replacing it would leave the old bytes on the disk.
#[derive(Debug)]
pub(crate) struct InPlace {
    file: File,
    length: usize,
    /// Where the zeros behind the last record begin; unknown at first.
    used: usize,
}

impl InPlace {
    pub(crate) fn open(path: &Path, least: usize) -> Result<Self, Error> {
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let found = usize::try_from(file.metadata()?.len()).map_err(|_| Error::TooLarge)?;
        if found == 0 {
            crate::tier::set_no_copy(&file);
        }
        if found < least {
            file.seek(SeekFrom::End(0))?;
            file.write_all(&vec![0; least - found])?;
            file.sync_all()?;
        }
        let length = found.max(least);
        Ok(Self { file, length, used: length })
    }

    /// What stands in the file now, whoever wrote it.
    fn start(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::with_capacity(self.length);
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(self.length as u64).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)?;
        self.file.sync_data()?;
        Ok(())
    }

    /// Writes `bytes` from the start and zeros over the rest of what was in use.
    fn replace(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut whole = bytes.to_vec();
        whole.resize(bytes.len().max(self.used), 0);
        // Until the write is known to be whole, all of it counts as used.
        self.used = whole.len();
        self.write_at(0, &whole)?;
        self.used = bytes.len();
        self.length = self.length.max(whole.len());
        Ok(())
    }
}
