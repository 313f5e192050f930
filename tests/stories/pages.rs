//! The page reader against real `SQLCipher` databases: it sees what the database no longer reaches,
//! and each planted leak, singly.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mayfly_tests::forensics::leak::{self, Pages, PlantError};
use mayfly_tests::forensics::{Canaries, Canary, Hit, PageCipher, PageKind, Place, Report, Scanner, read_pages};
use rusqlite::Connection;
use tempfile::TempDir;

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const SALT: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

fn cipher() -> PageCipher {
    PageCipher::from_hex(KEY, SALT).unwrap()
}

fn open(path: &Path) -> Connection {
    let database = Connection::open(path).unwrap();
    database.pragma_update(None, "key", format!("x'{KEY}{SALT}'")).unwrap();
    database
}

/// A database with short and long rows in a table and an index, in the given journal mode, and a
/// canary in every row.
struct Store {
    dir: TempDir,
    database: Connection,
    canaries: Canaries,
}

impl Store {
    fn new(journal: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = open(&dir.path().join("store.db"));
        database.pragma_update(None, "journal_mode", journal).unwrap();
        database.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        database.pragma_update(None, "secure_delete", false).unwrap();
        database
            .execute_batch("CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX texts ON rows (text);")
            .unwrap();
        Self { dir, database, canaries: Canaries::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("store.db")
    }

    /// Adds rows whose canary stands at the end of `padding` characters.
    fn insert(&mut self, count: usize, padding: usize) -> Vec<Canary> {
        let transaction = self.database.unchecked_transaction().unwrap();
        let mut added = Vec::new();
        for number in 0..count {
            let canary = self.canaries.make(format!("row-{padding}-{number}")).unwrap();
            let text = format!("{}{}", "x".repeat(padding), canary.text());
            transaction.execute("INSERT INTO rows (text) VALUES (?1)", [text]).unwrap();
            added.push(canary);
        }
        transaction.commit().unwrap();
        added
    }

    fn checkpoint(&self, mode: &str) {
        let query = format!("PRAGMA wal_checkpoint({mode})");
        self.database.query_row(&query, [], |_| Ok(())).unwrap();
    }

    /// A copy of the files as they lie there now.
    fn image(&self) -> TempDir {
        let image = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(self.dir.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
        }
        image
    }
}

/// Searches raw files and decrypted pages of an image.
fn search(image: &TempDir, canaries: &[Canary]) -> Report {
    let scanner = Scanner::new(canaries).unwrap();
    let mut report = scanner.tree(image.path()).unwrap();
    report.add(scanner.database(&image.path().join("store.db"), &cipher()).unwrap());
    report
}

fn kinds(hits: &BTreeSet<Hit>) -> BTreeSet<&'static str> {
    let kind = |hit: &Hit| match hit.place {
        Place::Page { .. } => "page",
        Place::WalFrame { .. } => "wal",
        Place::JournalRecord { .. } => "journal",
        Place::File(_) => "file",
        Place::Name(_) | Place::Bytes(_) => "other",
    };
    hits.iter().map(kind).collect()
}

#[test]
fn every_row_of_a_real_database_is_found_with_the_key_and_none_without() {
    let mut store = Store::new("DELETE");
    let mut canaries = store.insert(300, 10);
    canaries.extend(store.insert(20, 9_000));
    let image = store.image();
    let report = search(&image, &canaries);
    assert_eq!(report.labels().len(), canaries.len());
    assert_eq!(kinds(&report.hits), BTreeSet::from(["page"]), "raw files hold ciphertext only");
    assert_eq!(report.pages.foreign, 0);
    let size = fs::metadata(image.path().join("store.db")).unwrap().len();
    assert_eq!((report.pages.authentic + report.pages.empty) * 4096, size);

    let wrong = PageCipher::from_hex(&KEY.replace('0', "1"), SALT).unwrap();
    let scanner = Scanner::new(&canaries).unwrap();
    let report = scanner.database(&image.path().join("store.db"), &wrong).unwrap();
    assert_eq!((report.hits.len(), report.pages.authentic), (0, 0));
    assert!(PageCipher::from_hex("no key", SALT).is_err() && PageCipher::from_hex(KEY, "").is_err());
}

#[test]
fn deleted_rows_are_found_in_freelist_and_overflow_pages() {
    let mut store = Store::new("DELETE");
    let canaries = store.insert(40, 9_000);
    store.database.execute("DELETE FROM rows", []).unwrap();
    let free: i64 = store.database.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
    assert!(free > 40, "deleting must have filled the freelist: {free}");
    let report = search(&store.image(), &canaries);
    assert_eq!(report.labels().len(), canaries.len());
}

#[test]
fn the_log_is_read_frame_by_frame_also_behind_its_valid_end() {
    let mut store = Store::new("WAL");
    let first = store.insert(200, 2_000);
    let report = search(&store.image(), &first);
    assert_eq!(report.labels().len(), first.len());
    assert!(kinds(&report.hits).contains("wal"));

    // Everything moves to the database and the log starts again from its head: nearly all of its
    // frames are now ones that the database will not read any more.
    store.checkpoint("RESTART");
    store.insert(1, 10);
    let report = search(&store.image(), &first);
    let stale = report.hits.iter().filter(|hit| matches!(hit.place, Place::WalFrame { .. }));
    let stale: BTreeSet<&String> = stale.map(|hit| &hit.label).collect();
    assert!(stale.len() > 190, "only {} rows were found in stale frames", stale.len());
    assert_eq!(report.pages.foreign, 0);

    store.checkpoint("TRUNCATE");
    assert!(!kinds(&search(&store.image(), &first).hits).contains("wal"));
}

#[test]
fn a_rollback_journal_that_stayed_is_read() {
    let mut store = Store::new("PERSIST");
    let canaries = store.insert(100, 500);
    store.database.pragma_update(None, "secure_delete", true).unwrap();
    store.database.execute("DELETE FROM rows", []).unwrap();
    let report = search(&store.image(), &canaries);
    assert!(kinds(&report.hits).contains("journal"));
    assert_eq!(report.pages.foreign, 0);
}

#[test]
fn a_torn_page_still_shows_what_survived() {
    let mut store = Store::new("DELETE");
    let canaries = store.insert(100, 100);
    let image = store.image();
    let path = image.path().join("store.db");
    let mut bytes = fs::read(&path).unwrap();
    for page in bytes.chunks_mut(4096) {
        page[..512].fill(0x55);
    }
    fs::write(&path, bytes).unwrap();
    let report = search(&image, &canaries);
    assert_eq!(report.pages.authentic, 0);
    assert!(report.labels().len() > 50, "found {}", report.labels().len());
}

#[test]
fn a_page_that_is_opened_and_sealed_again_is_still_the_databases_own() {
    let mut store = Store::new("DELETE");
    store.insert(50, 100);
    let image = store.image();
    let path = image.path().join("store.db");
    let mut resealed = Vec::new();
    read_pages(&path, &cipher(), &mut |page| {
        assert!(page.opened.authentic && page.kind == PageKind::Database);
        resealed.extend(cipher().seal(page.number, &page.opened.bytes).unwrap());
    })
    .unwrap();
    assert_ne!(fs::read(&path).unwrap(), resealed, "each sealing draws its own vector");
    fs::write(&path, resealed).unwrap();
    assert_eq!(integrity(&path), "ok");
    assert!(cipher().seal(2, &[0; 10]).is_err());
}

fn integrity(path: &Path) -> String {
    let check = "PRAGMA integrity_check";
    let database = open(path);
    let cipher: Vec<String> = database
        .prepare("PRAGMA cipher_integrity_check")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(cipher, Vec::<String>::new());
    database.query_row(check, [], |row| row.get(0)).unwrap()
}

/// Plants in a fresh image of a store and gives back where the leak was then found.
fn planted(plant: impl Fn(&Pages, &Canary) -> Result<(), PlantError>) -> (Place, TempDir) {
    let mut store = Store::new("DELETE");
    store.insert(200, 300);
    store.insert(3, 9_000);
    let leak = store.canaries.make("leak").unwrap();
    let image = store.image();
    assert_eq!(search(&image, std::slice::from_ref(&leak)).hits.len(), 0);
    plant(&Pages::encrypted(&image.path().join("store.db"), cipher()), &leak).unwrap();
    let report = search(&image, &[leak]);
    assert_eq!((report.hits.len(), report.pages.foreign), (3, 0), "one find a word");
    (report.hits.first().unwrap().place.clone(), image)
}

#[test]
fn a_leak_planted_in_a_page_gap_is_found_and_the_database_does_not_notice() {
    let (place, image) = planted(|pages, leak| pages.plant_in_page_gap(leak).map(drop));
    assert!(matches!(place, Place::Page { number: 2.., .. }));
    assert_eq!(integrity(&image.path().join("store.db")), "ok");
}

#[test]
fn a_leak_planted_behind_an_overflow_chain_is_found_and_the_database_does_not_notice() {
    let (place, image) = planted(|pages, leak| pages.plant_in_overflow(leak).map(drop));
    assert!(matches!(place, Place::Page { number: 2.., .. }));
    assert_eq!(integrity(&image.path().join("store.db")), "ok");
}

#[test]
fn a_leak_planted_in_the_freelist_is_found_and_the_database_takes_it_for_free() {
    let (place, image) = planted(|pages, leak| pages.plant_in_freelist(leak).map(drop));
    assert!(matches!(place, Place::Page { .. }));
    let path = image.path().join("store.db");
    assert_eq!(integrity(&path), "ok");
    let free: i64 = open(&path).query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
    assert_eq!(free, 1);
}

#[test]
fn a_leak_planted_in_a_freelist_that_is_there_is_found() {
    let mut store = Store::new("DELETE");
    store.insert(40, 9_000);
    store.database.execute("DELETE FROM rows WHERE id > 10", []).unwrap();
    let leak = store.canaries.make("leak").unwrap();
    let image = store.image();
    let path = image.path().join("store.db");
    Pages::encrypted(&path, cipher()).plant_in_freelist(&leak).unwrap();
    assert_eq!(search(&image, &[leak]).hits.len(), 3);
    assert_eq!(integrity(&path), "ok");
}

#[test]
fn a_leak_planted_in_a_stale_frame_of_the_log_is_found() {
    let (place, _) = planted(|pages, leak| pages.plant_in_wal(leak).map(drop));
    assert!(matches!(place, Place::WalFrame { frame: 0, .. }), "{place:?}");

    let mut store = Store::new("WAL");
    store.insert(10, 10);
    let leak = store.canaries.make("leak").unwrap();
    let image = store.image();
    let pages = Pages::encrypted(&image.path().join("store.db"), cipher());
    store.checkpoint("TRUNCATE");
    fs::copy(store.path(), image.path().join("store.db")).unwrap();
    let frame = pages.plant_in_wal(&leak).unwrap();
    assert!(frame > 0);
    let report = search(&image, &[leak]);
    let found = report.hits.first().unwrap();
    assert!(matches!(&found.place, Place::WalFrame { frame: at, .. } if *at == frame));
}

#[test]
fn a_leak_planted_in_a_relays_database_is_found_in_its_raw_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.db");
    let database = Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE events (id INTEGER PRIMARY KEY, event TEXT)").unwrap();
    database.execute("INSERT INTO events (event) VALUES ('nothing')", []).unwrap();
    let leak = Canaries::new().make("leak").unwrap();
    let scanner = Scanner::new([&leak]).unwrap();
    assert!(scanner.tree(dir.path()).unwrap().hits.is_empty());
    Pages::clear(&path).unwrap().plant_in_page_gap(&leak).unwrap();
    let report = scanner.tree(dir.path()).unwrap();
    assert_eq!(report.labels(), BTreeSet::from(["leak"]));
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn leaks_planted_in_state_blob_log_and_webview_files_are_found_singly() {
    let mut canaries = Canaries::new();
    let mut place_of = |plant: &dyn Fn(&Path, &Canary)| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state.0"), [vec![7; 4096], vec![0; 8192]].concat()).unwrap();
        let leak = canaries.make("leak").unwrap();
        plant(dir.path(), &leak);
        let report = Scanner::new([&leak]).unwrap().tree(dir.path()).unwrap();
        let hit = report.hits.first().expect("the planted leak must be found").clone();
        let Place::File(path) = hit.place else { panic!("a file was planted in") };
        (path.strip_prefix(dir.path()).unwrap().to_owned(), hit.encoding)
    };
    let (state, _) = place_of(&|dir, leak| leak::plant_in_zeros(&dir.join("state.0"), leak).unwrap());
    assert_eq!(state, Path::new("state.0"));
    let (blob, _) = place_of(&|dir, leak| leak::plant_at_end(&dir.join("blobs").join("1"), leak).unwrap());
    assert_eq!(blob, Path::new("blobs/1"));
    let (web, encoding) = place_of(&|dir, leak| leak::plant_in_webview(dir, leak).unwrap());
    assert!(web.starts_with("localstorage"));
    assert_eq!(encoding, mayfly_tests::forensics::Encoding::Utf16);
}

#[test]
fn a_database_without_the_place_says_so() {
    let mut store = Store::new("DELETE");
    store.insert(3, 10);
    let leak = store.canaries.make("leak").unwrap();
    let pages = Pages::encrypted(&store.path(), cipher());
    assert!(matches!(pages.plant_in_overflow(&leak), Err(PlantError::NoRoom("overflow page"))));
    let full = store.dir.path().join("full");
    fs::write(&full, [1; 100]).unwrap();
    assert!(matches!(leak::plant_in_zeros(&full, &leak), Err(PlantError::NoRoom(_))));
}
