//! The file of bodies: each event lies at exactly one place and is overwritten there.
//!
//! A database would copy content into journals and leave old copies in the gaps of its pages.
//! Here nothing is ever moved, so overwriting one place with zeros leaves nothing behind in the
//! file. What the disk itself keeps of overwritten blocks is beyond a file's reach; it is
//! ciphertext.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;

/// Places begin at multiples of this, so that holes fit the next event more often.
const STEP: u64 = 256;
/// Zeros are written and holes are read in pieces of this size.
const PIECE: usize = 64 * 1024;

/// Where a body lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) place: u64,
    pub(crate) length: u64,
}

impl Extent {
    /// Bytes that the extent takes up in the file.
    pub(crate) fn room(self) -> u64 {
        self.length.div_ceil(STEP).saturating_mul(STEP)
    }

    fn end(self) -> u64 {
        self.place.saturating_add(self.room())
    }
}

/// The open file and its free places.
///
/// Invariant: every byte outside the extents that were handed out is zero, or beyond the end.
#[derive(Debug)]
pub(crate) struct Bodies {
    file: File,
    end: u64,
    /// Free places before `end`: where → how long. No two touch, none touches `end`.
    holes: BTreeMap<u64, u64>,
    /// The same as (how long, where), to find the smallest that fits.
    holes_by_room: BTreeSet<(u64, u64)>,
    unsynced: bool,
}

impl Bodies {
    /// Takes over a file in which `taken`, ordered by place, are in use, and zeroes the rest: a
    /// crash may have left bodies there whose rows never came to be, or are gone.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or when two extents overlap.
    pub(crate) fn open(file: File, taken: &[Extent]) -> io::Result<Self> {
        let mut bodies = Self { file, end: 0, holes: BTreeMap::new(), holes_by_room: BTreeSet::new(), unsynced: false };
        let length = bodies.file.metadata()?.len();
        for extent in taken {
            if extent.place < bodies.end || !extent.place.is_multiple_of(STEP) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let gap = extent.place - bodies.end;
            if gap > 0 {
                bodies.scrub(bodies.end, extent.place.min(length))?;
                bodies.add_hole(bodies.end, gap);
            }
            bodies.end = extent.end();
        }
        // Also lengthens a file that a power cut left too short: what is missing reads as zeros.
        bodies.file.set_len(bodies.end)?;
        Ok(bodies)
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.end.saturating_sub(self.holes.values().sum())
    }

    /// Writes a body to a free place.
    ///
    /// # Errors
    ///
    /// When the disk refuses; what was written in part is zeroed as far as possible.
    pub(crate) fn write(&mut self, body: &[u8]) -> io::Result<Extent> {
        let length = u64::try_from(body.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let extent = self.claim(length)?;
        self.unsynced = true;
        let written = self.seek(extent.place).and_then(|()| self.file.write_all(body));
        if let Err(error) = written {
            self.wipe(extent)?;
            return Err(error);
        }
        Ok(extent)
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// When the file is shorter than the extent says, or the disk refuses.
    pub(crate) fn read(&mut self, extent: Extent) -> io::Result<Vec<u8>> {
        let length = usize::try_from(extent.length).map_err(|_| io::ErrorKind::InvalidData)?;
        let mut body = vec![0; length];
        self.seek(extent.place)?;
        self.file.read_exact(&mut body)?;
        Ok(body)
    }

    /// Overwrites a body with zeros and frees its place. The one door to destruction here.
    ///
    /// # Errors
    ///
    /// When the disk refuses; then the place stays taken, and the wipe can be tried again.
    pub(crate) fn wipe(&mut self, extent: Extent) -> io::Result<()> {
        self.unsynced = true;
        self.zero(extent.place, extent.end().min(self.end))?;
        self.free(extent)
    }

    /// Brings everything written and zeroed to the disk.
    ///
    /// # Errors
    ///
    /// When the disk refuses.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced {
            self.file.sync_data()?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn claim(&mut self, length: u64) -> io::Result<Extent> {
        let wanted = Extent { place: 0, length }.room();
        let fitting = (Bound::Included((wanted, 0)), Bound::Unbounded);
        let hole = self.holes_by_room.range(fitting).next().copied();
        if let Some((room, place)) = hole {
            self.remove_hole(place, room);
            if room > wanted {
                self.add_hole(place.saturating_add(wanted), room - wanted);
            }
            return Ok(Extent { place, length });
        }
        let extent = Extent { place: self.end, length };
        // The length of the file always covers every extent, so that reading never falls short.
        self.file.set_len(extent.end())?;
        self.end = extent.end();
        Ok(extent)
    }

    fn free(&mut self, extent: Extent) -> io::Result<()> {
        let (mut place, mut end) = (extent.place, extent.end());
        let before = self.holes.range(..place).next_back();
        let before = before.map(|(&start, &room)| (start, room));
        let before = before.filter(|(start, room)| start.saturating_add(*room) == place);
        let is_last = end == self.end;
        if is_last {
            // First, for it may fail: then nothing has changed and the wipe can be tried again.
            let start = before.map_or(place, |(start, _)| start);
            self.file.set_len(start)?;
        }
        if let Some((start, room)) = before {
            self.remove_hole(start, room);
            place = start;
        }
        if is_last {
            self.end = place;
            return Ok(());
        }
        if let Some(&room) = self.holes.get(&end) {
            self.remove_hole(end, room);
            end = end.saturating_add(room);
        }
        self.add_hole(place, end - place);
        Ok(())
    }

    fn add_hole(&mut self, place: u64, room: u64) {
        self.holes.insert(place, room);
        self.holes_by_room.insert((room, place));
    }

    fn remove_hole(&mut self, place: u64, room: u64) {
        self.holes.remove(&place);
        self.holes_by_room.remove(&(room, place));
    }

    /// Zeroes what is not zero yet. Most holes are, and reading is cheaper than writing.
    fn scrub(&mut self, from: u64, to: u64) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        let mut place = from;
        while place < to {
            let length = usize::try_from(to - place).map_or(PIECE, |left| left.min(PIECE));
            let part = piece.get_mut(..length).unwrap_or_default();
            self.seek(place)?;
            self.file.read_exact(part)?;
            let next = place.saturating_add(length as u64);
            if part.iter().any(|byte| *byte != 0) {
                self.zero(place, next)?;
                self.unsynced = true;
            }
            place = next;
        }
        Ok(())
    }

    fn zero(&mut self, from: u64, to: u64) -> io::Result<()> {
        static ZEROS: [u8; PIECE] = [0; PIECE];
        self.seek(from)?;
        let mut left = to.saturating_sub(from);
        while left > 0 {
            let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            self.file.write_all(ZEROS.get(..length).unwrap_or(&ZEROS))?;
            left = left.saturating_sub(length as u64);
        }
        Ok(())
    }

    fn seek(&mut self, place: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(place)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(bodies: &Bodies) -> Vec<u8> {
        let mut file = bodies.file.try_clone().unwrap();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_file_whose_bodies_are_all_wiped_is_empty() {
        let mut bodies = Bodies::open(tempfile::tempfile().unwrap(), &[]).unwrap();
        let extents: Vec<_> = (1..50u8).map(|n| bodies.write(&vec![n; usize::from(n) * 37]).unwrap()).collect();
        for extent in extents.iter().step_by(2).chain(extents.iter().skip(1).step_by(2)) {
            bodies.wipe(*extent).unwrap();
        }
        assert_eq!(raw(&bodies), b"");
        assert_eq!(bodies.used(), 0);
    }

    #[test]
    fn what_a_crash_left_outside_the_extents_is_zeroed_at_the_next_start() {
        let mut bodies = Bodies::open(tempfile::tempfile().unwrap(), &[]).unwrap();
        let lost = bodies.write(&[7; 300]).unwrap();
        let kept = bodies.write(&[8; 300]).unwrap();
        bodies.write(&[9; 300]).unwrap();
        assert!(raw(&bodies).contains(&7));
        let again = Bodies::open(bodies.file.try_clone().unwrap(), &[kept]).unwrap();
        let bytes = raw(&again);
        assert!(!bytes.contains(&7) && !bytes.contains(&9));
        assert_eq!(again.used(), 512);
        assert_eq!(bytes[512..812], [8; 300]);
        assert_eq!(lost.place, 0);
    }

    #[test]
    fn overlapping_extents_are_refused() {
        let one = Extent { place: 0, length: 300 };
        let two = Extent { place: 256, length: 10 };
        let file = tempfile::tempfile().unwrap();
        file.set_len(1024).unwrap();
        assert!(Bodies::open(file, &[one, two]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_is_written_and_wiped_the_living_read_back_and_the_rest_is_zero(
            steps in prop::collection::vec((any::<bool>(), 0usize..40, 1usize..3000), 1..120)
        ) {
            let mut bodies = Bodies::open(tempfile::tempfile().unwrap(), &[]).unwrap();
            let mut living: Vec<(Extent, Vec<u8>)> = Vec::new();
            for (n, (grow, pick, length)) in steps.into_iter().enumerate() {
                if grow || living.is_empty() {
                    let body = vec![u8::try_from(n % 250).unwrap() + 1; length];
                    living.push((bodies.write(&body).unwrap(), body));
                } else {
                    let (extent, _) = living.swap_remove(pick % living.len());
                    bodies.wipe(extent).unwrap();
                }
                for (extent, body) in &living {
                    prop_assert_eq!(&bodies.read(*extent).unwrap(), body);
                }
            }
            let expected: usize = living.iter().map(|(_, body)| body.len()).sum();
            let set = raw(&bodies).iter().filter(|byte| **byte != 0).count();
            prop_assert_eq!(set, expected);
            prop_assert_eq!(bodies.used(), living.iter().map(|(extent, _)| extent.room()).sum::<u64>());
        }
    }
}
