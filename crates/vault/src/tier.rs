//! What the disk under the share file can promise, as far as it can be probed.
//!
//! Only the folder of the share counts. What the profile's old states leave on a disk is sealed under a slot that is gone.

use std::fs::File;
use std::path::Path;

/// How well destroying the share destroys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A share of the key lies in the machine's TPM, where overwriting is certain.
    Hardware,
    /// Overwriting in place reaches the old bytes, as far as the file system decides.
    FileSystem,
    /// The folder lies in memory and is lost with the next restart.
    SessionOnly,
    /// The file system writes changes elsewhere, or twice, and keeps the old bytes for a while.
    WeakCopyOnWrite,
    /// The folder lies on another computer.
    WeakNetwork,
    /// Nobody has tried this file system, so nothing is promised of it.
    Unknown,
}

impl Tier {
    /// What is true of it, in words for the person who uses it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Hardware => {
                "Hardware: within a minute the TPM forgets the old keys, and no copy of the whole disk brings them back."
            }
            Self::FileSystem => "File system: keys are overwritten in place when they are destroyed.",
            Self::SessionOnly => {
                "Session only: the key folder lies in memory. After a restart nothing here can be opened again."
            }
            Self::WeakCopyOnWrite => {
                "Weak: copy-on-write disk. It may keep old keys for a while after they were destroyed."
            }
            Self::WeakNetwork => {
                "Weak: network disk. The key folder lies on another computer, which may keep old keys."
            }
            Self::Unknown => "Not known: this kind of disk was never tested, so nothing is promised about old keys.",
        }
    }

    /// Asks the system what lies under this folder or file: file system, mount options, the file's own flags, and the disk
    /// below where that is itself a file. Snapshots, disk images of virtual machines and the cells of flash are beyond what
    /// can be asked.
    #[cfg(target_os = "linux")]
    pub fn probe(path: &Path) -> Self {
        linux::probe(path)
    }

    /// Elsewhere nothing is probed yet, so nothing is claimed.
    #[cfg(not(target_os = "linux"))]
    pub fn probe(_path: &Path) -> Self {
        Self::Unknown
    }
}

/// Asks for no copy-on-write, and to be left out by `dump`; only an empty file can still get the first.
///
/// Whether it was granted is asked again by [`Tier::probe`], never assumed.
pub(crate) fn set_no_copy(file: &File) {
    #[cfg(target_os = "linux")]
    for flag in [rustix::fs::IFlags::NOCOW, rustix::fs::IFlags::NODUMP] {
        linux::add_flag(file, flag);
    }
    let _ = file;
}

/// Asks to be left out by `dump`.
pub(crate) fn set_no_dump(folder: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(folder) = File::open(folder) {
        linux::add_flag(&folder, rustix::fs::IFlags::NODUMP);
    }
    let _ = folder;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{File, read_to_string};
    use std::os::unix::ffi::OsStringExt;
    use std::path::{Path, PathBuf};

    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags, statfs};

    use super::Tier;

    const EXT: u64 = 0xEF53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683E;
    const ZFS: u64 = 0x2FC1_2FC1;
    const BCACHEFS: u64 = 0xCA45_1A4E;
    const F2FS: u64 = 0xF2F5_2010;
    const NILFS: u64 = 0x3434;
    const OVERLAY: u64 = 0x794C_7630;
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58F6;
    const NETWORKS: [u64; 7] = [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x517B, 0x0102_1997, 0x00C3_6400, 0x5346_414F];

    /// What was found out about one path.
    #[derive(Clone, Copy, Debug, Default)]
    struct Probed {
        /// The file system's magic number.
        magic: u64,
        /// The mount, or the file by its own flag, writes data through the journal.
        is_journaled: bool,
        /// The file is exempt from copy-on-write.
        is_no_copy: bool,
        /// What the disk below is worth, where it is itself a file.
        below: Option<Tier>,
    }

    impl Probed {
        fn tier(self) -> Tier {
            let own = match self.magic {
                EXT | XFS if self.is_journaled => Tier::WeakCopyOnWrite,
                EXT | XFS => Tier::FileSystem,
                BTRFS if self.is_no_copy => Tier::FileSystem,
                BTRFS | ZFS | BCACHEFS | F2FS | NILFS | OVERLAY => Tier::WeakCopyOnWrite,
                TMPFS | RAMFS => Tier::SessionOnly,
                magic if NETWORKS.contains(&magic) => Tier::WeakNetwork,
                _ => Tier::Unknown,
            };
            // A disk is not better than the one it lies on.
            match (own, self.below) {
                (Tier::FileSystem, Some(below)) => below,
                _ => own,
            }
        }
    }

    pub(super) fn probe(path: &Path) -> Tier {
        probe_to(path, 3)
    }

    /// Disks in files on disks in files are followed so far.
    fn probe_to(path: &Path, depth: u8) -> Tier {
        let Ok(path) = path.canonicalize() else { return Tier::Unknown };
        let Ok(found) = statfs(&path) else { return Tier::Unknown };
        // The width of the field differs between machines; the magic numbers have 32 bits on all.
        #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)]
        let magic = found.f_type as u64 & 0xFFFF_FFFF;
        let flags = flags(&path);
        let mount = mount_of(&path, &read_to_string("/proc/self/mounts").unwrap_or_default());
        let device = mount.as_ref().and_then(|mount| mount.source.strip_prefix("/dev/").ok()).map(Path::to_path_buf);
        let is_mount_journaled = mount.is_some_and(|mount| has(&mount.options, ',', "data=journal"))
            || device.as_deref().is_some_and(is_journaled_by_default);
        let below = device.as_deref().and_then(backing_file).filter(|_| depth > 0);
        let below = below.map(|file| probe_to(&file, depth - 1));
        let is_journaled = is_mount_journaled || flags.contains(IFlags::JOURNALING);
        Probed { magic, is_journaled, is_no_copy: flags.contains(IFlags::NOCOW), below }.tier()
    }

    pub(super) fn add_flag(file: &File, flag: IFlags) {
        // Each by itself: a file system that does not know one of them refuses the whole call.
        if let Ok(now) = ioctl_getflags(file) {
            let _ = ioctl_setflags(file, now | flag);
        }
    }

    fn flags(path: &Path) -> IFlags {
        File::open(path).ok().and_then(|file| ioctl_getflags(&file).ok()).unwrap_or(IFlags::empty())
    }

    fn has(list: &str, separator: char, word: &str) -> bool {
        list.split(separator).any(|item| item.trim() == word)
    }

    /// ext4 names an option that its superblock made the default only here.
    fn is_journaled_by_default(device: &Path) -> bool {
        let options = Path::new("/proc/fs/ext4").join(device).join("options");
        read_to_string(options).is_ok_and(|options| has(&options, '\n', "data=journal"))
    }

    /// The file that a loop device shows as a disk.
    fn backing_file(device: &Path) -> Option<PathBuf> {
        let text = read_to_string(Path::new("/sys/block").join(device).join("loop/backing_file")).ok()?;
        Some(PathBuf::from(text.trim_end_matches('\n')))
    }

    /// What is mounted where a path lies.
    #[derive(Debug, PartialEq, Eq)]
    struct Mount {
        source: PathBuf,
        options: String,
    }

    fn mount_of(path: &Path, mounts: &str) -> Option<Mount> {
        let under = mounts.lines().filter_map(|line| {
            let mut fields = line.split(' ');
            let (source, folder, options) = (fields.next()?, unescaped(fields.next()?), fields.nth(1)?);
            let mount = Mount { source: unescaped(source), options: options.to_owned() };
            path.starts_with(&folder).then(|| (folder.as_os_str().len(), mount))
        });
        // Of two on the same folder the later lies over the earlier.
        under.max_by_key(|(length, _)| *length).map(|(_, mount)| mount)
    }

    /// A field of the table, where blanks and the like stand as three octal digits.
    fn unescaped(field: &str) -> PathBuf {
        let mut bytes = Vec::with_capacity(field.len());
        let mut rest = field.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
            let octal = digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok());
            bytes.push(octal.unwrap_or(*first));
            rest = if octal.is_some() { after.get(3..).unwrap_or_default() } else { after };
        }
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    }

    #[cfg(test)]
    mod tests {
        #![allow(clippy::unwrap_used)]
        use super::*;

        #[test]
        fn nothing_is_claimed_that_was_not_probed() {
            let plain = |magic| Probed { magic, ..Probed::default() };
            let journaled = |magic| Probed { is_journaled: true, ..plain(magic) };
            let no_copy = |magic| Probed { is_no_copy: true, ..plain(magic) };
            let on = |below, magic| Probed { below: Some(below), ..plain(magic) };
            for (probed, tier) in [
                (plain(EXT), Tier::FileSystem),
                (journaled(EXT), Tier::WeakCopyOnWrite),
                (no_copy(EXT), Tier::FileSystem),
                (plain(XFS), Tier::FileSystem),
                (plain(BTRFS), Tier::WeakCopyOnWrite),
                (no_copy(BTRFS), Tier::FileSystem),
                (no_copy(ZFS), Tier::WeakCopyOnWrite),
                (no_copy(BCACHEFS), Tier::WeakCopyOnWrite),
                (plain(F2FS), Tier::WeakCopyOnWrite),
                (plain(NILFS), Tier::WeakCopyOnWrite),
                (plain(OVERLAY), Tier::WeakCopyOnWrite),
                (plain(TMPFS), Tier::SessionOnly),
                (plain(RAMFS), Tier::SessionOnly),
                (plain(0x6969), Tier::WeakNetwork),
                (plain(0xFF53_4D42), Tier::WeakNetwork),
                // FUSE, FAT, NTFS and whatever comes.
                (plain(0x6573_5546), Tier::Unknown),
                (plain(0x4D44), Tier::Unknown),
                (plain(0x7366_746E), Tier::Unknown),
                (no_copy(1), Tier::Unknown),
                (on(Tier::FileSystem, EXT), Tier::FileSystem),
                (on(Tier::WeakCopyOnWrite, EXT), Tier::WeakCopyOnWrite),
                (on(Tier::Unknown, XFS), Tier::Unknown),
                (on(Tier::SessionOnly, XFS), Tier::SessionOnly),
                (on(Tier::FileSystem, OVERLAY), Tier::WeakCopyOnWrite),
            ] {
                assert_eq!(probed.tier(), tier, "{probed:?}");
            }
        }

        #[test]
        fn the_mount_is_the_deepest_one_and_blanks_in_its_name_are_understood() {
            let mounts = "/dev/a / ext4 rw,relatime 0 0\n\
                          /dev/b /home/my\\040disk ext4 rw,data=journal 0 0\n\
                          /dev/c /home ext4 rw 0 0\n\
                          odd\n\
                          /dev/d /home ext4 ro 0 0\n";
            let found = |path: &str| {
                let mount = mount_of(Path::new(path), mounts).unwrap();
                (mount.source.to_str().unwrap().to_owned(), mount.options)
            };
            assert_eq!(found("/tmp/x"), ("/dev/a".into(), "rw,relatime".into()));
            assert_eq!(found("/home/my disk/share"), ("/dev/b".into(), "rw,data=journal".into()));
            assert_eq!(found("/home/my/share"), ("/dev/d".into(), "ro".into()));
        }

        #[test]
        fn memory_and_what_is_not_there_are_told_apart() {
            if Path::new("/dev/shm").is_dir() {
                assert_eq!(Tier::probe(Path::new("/dev/shm")), Tier::SessionOnly);
            }
            assert_eq!(Tier::probe(Path::new("/nowhere/at/all")), Tier::Unknown);
        }

        #[test]
        fn files_are_marked_to_be_left_out_by_dump() {
            let folder = tempfile::tempdir().unwrap();
            let file = File::create(folder.path().join("a")).unwrap();
            if ioctl_getflags(&file).is_err() {
                return;
            }
            super::super::set_no_copy(&file);
            assert!(ioctl_getflags(&file).unwrap().contains(IFlags::NODUMP));
        }
    }
}
