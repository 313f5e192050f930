//! How many wrong passphrases were tried, and how long the next one has to wait.
//!
//! The tally lies beside the share, not in the profile: a profile that is copied back does not bring old tries back. It
//! is on the disk before a passphrase is tried, so that killing the program saves nobody a try.

use ring::digest::{SHA256, digest};

use crate::clock::Reading;
use crate::disk::InPlace;
use crate::state::PAGE;
use crate::{Error, Place};

const MAGIC: &[u8; 8] = b"MFAT\x01\0\0\0";
pub(crate) const TALLY_BYTES: usize = 48;
const CHECKED_BYTES: usize = 56;
const CHECKSUM_BYTES: usize = 16;
/// So many wrong passphrases cost no waiting.
const FREE: u32 = 2;
/// The wait after each further one; the last goes for all after it.
const WAITS_MS: [u64; 6] = [5_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// What is remembered of the tries since the last right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Rises with every change: of two tallies the one with the higher number counts.
    pub(crate) seq: u64,
    pub(crate) failures: u32,
    /// After so many failures everything is destroyed; 0 is never.
    pub(crate) erase_after: u32,
    wall_ms: u64,
    boot_id: [u8; 16],
    boottime_ms: u64,
}

impl Tally {
    /// The 48 bytes that stand for it, here and beside the share in the keyring.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(TALLY_BYTES);
        out.extend(self.seq.to_be_bytes());
        out.extend(self.failures.to_be_bytes());
        out.extend(self.erase_after.to_be_bytes());
        out.extend(self.wall_ms.to_be_bytes());
        out.extend(self.boot_id);
        out.extend(self.boottime_ms.to_be_bytes());
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk()?;
        let (failures, rest) = rest.split_first_chunk()?;
        let (erase_after, rest) = rest.split_first_chunk()?;
        let (wall_ms, rest) = rest.split_first_chunk()?;
        let (boot_id, rest) = rest.split_first_chunk()?;
        let boottime_ms = rest.try_into().ok()?;
        Some(Self {
            seq: u64::from_be_bytes(*seq),
            failures: u32::from_be_bytes(*failures),
            erase_after: u32::from_be_bytes(*erase_after),
            wall_ms: u64::from_be_bytes(*wall_ms),
            boot_id: *boot_id,
            boottime_ms: u64::from_be_bytes(boottime_ms),
        })
    }

    /// One failure more, at this moment.
    pub(crate) fn failed(&self, reading: &Reading) -> Self {
        Self {
            seq: self.seq.saturating_add(1),
            failures: self.failures.saturating_add(1),
            erase_after: self.erase_after,
            wall_ms: u64::try_from(reading.wall.0).unwrap_or(0),
            boot_id: reading.boot_id,
            boottime_ms: reading.boottime_ms,
        }
    }

    /// The right passphrase came.
    pub(crate) fn cleared(&self) -> Self {
        Self { seq: self.seq.saturating_add(1), erase_after: self.erase_after, ..Self::default() }
    }

    /// Whether so many have failed that everything goes.
    pub(crate) fn is_spent(&self) -> bool {
        self.erase_after != 0 && self.failures >= self.erase_after
    }

    /// Whole seconds until the next try is allowed.
    ///
    /// Within one boot only the boot clock counts, which nobody can set. Across a restart the wall clock counts, too, or
    /// a night switched off would be no time at all; who may set the clock and restart can shorten a wait to that.
    pub(crate) fn wait_s(&self, reading: &Reading) -> u64 {
        let over = usize::try_from(self.failures.saturating_sub(FREE)).unwrap_or(usize::MAX);
        let Some(index) = over.checked_sub(1) else { return 0 };
        let wait_ms = WAITS_MS.get(index.min(WAITS_MS.len() - 1)).copied().unwrap_or(0);
        let passed_ms = if reading.boot_id == self.boot_id {
            reading.boottime_ms.saturating_sub(self.boottime_ms)
        } else {
            let since = reading.wall.0.saturating_sub(i64::try_from(self.wall_ms).unwrap_or(i64::MAX));
            u64::try_from(since).unwrap_or(0).max(reading.boottime_ms)
        };
        wait_ms.saturating_sub(passed_ms).div_ceil(1000)
    }

    /// One of the two copies in the file.
    pub(crate) fn encode_copy(&self) -> Vec<u8> {
        let mut copy = MAGIC.to_vec();
        copy.extend(self.encode());
        let checksum = digest(&SHA256, &copy);
        copy.extend(checksum.as_ref().iter().take(CHECKSUM_BYTES));
        copy.resize(PAGE, 0);
        copy
    }

    /// Nothing where a copy is torn, empty or foreign.
    pub(crate) fn decode_copy(copy: &[u8]) -> Option<Self> {
        let (checked, rest) = copy.split_first_chunk::<CHECKED_BYTES>()?;
        let (checksum, _) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
        let tally = checked.strip_prefix(MAGIC)?;
        digest(&SHA256, checked).as_ref().starts_with(checksum).then(|| Self::decode(tally)).flatten()
    }
}

/// The tally with its file: two copies, written in turn, so that a torn write leaves the other.
#[derive(Debug)]
pub(crate) struct Attempts {
    file: InPlace,
    tally: Tally,
}

impl Attempts {
    /// Opens the file, making it where there is none.
    pub(crate) fn open(place: &Place) -> Result<Self, Error> {
        let file = InPlace::open(&place.attempts_file(), 2 * PAGE)?;
        let bytes = place.read_attempts()?;
        let tally = bytes.chunks(PAGE).filter_map(Tally::decode_copy).max_by_key(|tally| tally.seq);
        Ok(Self { file, tally: tally.unwrap_or_default() })
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Takes another memory of the same tries into account: the later one counts.
    pub(crate) fn merge(&mut self, other: Tally) {
        if other.seq > self.tally.seq {
            self.tally = other;
        }
    }

    /// Counts a try before it is made.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`] when it comes too early; [`Error::Disk`] when it cannot be counted, and so not be made.
    pub(crate) fn begin(&mut self, reading: &Reading) -> Result<(), Error> {
        match self.tally.wait_s(reading) {
            0 => self.write(self.tally.failed(reading)),
            wait_s => Err(Error::TooManyAttempts { wait_s }),
        }
    }

    /// The passphrase was right.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        self.write(self.tally.cleared())
    }

    /// Sets after how many failures everything is destroyed; 0 is never.
    pub(crate) fn set_erase_after(&mut self, failures: u32) -> Result<(), Error> {
        self.write(Tally { seq: self.tally.seq.saturating_add(1), erase_after: failures, ..self.tally })
    }

    fn write(&mut self, tally: Tally) -> Result<(), Error> {
        let offset = if tally.seq.is_multiple_of(2) { 0 } else { PAGE as u64 };
        self.file.write_at(offset, &tally.encode_copy())?;
        self.tally = tally;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::UnixMs;

    fn reading(wall_s: i64, boot: u8, boot_s: u64) -> Reading {
        Reading { wall: UnixMs(wall_s * 1000), boot_id: [boot; 16], boottime_ms: boot_s * 1000 }
    }

    fn failed(times: u32, at: &Reading) -> Tally {
        (0..times).fold(Tally::default(), |tally, _| tally.failed(at))
    }

    #[test]
    fn two_failures_are_free_and_then_the_wait_grows_to_an_hour() {
        let at = reading(1_000_000, 1, 500);
        let waits: Vec<u64> = (0..10).map(|times| failed(times, &at).wait_s(&at)).collect();
        assert_eq!(waits, [0, 0, 0, 5, 30, 60, 300, 900, 3600, 3600]);
        assert_eq!(failed(7, &at).cleared().wait_s(&at), 0);
    }

    #[test]
    fn within_one_boot_the_wall_clock_shortens_nothing() {
        let tally = failed(8, &reading(1_000_000, 1, 500));
        assert_eq!(tally.wait_s(&reading(9_000_000, 1, 510)), 3590);
        assert_eq!(tally.wait_s(&reading(0, 1, 4_099)), 1);
        assert_eq!(tally.wait_s(&reading(0, 1, 4_100)), 0);
    }

    #[test]
    fn across_a_restart_the_time_switched_off_counts_and_a_clock_set_back_adds_nothing() {
        let tally = failed(8, &reading(1_000_000, 1, 500));
        assert_eq!(tally.wait_s(&reading(1_003_000, 2, 10)), 600);
        assert_eq!(tally.wait_s(&reading(5, 2, 10)), 3590);
        assert_eq!(tally.wait_s(&reading(5, 2, 3_600)), 0);
    }

    #[test]
    fn a_tally_reads_back_and_with_any_byte_changed_it_does_not() {
        let tally = Tally { erase_after: 10, ..failed(3, &reading(77, 2, 5)) };
        assert_eq!(Tally::decode(&tally.encode()), Some(tally));
        let copy = tally.encode_copy();
        assert_eq!(Tally::decode_copy(&copy), Some(tally));
        for at in 0..CHECKED_BYTES + CHECKSUM_BYTES {
            let mut bad = copy.clone();
            bad[at] ^= 1;
            assert_eq!(Tally::decode_copy(&bad), None, "{at}");
        }
    }

    #[test]
    fn a_torn_write_leaves_the_tally_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place { profile: folder.path().join("p"), share: folder.path().join("s") };
        place.make_folders().unwrap();
        let at = reading(1_000_000, 1, 500);
        let mut attempts = Attempts::open(&place).unwrap();
        for _ in 0..3 {
            attempts.begin(&at).unwrap();
        }
        assert_eq!(attempts.begin(&at), Err(Error::TooManyAttempts { wait_s: 5 }));
        drop(attempts);
        assert_eq!(Attempts::open(&place).unwrap().tally().failures, 3);
        let mut bytes = std::fs::read(place.attempts_file()).unwrap();
        bytes[PAGE + 40] ^= 1;
        std::fs::write(place.attempts_file(), bytes).unwrap();
        assert_eq!(Attempts::open(&place).unwrap().tally().failures, 2);
    }
}
