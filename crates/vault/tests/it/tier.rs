//! The tier on real file systems, each in a file of its own that is mounted as a disk. Needs root.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mayfly_vault::{Place, Tier, Vault};
use tempfile::TempDir;

use crate::home::Home;

/// A mounted disk, unmounted when dropped.
struct Disk {
    folder: TempDir,
}

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl Disk {
    /// Nothing where the tools or the rights are missing.
    fn mount(mkfs: &[&str], size: &str, options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image").into_os_string().into_string().unwrap();
        let disk = Self { folder };
        std::fs::create_dir(disk.path()).unwrap();
        let path = disk.path().into_os_string().into_string().unwrap();
        let (program, arguments) = mkfs.split_first().unwrap();
        let is_mounted = run("truncate", &["-s", size, &image])
            && run(program, &[arguments, &[image.as_str()]].concat())
            && run("mount", &["-o", options, &image, &path]);
        is_mounted.then_some(disk)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn tier_of_a_vault(&self) -> Tier {
        let home = Home::new();
        let place = Place { profile: self.path().join("profile"), share: self.path().join("share") };
        Vault::create(&place, None, Arc::new(home.clock)).unwrap().tier()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run("umount", &["-l", self.path().to_str().unwrap()]);
    }
}

#[test]
#[allow(clippy::print_stderr)] // What is skipped is said aloud.
fn the_tier_of_a_real_disk_is_what_its_file_system_and_options_allow() {
    // No disk in a file is better than the disk that the file lies on.
    if Tier::probe(&std::env::temp_dir()) != Tier::FileSystem {
        eprintln!("SKIPPED tiers of real disks: the folder for temporary files is not on a plain disk");
        return;
    }
    let ext4: &[&str] = &["mkfs.ext4", "-q", "-F"];
    let by_default: &[&str] = &["sh", "-c", "mkfs.ext4 -q -F \"$0\" && tune2fs -o journal_data \"$0\""];
    let btrfs: &[&str] = &["mkfs.btrfs", "-q"];
    for (name, mkfs, size, options, tier) in [
        ("ext4", ext4, "32M", "loop", Tier::FileSystem),
        ("ext4 data=journal", ext4, "32M", "loop,data=journal", Tier::WeakCopyOnWrite),
        ("ext4 data=journal by its superblock", by_default, "32M", "loop", Tier::WeakCopyOnWrite),
        ("xfs", &["mkfs.xfs", "-q"], "320M", "loop", Tier::FileSystem),
        ("btrfs", btrfs, "128M", "loop", Tier::FileSystem),
    ] {
        match Disk::mount(mkfs, size, options) {
            Some(disk) => assert_eq!(disk.tier_of_a_vault(), tier, "{name}"),
            None => eprintln!("SKIPPED the tier of {name}: no root, or no tools"),
        }
    }
    let Some(disk) = Disk::mount(btrfs, "128M", "loop") else { return };
    assert_eq!(disk.tier_of_a_vault(), Tier::FileSystem);
    // The same bytes in a file that was not exempt when it was made.
    let share = disk.path().join("share").join("share");
    std::fs::write(disk.path().join("plain"), std::fs::read(&share).unwrap()).unwrap();
    assert_eq!(Tier::probe(&disk.path().join("plain")), Tier::WeakCopyOnWrite);
    assert_eq!(Tier::probe(Path::new("/proc")), Tier::Unknown);
}
