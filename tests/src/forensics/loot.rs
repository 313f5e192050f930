//! What a thief of files holds, and everything that can still be opened with it: every wrap that was ever found under
//! every state and share that was ever found.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use mayfly_core::ProfilePlace;
use mayfly_vault::{
    ChatId, ItemId, RawKey,
    forensics::{Dump, FoundRow, attack},
};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// The vault's kind for the item that holds a chat's key.
const CHAT_KEY_KIND: u8 = 1;

/// A copy of a profile's files.
#[derive(Debug)]
pub struct Loot {
    dir: TempDir,
    rows: Vec<Row>,
    states: Vec<Vec<u8>>,
    shares: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Row {
    id: ItemId,
    chat: Option<ChatId>,
    kind: u8,
    tau: u64,
    generation: u32,
    wrap: Vec<u8>,
    body: Vec<u8>,
}

impl Row {
    fn found(&self) -> FoundRow<'_> {
        FoundRow {
            id: self.id,
            chat: self.chat,
            kind: self.kind,
            tau: self.tau,
            generation: self.generation,
            wrap: &self.wrap,
            body: &self.body,
        }
    }
}

impl Loot {
    /// Copies a profile as it lies on the disk now, with its share file or without, and reads all rows with the key.
    ///
    /// The copying is done by another process: SQLite's locks on a file are gone as soon as any descriptor of it is
    /// closed in the process that holds them.
    ///
    /// # Errors
    /// Fails when something cannot be copied or read.
    pub fn take(place: &ProfilePlace, key: &RawKey, with_share: bool) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("mayfly-loot-").tempdir()?;
        copy(&place.dir, &dir.path().join("profile"))?;
        let mut shares = Vec::new();
        if with_share {
            copy(&place.share_dir, &dir.path().join("share"))?;
            shares = files(&dir.path().join("share"), |_| true)?;
        }
        let profile = dir.path().join("profile");
        let states = files(&profile, |name| name.starts_with("state."))?;
        let rows = rows(&profile.join("vault.db"), key).map_err(io::Error::other)?;
        Ok(Self { dir, rows, states, shares })
    }

    /// Where the copy lies.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// How many rows were found.
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }
}

/// Everything that opens: under each state that any share of any loot opens, each key that any row of an item gives is
/// tried on each body that the item ever had.
pub fn open_everything(loots: &[&Loot]) -> Vec<Vec<u8>> {
    let states: Vec<&[u8]> = loots.iter().flat_map(|loot| &loot.states).map(Vec::as_slice).collect();
    let shares: Vec<&[u8]> = loots.iter().flat_map(|loot| &loot.shares).map(Vec::as_slice).collect();
    let dumps = attack(&states, &shares, None);
    let rows: Vec<&Row> = loots.iter().flat_map(|loot| &loot.rows).collect();
    let chat_keys = chat_keys(&rows, &dumps);
    let mut opened = Vec::new();
    for versions in versions(&rows).values() {
        let deks: BTreeSet<[u8; 32]> = versions.iter().flat_map(|row| deks(row, &dumps, &chat_keys)).collect();
        let bodies: BTreeMap<&[u8], &Row> = versions.iter().map(|row| (row.body.as_slice(), *row)).collect();
        for row in bodies.values() {
            // A body is bound to the store and to what the row says of itself; any state knows the store.
            let open = |dek| dumps.first().and_then(|dump| dump.open_body(&row.found(), dek));
            opened.extend(deks.iter().filter_map(open).map(|body| body.to_vec()));
        }
    }
    opened.sort();
    opened.dedup();
    opened
}

/// The rows of each item, from all times.
fn versions<'a>(rows: &[&'a Row]) -> BTreeMap<ItemId, Vec<&'a Row>> {
    let mut versions: BTreeMap<ItemId, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        versions.entry(row.id).or_default().push(row);
    }
    versions
}

/// Every key that a row's wrap gives, under any state and any key that its chat ever had.
fn deks(row: &Row, dumps: &[Dump], chat_keys: &[(ChatId, [u8; 32])]) -> Vec<[u8; 32]> {
    let of_chat = chat_keys.iter().filter(|(chat, _)| Some(*chat) == row.chat).map(|(_, key)| *key);
    let keys = of_chat.chain([[0; 32]]);
    keys.flat_map(|key| dumps.iter().filter_map(move |dump| dump.unwrap(&row.found(), &key))).collect()
}

fn open(dump: &Dump, row: &Row, chat_key: &[u8; 32]) -> Option<Vec<u8>> {
    let found = row.found();
    let dek = dump.unwrap(&found, chat_key)?;
    dump.open_body(&found, &dek).map(|body| body.to_vec())
}

/// The keys of chats that can be opened, from any time.
fn chat_keys(rows: &[&Row], dumps: &[Dump]) -> Vec<(ChatId, [u8; 32])> {
    let mut keys = Vec::new();
    for row in rows.iter().filter(|row| row.kind == CHAT_KEY_KIND) {
        for dump in dumps {
            let body = open(dump, row, &[0; 32]);
            let key = body.and_then(|body| <[u8; 32]>::try_from(body).ok());
            // The item that holds a chat's key lies outside the chat, under the chat's id.
            keys.extend(key.map(|key| (ChatId::from_bytes(*row.id.as_bytes()), key)));
        }
    }
    keys.sort();
    keys.dedup();
    keys
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other("the files could not be copied")) }
}

fn files(dir: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort();
    paths
        .iter()
        .filter(|path| path.is_file() && path.file_name().is_some_and(|name| wanted(&name.to_string_lossy())))
        .map(std::fs::read)
        .collect()
}

fn rows(database: &Path, key: &RawKey) -> rusqlite::Result<Vec<Row>> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\";", hex::encode(key.key)))?;
    let mut statement = connection.prepare("SELECT item_id, chat_id, kind, tau, gen, wrap, body FROM item")?;
    let rows = statement.query_map([], |row| {
        Ok(Row {
            id: ItemId::from_bytes(row.get(0)?),
            chat: row.get::<_, Option<[u8; 16]>>(1)?.map(ChatId::from_bytes),
            kind: row.get(2)?,
            tau: row.get::<_, i64>(3)?.unsigned_abs(),
            generation: row.get(4)?,
            wrap: row.get(5)?,
            body: row.get(6)?,
        })
    })?;
    rows.collect()
}
