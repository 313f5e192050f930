//! Where the app keeps things: the profile, its share, the embedded relay, and the webview's short memory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use mayfly_core::ProfilePlace;

use crate::error::Error;

/// The folders of one user.
#[derive(Clone)]
pub struct Paths {
    /// The profile and its share file, in two places.
    pub profile: ProfilePlace,
    /// What the embedded relay holds, and the port that it keeps.
    pub relay: PathBuf,
    /// What WebKit writes while it runs; in memory where the system has such a place.
    pub webview: PathBuf,
}

impl std::fmt::Debug for Paths {
    /// Shows no path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Paths")
    }
}

impl Paths {
    /// The folders that the environment names, made where they are missing, for this user's eyes alone.
    ///
    /// # Errors
    /// [`Error::NoFolder`].
    pub fn from_environment() -> Result<Self, Error> {
        let data = absolute("XDG_DATA_HOME")
            .or_else(|| absolute("LOCALAPPDATA"))
            .or_else(|| absolute("HOME").map(|home| home.join(".local").join("share")))
            .ok_or(Error::NoFolder)?
            .join("mayfly");
        make_private(&data).map_err(|_| Error::NoFolder)?;
        let profile = ProfilePlace::for_dir(&data.join("profile"));
        let webview = absolute("XDG_RUNTIME_DIR").unwrap_or_else(|| data.clone()).join("mayfly-webview");
        make_private(&webview).map_err(|_| Error::NoFolder)?;
        Ok(Self { profile, relay: data.join("relay"), webview })
    }
}

fn absolute(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Makes a folder that nobody else can look into.
///
/// # Errors
/// Those of the file system.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_private_folder_is_private_also_where_it_was_open() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a").join("b");
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
