//! The door to the machine's TPM: 32 bytes in a place of their own, overwritten where no copy of a disk reaches.
//!
//! Four commands of the TPM 2.0 Library, part 3 (`NV_DefineSpace`, `NV_Write`, `NV_Read`, `NV_UndefineSpace`), each with an
//! empty password, spoken to the kernel's resource manager. A write is one commit inside the chip: the old bytes are gone, or
//! the new ones never came. So no blob of an earlier share lies anywhere that would have to be refused.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::Error;
use crate::cipher::Key;

/// Another device, or the socket of a software TPM.
const WHERE: &str = "MAYFLY_TPM";
const DEVICE: &str = "/dev/tpmrm0";
const OWNER: u32 = 0x4000_0001;
/// Where indices of the owner begin that no vendor claims, and how many of them are tried.
const FIRST_INDEX: u32 = 0x0180_0000;
const INDICES: u32 = 0x0040_0000;
const TRIES: u32 = 16;
/// Read and written with the index's own (empty) password or the owner's; wrong passwords do not lock the chip.
const ATTRIBUTES: u32 = 0x0206_0006;
const SHA256: u16 = 0x000B;
const SHARE_BYTES: u16 = 32;
const ALREADY_DEFINED: u32 = 0x014C;
/// The chip is busy with itself: asked again, it answers.
const AGAIN: [u32; 4] = [0x0908, 0x090A, 0x0920, 0x0922];
const PATIENCE: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
const MAX_RESPONSE: u32 = 4096;

/// The place of one vault's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tpm {
    index: u32,
}

/// Why the chip did not do what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It said no, or was never reached: nothing has changed in it.
    Undone(u32),
    /// It fell silent after it was told: nobody knows.
    Unknown,
}

impl From<Refusal> for Error {
    fn from(_: Refusal) -> Self {
        Self::TpmUnavailable
    }
}

impl Tpm {
    /// The place that a header names.
    pub(crate) fn of(header_field: u64) -> Self {
        Self { index: u32::try_from(header_field >> 32).unwrap_or(0) }
    }

    /// What a header names it by; the lower half counts the moves.
    pub(crate) fn header_field(self) -> u64 {
        u64::from(self.index) << 32
    }

    pub(crate) fn index(self) -> u32 {
        self.index
    }

    pub(crate) fn at(index: u32) -> Self {
        Self { index }
    }

    /// A place of its own for a vault, at an index that nobody has.
    ///
    /// # Errors
    /// [`Error::TpmUnavailable`]: no chip, no right to use it, or no room in it.
    pub(crate) fn define(store_id: &[u8; 16]) -> Result<Self, Error> {
        let [a, b, c, d, ..] = *store_id;
        let first = u32::from_be_bytes([a, b, c, d]);
        for n in 0..TRIES {
            let tpm = Self { index: FIRST_INDEX + first.wrapping_add(n) % INDICES };
            let mut public = Vec::new();
            public.extend(tpm.index.to_be_bytes());
            public.extend(SHA256.to_be_bytes());
            public.extend(ATTRIBUTES.to_be_bytes());
            public.extend([0, 0]);
            public.extend(SHARE_BYTES.to_be_bytes());
            match command(0x012A, &[OWNER], &[&[0, 0], &sized(&public)]) {
                Ok(_) => return Ok(tpm),
                Err(Refusal::Undone(ALREADY_DEFINED)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(Error::TpmUnavailable)
    }

    /// What is there.
    pub(crate) fn read(self) -> Result<Key, Refusal> {
        let response = command(0x014E, &[self.index, self.index], &[&SHARE_BYTES.to_be_bytes(), &[0, 0]])?;
        // Size of the parameters u32, size of the data u16, the data, the session.
        let data = response.get(6..).and_then(|rest| rest.first_chunk());
        data.map(|bytes| Key(*bytes)).ok_or(Refusal::Unknown)
    }

    /// Overwrites what is there.
    pub(crate) fn write(self, share: &Key) -> Result<(), Refusal> {
        command(0x0137, &[self.index, self.index], &[&sized(&share.0), &[0, 0]]).map(drop)
    }

    /// Gives the place up, with what is in it.
    pub(crate) fn undefine(self) -> Result<(), Refusal> {
        command(0x0122, &[OWNER, self.index], &[]).map(drop)
    }
}

fn sized(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    Zeroizing::new([&length.to_be_bytes(), bytes].concat())
}

/// Sends a command with one session, an empty password, and gives what follows the response's header.
fn command(code: u32, handles: &[u32], parameters: &[&[u8]]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    const SESSIONS: [u8; 2] = [0x80, 0x02];
    const EMPTY_PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
    let handles: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
    let parameters = Zeroizing::new(parameters.concat());
    let length = 10 + handles.len() + EMPTY_PASSWORD.len() + parameters.len();
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let parts = [&SESSIONS, length.as_slice(), &code.to_be_bytes(), &handles, &EMPTY_PASSWORD, &parameters];
    let request = Zeroizing::new(parts.concat());
    for _ in 0..PATIENCE {
        match transact(&request)? {
            (0, response) => return Ok(response),
            (code, _) if AGAIN.contains(&code) => std::thread::sleep(PAUSE),
            (code, _) => return Err(Refusal::Undone(code)),
        }
    }
    Err(Refusal::Undone(0))
}

/// One request and its response: the code, and what follows it.
fn transact(request: &[u8]) -> Result<(u32, Zeroizing<Vec<u8>>), Refusal> {
    let path = std::env::var_os(WHERE).map_or_else(|| PathBuf::from(DEVICE), PathBuf::from);
    let mut link = connect(&path).ok_or(Refusal::Undone(0))?;
    // A device takes a command with one write or not at all.
    link.write_all(request).map_err(|_| Refusal::Unknown)?;
    let mut response = Zeroizing::new(vec![0; MAX_RESPONSE as usize]);
    let mut filled = 0;
    loop {
        // Of a device one read gives all; a socket may take several.
        let room = response.get_mut(filled..).unwrap_or_default();
        filled += match link.read(room) {
            Ok(0) | Err(_) => return Err(Refusal::Unknown),
            Ok(read) => read,
        };
        let so_far = response.get(..filled).unwrap_or_default();
        let Some((length, code, rest)) = header(so_far) else { continue };
        if !(10..=MAX_RESPONSE).contains(&length) {
            return Err(Refusal::Unknown);
        }
        if let Some(rest) = rest.get(..length as usize - 10) {
            return Ok((code, Zeroizing::new(rest.to_vec())));
        }
    }
}

/// Length and code of a response, and what has come of the rest.
fn header(response: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (_, rest) = response.split_first_chunk::<2>()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (code, rest) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*length), u32::from_be_bytes(*code), rest))
}

trait Link: Read + Write {}
impl<T: Read + Write> Link for T {}

#[cfg(unix)]
fn connect(path: &Path) -> Option<Box<dyn Link>> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::UnixStream;
    const LIMIT: Duration = Duration::from_secs(5);
    if std::fs::metadata(path).ok()?.file_type().is_socket() {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        stream.set_write_timeout(Some(LIMIT)).ok()?;
        return Some(Box::new(stream));
    }
    let device = std::fs::OpenOptions::new().read(true).write(true).open(path).ok()?;
    Some(Box::new(device))
}

#[cfg(not(unix))]
fn connect(_path: &Path) -> Option<Box<dyn Link>> {
    None
}
