//! Destroying a whole vault, in milliseconds: its root share and its states; the rest is only rubbish afterwards.

use crate::disk::{Files, sync_folder};
use crate::{Error, Place, wipe};

/// Destroys the vault in this place, open or not.
pub(crate) fn panic_at(place: &Place) -> Result<(), Error> {
    if !place.profile.is_dir() || !place.share.is_dir() {
        return Ok(());
    }
    Files::open(place)?.panic()?;
    remove_rest(place);
    Ok(())
}

/// Removes what is left of a destroyed vault. The share file goes last: as long as it is there it says what happened,
/// and the next opener takes up from here; so a file that cannot be removed now is no error.
pub(crate) fn remove_rest(place: &Place) {
    let files = place.database_files().into_iter().chain([place.state(0), place.state(1)]);
    let removed: Vec<Result<(), Error>> = files.map(|file| wipe::remove_file(&file)).collect();
    if removed.into_iter().all(|result| result.is_ok())
        && sync_folder(&place.profile).is_ok()
        && wipe::remove_file(&place.share_file()).is_ok()
    {
        let _ = sync_folder(&place.share);
    }
}
