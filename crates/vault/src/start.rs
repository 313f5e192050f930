//! Making a vault, and opening one after whatever happened to it.

use std::sync::Arc;

use rusqlite::Connection;

use crate::cipher::{Alg, Key, random};
use crate::clock::{Clock, Reading};
use crate::disk::{Files, ProfileLock};
use crate::gate::{Gate, Tried};
use crate::keyring::Entry;
use crate::keys::{Keys, Shared};
use crate::locked::Locked;
use crate::opening::{Found, Opened, ShareCopy, Slot};
use crate::share::{Cost, Derived, Shares, bit};
use crate::state::{Header, State, seal_record};
use crate::time::Mark;
use crate::tpm::Tpm;
use crate::tree::Frontier;
use crate::writer::Writer;
use crate::{Error, Passphrase, Place, panic, schema, sql, wipe};

/// Whether a state was ever written here, or a panic is to be finished.
pub(crate) fn exists(place: &Place) -> bool {
    let has_state = place.read_states().is_ok_and(|states| states.iter().any(|state| state.starts_with(b"MFST")));
    has_state || is_panicked(place)
}

fn is_panicked(place: &Place) -> bool {
    place.read_share().is_ok_and(|copies| copies.contains(&ShareCopy::Panic))
}

/// Whether the state that would open says that a passphrase belongs to its root; any state, where none would.
pub(crate) fn needs_passphrase(place: &Place) -> Result<bool, Error> {
    if !exists(place) {
        return Err(Error::Missing);
    }
    let [copy_a, copy_b] = place.read_share()?;
    let [even, odd] = place.read_states()?;
    let asks = |header: Header| header.shares & bit::PASS != 0;
    let found = Found { copy_a, copy_b, states: [&even, &odd], keyring_mark: None };
    if let Some(header) = found.newest_header() {
        return Ok(asks(header));
    }
    Ok([&even, &odd].into_iter().filter_map(|state| Header::decode(state).ok()).any(asks))
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
    for file in place.all_files() {
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
    let mut keys = Keys::new(opened, pass.as_ref().map(Locked::of));
    keys.light()?;
    let shared = Shared::new(database, clock, keys, files, lock_file, Gate::open(place)?);
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
    if !place.share.is_dir() {
        return Err(Error::Locked);
    }
    let lock_file = place.lock()?;
    if is_panicked(place) {
        panic::panic_at(place)?;
        return Err(Error::Panicked);
    }
    let [copy_a, copy_b] = place.read_share()?;
    let [even, odd] = place.read_states()?;
    let gate = Gate::open(place)?;
    let entry = keyring_entry(&gate, [&even, &odd]);
    let keyring_mark = entry.as_ref().and_then(|entry| entry.as_ref().ok()).map(|entry| entry.mark);
    let found = Found { copy_a, copy_b, states: [&even, &odd], keyring_mark };
    let mut supply =
        Supply { pass, gate: &gate, reading: clock.read(), entry, tpm: None, derived: None, is_duress: false };
    let opened = found.open(|header, slot| supply.root(header, slot));
    if supply.is_duress {
        return begin_again(place, supply.derived, clock, lock_file);
    }
    if supply.derived.is_some() {
        settle_attempt(place, &gate, opened.as_ref().err())?;
    }
    let opened = opened?;
    if !place.database().is_file() {
        return Err(Error::Disk(std::io::ErrorKind::NotFound));
    }
    let mut files = Files::open(place)?;
    mend(&mut files, &opened)?;
    let asks = |bit: u8| opened.header.shares & bit != 0;
    let pass = supply.derived.filter(|_| asks(bit::PASS)).map(|derived| Locked::of(&derived.share));
    let keyring = supply.entry.and_then(Result::ok).filter(|_| asks(bit::KEYRING)).map(|entry| Locked::of(&entry.key));
    let tpm = supply.tpm.and_then(Result::ok).filter(|_| asks(bit::TPM)).map(|share| Locked::of(&share));
    let mut keys = Keys::new(opened, pass);
    keys.keyring = keyring;
    keys.tpm = tpm;
    // What died before the program ended may not have reached the TPM.
    gate.moves().owe();
    let mut conn = connect(place, &mut keys)?;
    schema::migrate(&mut conn)?;
    clear_ashes(&conn)?;
    keys.light()?;
    Ok((Shared::new(place.database(), clock, keys, files, lock_file, gate), conn))
}

/// What burnt when the vault was last locked or let go of is over. A damaged page keeps nobody out: no key opens it.
pub(crate) fn clear_ashes(conn: &Connection) -> Result<(), Error> {
    match sql::burn_out(conn) {
        Err(Error::DatabaseDamaged) => Ok(()),
        result => result,
    }
}

/// The keyring's entry, if a state asks for it.
fn keyring_entry(gate: &Gate, states: [&[u8]; 2]) -> Option<Result<Entry, Error>> {
    let headers = states.into_iter().filter_map(|state| Header::decode(state).ok());
    let asking = headers.filter(|header| header.shares & bit::KEYRING != 0).max_by_key(|header| header.e)?;
    Some(gate.load(&asking.store_id))
}

/// Takes back that a passphrase was counted as wrong, unless it was; and then, if it was one too many, destroys all.
fn settle_attempt(place: &Place, gate: &Gate, refusal: Option<&Error>) -> Result<(), Error> {
    if refusal != Some(&Error::Locked) {
        return gate.passed();
    }
    if gate.is_spent() {
        panic::panic_at(place)?;
        return Err(Error::Panicked);
    }
    Ok(())
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
    gate: &'a Gate,
    reading: Reading,
    /// What the keyring said, if it was asked.
    entry: Option<Result<Entry, Error>>,
    /// What the TPM said, if it was asked.
    tpm: Option<Result<Key, Error>>,
    /// Deriving costs half a second, and both states mostly ask for the same.
    derived: Option<Derived>,
    /// The passphrase is the one that means "destroy everything".
    is_duress: bool,
}

impl Supply<'_> {
    fn root(&mut self, header: &Header, slot: &Key) -> Result<Key, Error> {
        if header.shares & bit::REMOTE != 0 {
            return Err(Error::ShareUnavailable);
        }
        let tpm = if header.shares & bit::TPM == 0 { None } else { Some(self.tpm_share(header)?) };
        let entry = match &self.entry {
            Some(entry) if header.shares & bit::KEYRING != 0 => Some(entry.clone()?),
            _ => None,
        };
        let pass = if header.shares & bit::PASS == 0 { None } else { Some(self.pass_share(header, entry.as_ref())?) };
        let keyring = entry.as_ref().map(|entry| &entry.key);
        let shares = Shares { pass: pass.as_ref(), keyring, tpm: tpm.as_ref(), slot: Some(slot), remote: None };
        Ok(shares.root(&header.store_id))
    }

    fn tpm_share(&mut self, header: &Header) -> Result<Key, Error> {
        let ask = || Tpm::of(header.tpm_counter).read().map_err(Error::from);
        self.tpm.get_or_insert_with(ask).clone()
    }

    fn pass_share(&mut self, header: &Header, entry: Option<&Entry>) -> Result<Key, Error> {
        let is_same = |derived: &&Derived| derived.salt == header.salt && derived.cost == header.cost;
        if let Some(derived) = self.derived.as_ref().filter(is_same) {
            return Ok(derived.share.clone());
        }
        let pass = self.pass.ok_or(Error::PassphraseNeeded)?;
        let derived = match self.gate.attempt(pass, header, entry, &self.reading)? {
            Tried::Share(derived) => derived,
            Tried::Duress(derived) => {
                self.is_duress = true;
                derived
            }
        };
        let share = derived.share.clone();
        self.derived = Some(derived);
        Ok(share)
    }
}
