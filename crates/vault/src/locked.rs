//! Memory for keys: pages of its own, kept out of swap, of core dumps and of other programs' reach where the system
//! allows it, zeroized when dropped; and an allocator that leaves nothing behind in what it gives back.
//!
//! The only module of the workspace that may use `unsafe`: such pages have to be mapped by hand.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroize;

use crate::cipher::Key;

/// What the pages are handed out in: one key.
const CELL_BYTES: usize = 32;
/// How much is mapped at once. Hundreds of keys fit, so that one mapping does for a profile.
const CHUNK_BYTES: usize = 16 * 1024;

/// All pages for keys. They stay mapped as long as the program runs, and hold zeros where nothing lies.
static ARENA: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());

/// One mapping, and which of its cells are taken.
struct Chunk {
    start: NonNull<u8>,
    taken: Vec<bool>,
}

// SAFETY: a chunk is an address and a table; the memory behind it belongs to whoever was given the cells.
unsafe impl Send for Chunk {}

impl Chunk {
    /// The first of `count` free cells in a row.
    fn room(&self, count: usize) -> Option<usize> {
        self.taken.windows(count).position(|cells| cells.iter().all(|taken| !taken))
    }

    fn mark(&mut self, first: usize, count: usize, taken: bool) {
        self.taken.iter_mut().skip(first).take(count).for_each(|cell| *cell = taken);
    }
}

/// A buffer of secret bytes.
///
/// On Linux it lies, where the kernel grants it, in memory that even the kernel and root cannot read through
/// `/proc/PID/mem`; else in locked pages that no core file shows. Both are tried, not promised: where the limit on locked
/// memory is reached, or on systems other than Unix, the bytes are as safe from swap as any other memory. They are
/// zeroized in every case.
pub(crate) struct Locked {
    region: Region,
    length: usize,
}

enum Region {
    Cells { start: NonNull<u8>, count: usize },
    Heap(Vec<u8>),
}

// SAFETY: the region is owned by this value alone, and is only reached through `&self` and `&mut self`.
unsafe impl Send for Locked {}
// SAFETY: as above; nothing in it changes through a shared reference.
unsafe impl Sync for Locked {}

impl Locked {
    /// `length` zero bytes.
    pub(crate) fn zeroed(length: usize) -> Self {
        let region = Self::take(length).unwrap_or_else(|| Region::Heap(vec![0; length]));
        Self { region, length }
    }

    /// Cells for so many bytes, in a new chunk if no old one has room.
    fn take(length: usize) -> Option<Region> {
        let count = length.div_ceil(CELL_BYTES).max(1);
        let mut arena = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
        if !arena.iter().any(|chunk| chunk.room(count).is_some()) {
            let bytes = (count * CELL_BYTES).next_multiple_of(CHUNK_BYTES);
            let start = pages::map(bytes)?;
            arena.push(Chunk { start, taken: vec![false; bytes / CELL_BYTES] });
        }
        let (chunk, first) = arena.iter_mut().find_map(|chunk| chunk.room(count).map(|first| (chunk, first)))?;
        chunk.mark(first, count, true);
        // SAFETY: `first` cells lie within the mapping, by `room`.
        let start = unsafe { chunk.start.add(first * CELL_BYTES) };
        Some(Region::Cells { start, count })
    }

    /// Gives cells back, which hold zeros again.
    fn give_back(start: NonNull<u8>, count: usize) {
        let mut arena = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in arena.iter_mut() {
            let offset = start.as_ptr().addr().checked_sub(chunk.start.as_ptr().addr());
            if let Some(first) = offset.map(|bytes| bytes / CELL_BYTES).filter(|first| *first < chunk.taken.len()) {
                chunk.mark(first, count, false);
                return;
            }
        }
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
            // SAFETY: the cells are at least `length` long, hold zeros at first, stay mapped and are this value's alone.
            Region::Cells { start, .. } => unsafe { std::slice::from_raw_parts(start.as_ptr(), self.length) },
            Region::Heap(bytes) => bytes,
        }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.region {
            // SAFETY: as in `deref`, and `&mut self` excludes every other access.
            Region::Cells { start, .. } => unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.length) },
            Region::Heap(bytes) => bytes,
        }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.zeroize();
        if let Region::Cells { start, count } = self.region {
            Self::give_back(start, count);
        }
    }
}

impl fmt::Debug for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Locked(..)")
    }
}

/// Maps the pages.
#[cfg(unix)]
mod pages {
    use std::ptr::{NonNull, null_mut};

    use rustix::mm::{MapFlags, ProtFlags, mlock, mmap_anonymous};

    const ACCESS: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

    /// So many zero bytes, as hidden as the system allows; a refusal to lock them is not an error.
    pub(super) fn map(bytes: usize) -> Option<NonNull<u8>> {
        let start = match secret(bytes) {
            Some(start) => start,
            None => locked(bytes)?,
        };
        #[cfg(target_os = "linux")]
        for advice in [rustix::mm::Advice::LinuxDontDump, rustix::mm::Advice::LinuxDontFork] {
            // SAFETY: the mapping is ours; neither advice changes what this process sees in it.
            let _ = unsafe { rustix::mm::madvise(start.as_ptr().cast(), bytes, advice) };
        }
        Some(start)
    }

    fn locked(bytes: usize) -> Option<NonNull<u8>> {
        // SAFETY: a new private mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { mmap_anonymous(null_mut(), bytes, ACCESS, MapFlags::PRIVATE).ok()? };
        // SAFETY: these are the mapping's own bounds.
        let _ = unsafe { mlock(start, bytes) };
        NonNull::new(start.cast())
    }

    /// Pages that the kernel takes out of its own map of the memory: only this process reaches them. They are never
    /// swapped, and as long as there are any the machine does not hibernate.
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn secret(bytes: usize) -> Option<NonNull<u8>> {
        use std::os::fd::{FromRawFd, OwnedFd};
        // SAFETY: the call takes flags alone.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the kernel has just given this descriptor to us alone.
        let file = unsafe { OwnedFd::from_raw_fd(fd) };
        rustix::fs::ftruncate(&file, u64::try_from(bytes).ok()?).ok()?;
        // SAFETY: a new mapping at an address of the kernel's choice; nobody else has the file, so nobody shortens it.
        let start = unsafe { rustix::mm::mmap(null_mut(), bytes, ACCESS, MapFlags::SHARED, &file, 0).ok()? };
        NonNull::new(start.cast())
    }

    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    fn secret(_bytes: usize) -> Option<NonNull<u8>> {
        None
    }
}

#[cfg(not(unix))]
mod pages {
    pub(super) fn map(_bytes: usize) -> Option<std::ptr::NonNull<u8>> {
        None
    }
}

/// An allocator that overwrites memory with zeros before it gives it back, so that nothing of what a program has let go
/// of lies in it afterwards: no text, no key, no half-grown buffer. It reaches what Rust allocates, in whatever library;
/// not what C code does.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator<A = System>(A);

impl WipingAllocator {
    /// Over the system's allocator.
    pub const fn new() -> Self {
        Self(System)
    }
}

// SAFETY: every call goes to the allocator below with the same block and layout; before a block goes back, only bytes
// within it are written. `realloc` is the trait's own: a new block, a copy, and the old one wiped.
unsafe impl<A: GlobalAlloc> GlobalAlloc for WipingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is the caller's to give back, and as long as its layout says.
        unsafe { block.write_bytes(0, layout.size()) };
        // Looked at from outside, the zeros cannot be taken for a write that nobody reads.
        let block = std::hint::black_box(block);
        // SAFETY: the caller keeps the same contract.
        unsafe { self.0.dealloc(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    #[test]
    fn keys_share_pages_without_touching_each_other_and_leave_zeros() {
        let mut keys: Vec<Locked> = (0..=255).map(|byte| Locked::of(&Key([byte; 32]))).collect();
        keys.retain(|key| key.first().is_some_and(|byte| byte % 3 > 0));
        let paths: Vec<Locked> = (0..40).map(|_| Locked::zeroed(41 * 32)).collect();
        assert!(paths.iter().all(|path| path.iter().all(|byte| *byte == 0)));
        for key in &keys {
            assert!(key.windows(2).all(|pair| pair.first() == pair.last()));
        }
        assert!(ARENA.lock().unwrap().len() < 40);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_other_program_and_no_core_file_reads_a_key() {
        use std::os::unix::fs::FileExt;
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        let read = |address: usize| {
            let mut bytes = [0; 32];
            memory.read_exact_at(&mut bytes, address as u64).map(|()| bytes)
        };
        // The look sees ordinary memory.
        let plain = [0x5a_u8; 32];
        assert_eq!(read(plain.as_ptr().addr()).unwrap(), [0x5a; 32]);

        let key = Locked::of(&Key([0x5a; 32]));
        assert!(matches!(key.region, Region::Cells { .. }));
        let at = key.as_ptr().addr();
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut here, mut flags, mut is_secret) = (false, "", false);
        for line in smaps.lines() {
            if let Some((from, to)) = line.split(' ').next().and_then(|range| range.split_once('-')) {
                let bound = |text| usize::from_str_radix(text, 16).unwrap();
                here = (bound(from)..bound(to)).contains(&at);
                is_secret |= here && line.contains("secretmem");
            } else if let Some(found) = line.strip_prefix("VmFlags:").filter(|_| here) {
                flags = found;
            }
        }
        for flag in ["dd", "dc"] {
            assert!(flags.split(' ').any(|one| one == flag), "{flag} is missing in {flags}");
        }
        assert_eq!(read(at).is_err(), is_secret, "what is secret cannot be read, and nothing else claims to be");
    }

    /// Counts the blocks that come back, and those of them that hold anything.
    #[derive(Default)]
    struct Suspicious {
        returned: AtomicUsize,
        dirty: AtomicUsize,
    }

    // SAFETY: all is left to the system's allocator.
    unsafe impl GlobalAlloc for &Suspicious {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller's.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the tests below write every byte of a block before it comes here.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            self.returned.fetch_add(1, Ordering::SeqCst);
            self.dirty.fetch_add(usize::from(bytes.iter().any(|byte| *byte != 0)), Ordering::SeqCst);
            // SAFETY: as the caller's.
            unsafe { System.dealloc(block, layout) }
        }
    }

    /// Makes a block, grows it, and gives it back.
    fn use_memory(allocator: &impl GlobalAlloc) {
        let (small, large) = (Layout::new::<[u8; 100]>(), Layout::new::<[u8; 9000]>());
        // SAFETY: blocks are written within their bounds, and go back once each with the layout they have by then.
        unsafe {
            let block = allocator.alloc(small);
            block.write_bytes(7, small.size());
            let block = allocator.realloc(block, small, large.size());
            block.write_bytes(7, large.size());
            allocator.dealloc(block, large);
        }
    }

    #[test]
    fn memory_that_is_given_back_holds_zeros() {
        let careless = Suspicious::default();
        use_memory(&&careless);
        assert_eq!(careless.dirty.load(Ordering::SeqCst), 2, "the look would notice");
        let watched = Suspicious::default();
        use_memory(&WipingAllocator(&watched));
        assert_eq!(watched.returned.load(Ordering::SeqCst), 2);
        assert_eq!(watched.dirty.load(Ordering::SeqCst), 0);
    }
}
