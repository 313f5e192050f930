//! Making a vault, and opening one after whatever happened to it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::cipher::{Alg, Key, random};
use crate::clock::Clock;
use crate::disk::{Files, ProfileLock};
use crate::keys::{Keys, Shared};
use crate::locked::Locked;
use crate::opening::{Found, Opened, ShareCopy, Slot};
use crate::share::{Cost, Derived, Shares, bit, duress_mark};
use crate::state::{Header, State, seal_record};
use crate::time::Mark;
use crate::tree::Frontier;
use crate::writer::Writer;
use crate::{Error, Passphrase, Place, panic, schema, wipe};

/// Whether a state was ever written here, or a panic is to be finished.
pub(crate) fn exists(place: &Place) -> bool {
    let has_state = place.read_states().is_ok_and(|states| states.iter().any(|state| state.starts_with(b"MFST")));
    has_state || is_panicked(place)
}

fn is_panicked(place: &Place) -> bool {
    place.read_share().is_ok_and(|copies| copies.contains(&ShareCopy::Panic))
}

/// Whether any state says that a passphrase belongs to its root.
pub(crate) fn needs_passphrase(place: &Place) -> Result<bool, Error> {
    if !exists(place) {
        return Err(Error::Missing);
    }
    let states = place.read_states()?;
    let mut headers = states.iter().filter_map(|state| Header::decode(state).ok());
    Ok(headers.any(|header| header.shares & bit::PASS != 0))
}

/// Makes the files. The state comes last: only with it does the vault exist.
pub(crate) fn create(
    place: &Place,
    pass: Option<&Passphrase>,
    clock: Arc<dyn Clock>,
) -> Result<(Shared, Connection), Error> {
    if exists(place) {
        return Err(Error::AlreadyCreated);
    }
    place.make_folders()?;
    let lock_file = place.lock()?;
    create_locked(place, pass.map(Derived::fresh).transpose()?, clock, lock_file)
}

/// [`create`] by whoever holds the place already.
fn create_locked(
    place: &Place,
    pass: Option<Derived>,
    clock: Arc<dyn Clock>,
    lock_file: ProfileLock,
) -> Result<(Shared, Connection), Error> {
    // What a creation that broke off left: nothing of it was ever in use.
    for file in place.database_files().into_iter().chain([place.state(0), place.state(1), place.share_file()]) {
        wipe::remove_file(&file)?;
    }
    let mut files = Files::open(place)?;
    let (mut header, pass) = first_header(pass)?;
    let slot = Slot { e: header.e, key: Key::random()? };
    let reading = clock.read();
    let mark = Mark { at: reading.wall.max(crate::T0), boot_id: reading.boot_id, boottime_ms: reading.boottime_ms };
    let trees = vec![Frontier::fresh(&Key::random()?, 0)];
    let state = State { mark, k_db: Locked::of(&Key::random()?), k_db_next: None, trees };
    let root = Shares { pass: pass.as_ref(), slot: Some(&slot.key), ..Shares::default() }.root(&header.store_id);
    let record = seal_record(&mut header, &root, &state.encode())?;
    let database = place.database();
    let mut conn = schema::connect(&database, &state.k_db.key())?;
    schema::migrate(&mut conn)?;
    files.write_copy_b(&slot)?;
    files.write_copy_a(&slot)?;
    let opened = Opened { slot, header, state, mend_a: false, mend_b: false, mend_old_state: false };
    let keys = Keys::new(opened, pass.as_ref().map(Locked::of));
    let shared = Shared::new(database, clock, keys, files, lock_file);
    Writer::new(&shared, &conn).create_naming_key()?;
    shared.files().write_state(1, &record)?;
    Ok((shared, conn))
}

/// The first header, and the share of the passphrase where there is one.
fn first_header(pass: Option<Derived>) -> Result<(Header, Option<Key>), Error> {
    let mut header = Header {
        alg: Alg::for_this_cpu(),
        shares: bit::SLOT,
        e: 1,
        store_id: random()?,
        salt: [0; 16],
        cost: Cost::NONE,
        tpm_counter: 0,
        duress: random()?,
        sealed_bytes: 0,
        nonce: random()?,
    };
    let Some(Derived { salt, cost, share }) = pass else { return Ok((header, None)) };
    header = Header { shares: header.shares | bit::PASS, salt, cost, ..header };
    Ok((header, Some(share)))
}

/// Opens by the rules, and mends what a crash left before anything else is written.
pub(crate) fn open(
    place: &Place,
    pass: Option<&Passphrase>,
    clock: Arc<dyn Clock>,
) -> Result<(Shared, Connection), Error> {
    if !exists(place) {
        return Err(Error::Missing);
    }
    let lock_file = place.lock()?;
    if is_panicked(place) {
        panic::panic_at(place)?;
        return Err(Error::Panicked);
    }
    let [copy_a, copy_b] = place.read_share()?;
    let [even, odd] = place.read_states()?;
    let found = Found { copy_a, copy_b, states: [&even, &odd], keyring_mark: None };
    let mut supply = Supply { pass, derived: None, is_duress: false };
    let opened = found.open(|header, slot| supply.root(header, slot));
    if supply.is_duress {
        return begin_again(place, supply.derived, clock, lock_file);
    }
    let opened = opened?;
    if !place.database().is_file() {
        return Err(Error::Disk(std::io::ErrorKind::NotFound));
    }
    let mut files = Files::open(place)?;
    mend(&mut files, &opened)?;
    let pass =
        (opened.header.shares & bit::PASS != 0).then(|| supply.derived.map(|derived| Locked::of(&derived.share)));
    let mut keys = Keys::new(opened, pass.flatten());
    let mut conn = connect(place, &mut keys)?;
    schema::migrate(&mut conn)?;
    Ok((Shared::new(place.database(), clock, keys, files, lock_file), conn))
}

/// Destroys what is here and makes an empty vault in its place, which opens with the passphrase that asked for it.
///
/// It takes the salt of the old one along, so that the passphrase is not derived a second time: that would be noticed.
fn begin_again(
    place: &Place,
    pass: Option<Derived>,
    clock: Arc<dyn Clock>,
    lock_file: ProfileLock,
) -> Result<(Shared, Connection), Error> {
    panic::panic_at(place)?;
    create_locked(place, pass, clock, lock_file)
}

/// Rewrites the copy that is not the one that opened, and zeros the state that is not.
fn mend(files: &mut Files, opened: &Opened) -> Result<(), Error> {
    if opened.mend_b {
        files.write_copy_b(&opened.slot)?;
    }
    if opened.mend_a {
        files.write_copy_a(&opened.slot)?;
    }
    if opened.mend_old_state {
        files.zero_other_state(opened.header.e)?;
    }
    Ok(())
}

/// The database under the key that fits: the next one if a change of keys got that far, else the present one.
fn connect(place: &Place, keys: &mut Keys) -> Result<Connection, Error> {
    let database = place.database();
    if let Some(next) = keys.k_db_next.take()
        && let Ok(conn) = schema::connect(&database, &next.key())
    {
        keys.k_db = next;
        return Ok(conn);
    }
    schema::connect(&database, &keys.k_db.key())
}

/// What the opener can give of the shares that a header asks for.
struct Supply<'a> {
    pass: Option<&'a Passphrase>,
    /// Deriving costs half a second, and both states mostly ask for the same.
    derived: Option<Derived>,
    /// The passphrase is the one that means "destroy everything".
    is_duress: bool,
}

impl Supply<'_> {
    fn root(&mut self, header: &Header, slot: &Key) -> Result<Key, Error> {
        if header.shares & !(bit::PASS | bit::SLOT) != 0 {
            return Err(Error::ShareUnavailable);
        }
        let pass = if header.shares & bit::PASS == 0 { None } else { Some(self.pass_share(header)?) };
        Ok(Shares { pass: pass.as_ref(), slot: Some(slot), ..Shares::default() }.root(&header.store_id))
    }

    fn pass_share(&mut self, header: &Header) -> Result<Key, Error> {
        let is_same = |derived: &&Derived| derived.salt == header.salt && derived.cost == header.cost;
        if let Some(derived) = self.derived.as_ref().filter(is_same) {
            return Ok(derived.share.clone());
        }
        let share = self.pass.ok_or(Error::PassphraseNeeded)?.share(&header.salt, header.cost)?;
        self.is_duress |= duress_mark(&share, &header.store_id).is_same(&Key(header.duress));
        self.derived = Some(Derived { salt: header.salt, cost: header.cost, share: share.clone() });
        Ok(share)
    }
}
