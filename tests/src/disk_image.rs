//! A real file system on a file that can be read raw: freed blocks, deleted files, journal and all.

use std::{
    ffi::OsStr,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// The kinds of file system that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4, whose journal holds metadata alone.
    Ext4,
    /// ext4, whose journal holds what is written, too.
    Ext4JournalsData,
    /// xfs.
    Xfs,
    /// btrfs.
    Btrfs,
}

impl FileSystem {
    fn maker(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Ext4 | Self::Ext4JournalsData => ("mkfs.ext4", &["-q", "-F"]),
            Self::Xfs => ("mkfs.xfs", &["-q", "-f"]),
            Self::Btrfs => ("mkfs.btrfs", &["-q", "-f"]),
        }
    }

    fn options(self) -> &'static str {
        match self {
            // Freed blocks are to stay as they are: a disk that is told of them might forget them.
            Self::Ext4JournalsData => "loop,nodiscard,data=journal",
            _ => "loop,nodiscard",
        }
    }
}

/// The smallest that all of them take.
const SIZE: u64 = 350 * 1024 * 1024;

/// A mounted file system; unmounted with the value.
#[derive(Debug)]
pub struct DiskImage {
    dir: TempDir,
}

impl DiskImage {
    /// Makes and mounts one. `None`, and a line that cannot be overlooked, where this machine does not allow it.
    ///
    /// # Errors
    /// Fails when the file cannot be made.
    pub fn mount(kind: FileSystem) -> io::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return skipped(kind, "only root may mount");
        }
        let disk = Self { dir: tempfile::Builder::new().prefix("mayfly-disk-").tempdir()? };
        std::fs::File::create(disk.file())?.set_len(SIZE)?;
        std::fs::create_dir(disk.path())?;
        let (maker, arguments) = kind.maker();
        if let Err(why) = run(maker, arguments.iter().map(OsStr::new).chain([disk.file().as_os_str()])) {
            return skipped(kind, &why);
        }
        let (file, path) = (disk.file(), disk.path());
        if let Err(why) =
            run("mount", [OsStr::new("-o"), OsStr::new(kind.options()), file.as_os_str(), path.as_os_str()])
        {
            return skipped(kind, &why);
        }
        Ok(Some(disk))
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    /// Mounts it again with another option, `ro` or `rw`.
    ///
    /// # Errors
    /// Fails where a file of it is open for writing.
    pub fn remount(&self, option: &str) -> io::Result<()> {
        let options = format!("remount,{option}");
        run("mount", [OsStr::new("-o"), OsStr::new(&options), self.path().as_os_str()]).map_err(io::Error::other)
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Every byte of the disk as it is once all that was written has reached it.
    ///
    /// # Errors
    /// Fails when it cannot be synced or read.
    pub fn raw(&self) -> io::Result<Vec<u8>> {
        run("sync", [OsStr::new("-f"), self.path().as_os_str()]).map_err(io::Error::other)?;
        std::fs::read(self.file())
    }

    /// The raw disk as a file, for a search that reads it by itself. Call [`raw`](Self::raw) first.
    pub fn raw_file(&self) -> PathBuf {
        self.file()
    }
}

impl Drop for DiskImage {
    fn drop(&mut self) {
        let path = self.path();
        // Where a file of it is still open, at the latest when that is closed.
        let _ = run("umount", [path.as_os_str()]).or_else(|_| run("umount", [OsStr::new("-l"), path.as_os_str()]));
    }
}

fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<(), String> {
    // Where an ordinary user's search path does not lead.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new(program).args(arguments).env("PATH", path).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

#[allow(clippy::unnecessary_wraps)] // So that each way out is one expression.
fn skipped(kind: FileSystem, why: &str) -> io::Result<Option<DiskImage>> {
    // Not by a macro, whose words the test runner keeps to itself.
    let _ = writeln!(io::stderr(), "SKIPPED: what lies raw on a disk of {kind:?}: {why}");
    Ok(None)
}

/// Replaces a file as programs usually do: another is written beside it and takes its name.
///
/// # Errors
/// Fails when it cannot be written.
pub fn replace_by_renaming(path: &Path) -> io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, std::fs::read(path)?)?;
    std::fs::File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, path)
}
