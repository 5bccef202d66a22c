//! The project's own cache, outside `target/`: `cargo clean` and a fresh clone keep it. It may be deleted at any time.

use std::fmt::Write;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::supervisor::until;

/// Starts the names of unfinished builds.
const PARTIAL: &str = ".partial-";
/// How long another run may take to build what this one waits for.
const PATIENCE: Duration = Duration::from_hours(1);

/// `prism-queue` in the user's cache folder.
pub fn folder() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").map(PathBuf::from) {
        // The XDG specification has relative paths ignored.
        Some(path) if path.is_absolute() => path,
        _ => PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?).join(".cache"),
    };
    Ok(base.join("prism-queue"))
}

/// A name that changes whenever one of `parts`, the operating system or the processor does.
pub fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let mut key = format!("{}-{}-", env::consts::OS, env::consts::ARCH);
    for byte in &hash.finalize()[..8] {
        // Writing to a String cannot fail.
        let _ = write!(key, "{byte:02x}");
    }
    key
}

/// Makes `path` with `build`, unless it is there: whole or not at all, and by one run at a time.
pub fn ensure(path: &Path, build: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().context("a path in the cache has a parent")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let _lock = lock(&folder.join(".lock"))?;
    if path.exists() {
        return Ok(());
    }
    remove_partial_builds(folder)?;
    let partial = tempfile::Builder::new().prefix(PARTIAL).tempdir_in(folder)?;
    let name = path.file_name().context("a path in the cache has a name")?;
    let whole = partial.path().join(name);
    build(&whole)?;
    fs::rename(&whole, path).with_context(|| format!("cannot move {} into place", path.display()))
}

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let mut told = false;
    until(PATIENCE, || match file.try_lock() {
        Ok(()) => Ok(Some(())),
        Err(TryLockError::WouldBlock) => {
            if !told {
                eprintln!("  waiting for another run that builds into {}", path.with_file_name("").display());
                told = true;
            }
            Ok(None)
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    })?;
    Ok(file)
}

/// What a run that was killed has left; only called under the lock.
fn remove_partial_builds(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_parts_apart() {
        assert_eq!(key(&[b"a", b"b"]), key(&[b"a", b"b"]));
        assert_ne!(key(&[b"a", b"b"]), key(&[b"ab", b""]));
    }

    #[test]
    fn a_failed_build_leaves_nothing_and_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tool");
        let failed = ensure(&path, |built| {
            fs::write(built, "half")?;
            anyhow::bail!("broken")
        });
        assert!(failed.is_err());
        assert!(!path.exists());
        ensure(&path, |built| Ok(fs::write(built, "whole")?)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert!(fs::read_dir(folder.path()).unwrap().all(|entry| {
            let name = entry.unwrap().file_name();
            !name.to_string_lossy().starts_with(PARTIAL)
        }));
        ensure(&path, |_| anyhow::bail!("built twice")).unwrap();
    }
}
