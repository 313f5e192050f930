//! Destroying a whole vault, in milliseconds: its root share and its states; the rest is only rubbish afterwards.

use crate::disk::{Files, sync_folder};
use crate::keyring::Keyring;
use crate::{Error, Place, wipe};

/// Destroys the vault in this place, open or not.
pub(crate) fn panic_at(place: &Place) -> Result<(), Error> {
    if !place.profile.is_dir() || !place.share.is_dir() {
        return Ok(());
    }
    let elsewhere = place.elsewhere();
    Files::open(place)?.panic(elsewhere)?;
    if let Some(tpm) = elsewhere.tpm {
        let _ = tpm.undefine();
    }
    if let Some(keyring) = elsewhere.keyring_id.and_then(|id| Keyring::of(&id).ok()) {
        keyring.remove();
    }
    remove_rest(place);
    Ok(())
}

/// Destroys the vault in this place and removes every file and folder of it. Takes up from wherever it was broken off.
pub(crate) fn erase_at(place: &Place) -> Result<(), Error> {
    let lock_file = place.profile.is_dir().then(|| place.lock()).transpose()?;
    panic_at(place)?;
    for file in place.all_files().chain(place.signs()) {
        wipe::remove_file(&file)?;
    }
    drop(lock_file);
    wipe::remove_empty_folder(&place.share)?;
    wipe::remove_empty_folder(&place.profile)
}

/// Removes what is left of a destroyed vault. The share file goes last: as long as it is there it says what happened,
/// and the next opener takes up from here; so a file that cannot be removed now is no error.
pub(crate) fn remove_rest(place: &Place) {
    let files = place.all_files().filter(|file| *file != place.share_file());
    let removed: Vec<Result<(), Error>> = files.map(|file| wipe::remove_file(&file)).collect();
    if removed.into_iter().all(|result| result.is_ok())
        && sync_folder(&place.profile).is_ok()
        && wipe::remove_file(&place.share_file()).is_ok()
    {
        let _ = sync_folder(&place.share);
    }
}
