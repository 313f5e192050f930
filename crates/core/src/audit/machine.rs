//! What is true of the machine: disk, swap, hibernation, core files, permissions, copies made by others.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use mayfly_vault::Tier;

use super::view::{FactState, FactView};
use crate::ProfilePlace;

/// What a database begins with that is not encrypted.
const PLAIN: &[u8] = b"SQLite format 3\0";
/// Folders in which known programs keep older states of a disk.
const SNAPSHOTS: &[&str] = &["/.snapshots", "/home/.snapshots", "/timeshift", "/run/timeshift", "/.zfs/snapshot"];
/// Where systems keep logs, core files and reports of crashes.
const SYSTEM_PLACES: &[&str] = &["/var/log", "/var/crash", "/var/lib/systemd/coredump", "/var/lib/apport/coredump"];

/// Everything that can be found out without any rights.
pub(super) fn facts(place: &ProfilePlace, tier: Tier, has_passphrase: bool) -> Vec<FactView> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let swap = swap(read("/proc/swaps").as_deref(), &|device| mapper_of(device));
    let hibernation = hibernation(read("/proc/cmdline").as_deref(), read("/sys/power/state").as_deref(), swap.state);
    let snapshots = SNAPSHOTS.iter().any(|folder| Path::new(folder).is_dir());
    vec![
        erasure(tier),
        database(&place.dir),
        yes_or_weak(
            "passphrase",
            has_passphrase,
            "A passphrase is asked for.",
            "There is no passphrase: who has this computer's files has the living messages.",
        ),
        permissions(place),
        yes_or_weak(
            "backups",
            place.share_dir.join("CACHEDIR.TAG").is_file(),
            "The key folder is marked to be left out of backups.",
            "The key folder is not marked to be left out of backups: a backup of it keeps keys of the dead.",
        ),
        yes_or_weak(
            "snapshots",
            !snapshots,
            "No snapshots of the disk were seen in the usual places; others may exist.",
            "This disk has snapshots. One that was made while a message lived may keep it, with its key.",
        ),
        swap,
        hibernation,
        core_files(),
    ]
}

/// Where other programs write down what they see. Only files written while the canary lived are looked at.
pub(super) fn places_that_remember() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = variable("HOME");
    let of_home = |below: &str| home.as_ref().map(|home| home.join(below));
    let mut places: Vec<PathBuf> = [
        Some(std::env::temp_dir()),
        Some(PathBuf::from("/var/tmp")),
        variable("XDG_RUNTIME_DIR"),
        variable("XDG_CACHE_HOME").or_else(|| of_home(".cache")),
        variable("XDG_CONFIG_HOME").or_else(|| of_home(".config")),
        variable("XDG_DATA_HOME").or_else(|| of_home(".local/share")),
        variable("XDG_STATE_HOME").or_else(|| of_home(".local/state")),
        of_home(".xsession-errors"),
        of_home(".bash_history"),
        variable("LOCALAPPDATA"),
    ]
    .into_iter()
    .flatten()
    .chain(SYSTEM_PLACES.iter().map(PathBuf::from))
    .collect();
    places.sort();
    places.dedup();
    // What lies within another place is looked at with it.
    let all = places.clone();
    places.retain(|place| !all.iter().any(|other| other != place && place.starts_with(other)));
    places
}

fn fact(about: &'static str, state: FactState, words: &str) -> FactView {
    FactView { about, state, words: words.to_owned() }
}

fn yes_or_weak(about: &'static str, is_good: bool, good: &str, weak: &str) -> FactView {
    if is_good { fact(about, FactState::Good, good) } else { fact(about, FactState::Weak, weak) }
}

fn erasure(tier: Tier) -> FactView {
    let state = match tier {
        Tier::Hardware | Tier::FileSystem | Tier::SessionOnly => FactState::Good,
        Tier::WeakCopyOnWrite | Tier::WeakNetwork => FactState::Weak,
        Tier::Unknown => FactState::Unknown,
    };
    fact("erasure", state, tier.words())
}

fn database(dir: &Path) -> FactView {
    let mut head = [0; PLAIN.len()];
    match File::open(dir.join("vault.db")).and_then(|mut file| file.read_exact(&mut head)) {
        Ok(()) => yes_or_weak(
            "database",
            head != PLAIN,
            "The database is encrypted from its first byte.",
            "The database is not encrypted. Do not use this program.",
        ),
        Err(_) => fact("database", FactState::Unknown, "The database file could not be read."),
    }
}

#[cfg(unix)]
fn permissions(place: &ProfilePlace) -> FactView {
    use std::os::unix::fs::PermissionsExt as _;
    let is_closed =
        |folder: &Path| fs::metadata(folder).is_ok_and(|about| about.permissions().mode().trailing_zeros() >= 6);
    yes_or_weak(
        "permissions",
        is_closed(&place.dir) && is_closed(&place.share_dir),
        "Other users of this computer cannot look into the profile's folders.",
        "Other users of this computer can look into the profile's folders. Take their rights away (chmod go=).",
    )
}

#[cfg(not(unix))]
fn permissions(_place: &ProfilePlace) -> FactView {
    fact("permissions", FactState::Unknown, "Who may look into the profile's folders is not known here.")
}

/// `swaps` is `/proc/swaps`, `mapper_of` tells by which mapper a device is made.
fn swap(swaps: Option<&str>, mapper_of: &dyn Fn(&str) -> Option<String>) -> FactView {
    let Some(swaps) = swaps else {
        return fact("swap", FactState::Unknown, "Whether this machine swaps could not be found out.");
    };
    let devices: Vec<&str> = swaps.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let is_safe = |device: &&str| {
        device.starts_with("/dev/zram") || mapper_of(device).is_some_and(|mapper| mapper.starts_with("CRYPT"))
    };
    if devices.is_empty() {
        fact("swap", FactState::Good, "Nothing is swapped to a disk.")
    } else if devices.iter().all(is_safe) {
        fact("swap", FactState::Good, "What is swapped stays in memory or is encrypted.")
    } else {
        let words = "Memory may be swapped to a disk that is not known to be encrypted. Keys are kept out of it, \
                     the text of messages on the screen is not.";
        fact("swap", FactState::Weak, words)
    }
}

/// By which mapper the kernel made this block device; `None` for anything else.
fn mapper_of(device: &str) -> Option<String> {
    let device = fs::canonicalize(device).ok()?;
    fs::read_to_string(Path::new("/sys/block").join(device.file_name()?).join("dm/uuid")).ok()
}

fn hibernation(cmdline: Option<&str>, power: Option<&str>, swap: FactState) -> FactView {
    let (Some(cmdline), Some(power)) = (cmdline, power) else {
        return fact("hibernation", FactState::Unknown, "Whether this machine hibernates could not be found out.");
    };
    let is_set_up = cmdline.split_whitespace().any(|word| word.starts_with("resume=") && word != "resume=");
    let can = power.split_whitespace().any(|word| word == "disk");
    if !is_set_up || !can {
        fact("hibernation", FactState::Good, "This machine is not set up to hibernate.")
    } else if swap == FactState::Good {
        fact("hibernation", FactState::Good, "This machine can hibernate; what it writes down is encrypted.")
    } else {
        let words = "This machine can hibernate to a disk that is not known to be encrypted. Close Mayfly before.";
        fact("hibernation", FactState::Weak, words)
    }
}

#[cfg(unix)]
fn core_files() -> FactView {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
    yes_or_weak(
        "core_files",
        limit.current == Some(0),
        "If this program crashes, no copy of its memory is written.",
        "If this program crashes, a copy of its memory may be written.",
    )
}

#[cfg(not(unix))]
fn core_files() -> FactView {
    fact("core_files", FactState::Unknown, "Whether crashes write down memory is not known here.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

    #[test]
    fn swap_is_safe_only_in_memory_or_behind_a_cipher() {
        let mapper = |device: &str| match device {
            "/dev/dm-0" => Some("CRYPT-PLAIN-swap\n".to_owned()),
            "/dev/dm-1" => Some("LVM-swap\n".to_owned()),
            _ => None,
        };
        let state = |lines: &str| swap(Some(&format!("{HEAD}{lines}")), &mapper).state;
        assert_eq!(state(""), FactState::Good);
        assert_eq!(state("/dev/zram0 partition 1 0 100\n/dev/dm-0 partition 1 0 -2\n"), FactState::Good);
        assert_eq!(state("/dev/dm-1 partition 1 0 -2\n"), FactState::Weak);
        assert_eq!(state("/dev/dm-0 partition 1 0 -2\n/swapfile file 1 0 -3\n"), FactState::Weak);
        assert_eq!(swap(None, &mapper).state, FactState::Unknown);
    }

    #[test]
    fn hibernation_is_weak_only_where_it_is_set_up_and_in_clear() {
        let state = |cmdline, power, swap| hibernation(Some(cmdline), Some(power), swap).state;
        assert_eq!(state("quiet resume=UUID=1", "freeze mem disk", FactState::Weak), FactState::Weak);
        assert_eq!(state("quiet resume=UUID=1", "freeze mem disk", FactState::Good), FactState::Good);
        assert_eq!(state("quiet", "freeze mem disk", FactState::Weak), FactState::Good);
        assert_eq!(state("resume=UUID=1", "freeze mem", FactState::Weak), FactState::Good);
        assert_eq!(hibernation(None, None, FactState::Weak).state, FactState::Unknown);
    }
}
