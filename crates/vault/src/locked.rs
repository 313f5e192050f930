//! Memory for keys: its own pages, kept out of swap and of core dumps where the system allows it, zeroized when dropped.
//!
//! The only module of the workspace that may use `unsafe`: a locked page has to be mapped by hand.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};

use zeroize::Zeroize;

use crate::cipher::Key;

/// A buffer of secret bytes.
///
/// Locking is tried, not promised: where the limit on locked memory is reached, or on systems other than Unix, the bytes
/// are as safe from swap as any other memory. They are zeroized in either case.
pub(crate) struct Locked {
    region: Region,
    length: usize,
}

enum Region {
    #[cfg(unix)]
    Pages {
        start: std::ptr::NonNull<u8>,
        mapped: usize,
    },
    Heap(Vec<u8>),
}

// SAFETY: the region is owned by this value alone, and is only reached through `&self` and `&mut self`.
unsafe impl Send for Locked {}
// SAFETY: as above; nothing in it changes through a shared reference.
unsafe impl Sync for Locked {}

impl Locked {
    /// `length` zero bytes.
    pub(crate) fn zeroed(length: usize) -> Self {
        let region = Self::map(length).unwrap_or_else(|| Region::Heap(vec![0; length]));
        Self { region, length }
    }

    #[cfg(unix)]
    fn map(length: usize) -> Option<Region> {
        use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous};
        // The kernel rounds up to whole pages, here and in the calls below.
        let mapped = length.max(1);
        // SAFETY: a new private mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe {
            mmap_anonymous(std::ptr::null_mut(), mapped, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE).ok()?
        };
        // SAFETY: `start` and `mapped` are those of the mapping above. A refusal is not an error, see the type.
        unsafe {
            let _ = mlock(start, mapped);
            #[cfg(target_os = "linux")]
            let _ = rustix::mm::madvise(start, mapped, rustix::mm::Advice::LinuxDontDump);
        }
        Some(Region::Pages { start: std::ptr::NonNull::new(start.cast())?, mapped })
    }

    #[cfg(not(unix))]
    fn map(_length: usize) -> Option<Region> {
        None
    }

    /// These 32 bytes in a buffer of their own.
    pub(crate) fn of(key: &Key) -> Self {
        let mut buffer = Self::zeroed(32);
        buffer.copy_from_slice(&key.0);
        buffer
    }

    /// The first 32 bytes as a key; zeros where there are fewer.
    pub(crate) fn key(&self) -> Key {
        self.first_chunk().map_or(Key::ZERO, |bytes| Key(*bytes))
    }
}

impl Deref for Locked {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.region {
            // SAFETY: the mapping is at least `length` long, initialised with zeros by the kernel, and lives with `self`.
            #[cfg(unix)]
            Region::Pages { start, .. } => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length) },
            Region::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.region {
            // SAFETY: as in `deref`, and `&mut self` excludes every other access.
            #[cfg(unix)]
            Region::Pages { start, .. } => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.length) },
            Region::Heap(bytes) => bytes,
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.zeroize();
        #[cfg(unix)]
        if let Region::Pages { start, mapped } = self.region {
            // SAFETY: the mapping is ours alone and nothing refers to it any more. Unmapping also unlocks.
            unsafe {
                let _ = rustix::mm::munmap(start.as_ptr().cast(), mapped);
            }
        }
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_buffer_holds_what_was_written_whatever_its_length() {
        for length in [0, 1, 32, 4096, 4097, 100_000] {
            let mut buffer = Locked::zeroed(length);
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer.fill(7);
            assert_eq!(buffer.len(), length);
            assert!(buffer.iter().all(|byte| *byte == 7));
        }
        assert_eq!(format!("{:?}", Locked::of(&Key([9; 32]))), "Locked(..)");
    }
}
