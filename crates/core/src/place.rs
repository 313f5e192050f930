//! Where a profile lies on the disk.

use std::path::{Path, PathBuf};

use mayfly_vault::Place;
use ring::digest::{SHA256, digest};

/// The two folders of a profile: the profile itself, and the folder of its share file, which backups must skip.
#[derive(Clone)]
pub struct ProfilePlace {
    /// The database and the state files.
    pub dir: PathBuf,
    /// The share file; outside of `dir`, so that a copy of the profile alone opens nothing that has died.
    pub share_dir: PathBuf,
}

impl std::fmt::Debug for ProfilePlace {
    /// Shows no path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProfilePlace")
    }
}

impl ProfilePlace {
    /// A profile in `dir`, with its share under the user's state folder, in a folder named by a hash of `dir`.
    pub fn for_dir(dir: &Path) -> Self {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let hash = digest(&SHA256, dir.as_os_str().as_encoded_bytes());
        let name = hex::encode(hash.as_ref().get(..8).unwrap_or_default());
        let share_dir = state_home(&dir).join("mayfly").join(name);
        Self { dir, share_dir }
    }

    pub(crate) fn vault(&self) -> Place {
        Place { profile: self.dir.clone(), share: self.share_dir.clone() }
    }
}

/// `$XDG_STATE_HOME`, or what stands for it here; beside the profile where the system names no home at all.
fn state_home(dir: &Path) -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("LOCALAPPDATA"))
        .or_else(|| absolute("HOME").map(|home| home.join(".local").join("state")))
        .unwrap_or_else(|| dir.with_extension("share"))
}
