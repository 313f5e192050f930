//! What the disk under the share file can promise, as far as it can be probed.

use std::fs::File;
use std::path::Path;

/// How well destroying the share destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Overwriting in place reaches the old bytes, as far as the file system decides.
    FileSystem,
    /// The file system writes changes elsewhere and keeps the old bytes for a while.
    WeakCopyOnWrite,
    /// The folder lies in memory and is lost with the next restart.
    WeakMemory,
    /// Nobody has tried this file system, so nothing is promised of it.
    Unknown,
}

impl Tier {
    /// What is true of it, in words for the person who uses it.
    pub fn words(self) -> &'static str {
        match self {
            Self::FileSystem => "File system: keys are overwritten in place when they are destroyed.",
            Self::WeakCopyOnWrite => {
                "Weak: this is a copy-on-write disk. It may keep old keys for a while after they were destroyed."
            }
            Self::WeakMemory => {
                "Weak: the key folder lies in memory. After a restart nothing here can be opened again."
            }
            Self::Unknown => "Not known: this kind of disk was never tested, so nothing is promised about old keys.",
        }
    }

    /// Asks the system what lies under this folder or file.
    #[cfg(target_os = "linux")]
    pub(crate) fn probe(path: &Path) -> Self {
        const EXT: u64 = 0xEF53;
        const XFS: u64 = 0x5846_5342;
        const BTRFS: u64 = 0x9123_683E;
        const ZFS: u64 = 0x2FC1_2FC1;
        const BCACHEFS: u64 = 0xCA45_1A4E;
        const OVERLAY: u64 = 0x794C_7630;
        const TMPFS: u64 = 0x0102_1994;
        const RAMFS: u64 = 0x8584_58F6;
        let Ok(found) = rustix::fs::statfs(path) else { return Self::Unknown };
        // The width of the field differs between machines; the magic numbers have 32 bits on all.
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
        let magic = found.f_type as u64 & 0xFFFF_FFFF;
        match magic {
            EXT if journals_data(path) => Self::WeakCopyOnWrite,
            EXT | XFS => Self::FileSystem,
            BTRFS if is_no_copy(path) => Self::FileSystem,
            BTRFS | ZFS | BCACHEFS | OVERLAY => Self::WeakCopyOnWrite,
            TMPFS | RAMFS => Self::WeakMemory,
            _ => Self::Unknown,
        }
    }

    /// Elsewhere nothing is probed yet, so nothing is claimed.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn probe(_path: &Path) -> Self {
        Self::Unknown
    }
}

/// Asks for no copy-on-write, and to be left out by `dump`; only an empty file can still get the first.
#[cfg(target_os = "linux")]
pub(crate) fn set_no_copy(file: &File) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    for flag in [IFlags::NOCOW, IFlags::NODUMP] {
        // Each by itself: a file system that does not know one of them refuses the whole call.
        if let Ok(now) = ioctl_getflags(file) {
            let _ = ioctl_setflags(file, now | flag);
        }
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn set_no_copy(_file: &File) {}

#[cfg(target_os = "linux")]
fn is_no_copy(path: &Path) -> bool {
    let flags = File::open(path).ok().and_then(|file| rustix::fs::ioctl_getflags(&file).ok());
    flags.is_some_and(|flags| flags.contains(rustix::fs::IFlags::NOCOW))
}

/// Whether ext4 writes data through its journal, where old bytes stay for a while.
#[cfg(target_os = "linux")]
fn journals_data(path: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let Ok(path) = path.canonicalize() else { return false };
    let under = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (folder, options) = (fields.nth(1)?, fields.nth(1)?);
        path.starts_with(folder).then_some((folder.len(), options))
    });
    under.max_by_key(|(length, _)| *length).is_some_and(|(_, options)| options.split(',').any(|o| o == "data=journal"))
}
