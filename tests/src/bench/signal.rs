//! The other peer: `@signalapp/sqlcipher`, the package that Signal's desktop app keeps its messages with, doing the same work
//! in a process of its own (`peer/peer.mjs`).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{Outcome, plain};

/// Where `./dev bench` has put the script and its packages.
const PEER: &str = "MAYFLY_BENCH_PEER";

/// A database in the peer's process.
#[derive(Debug)]
pub struct Signal {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What something took there.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Milliseconds that passed.
    pub ms: f64,
    /// Milliseconds of processor time.
    pub cpu_ms: f64,
}

impl Signal {
    /// Starts the peer with a fresh database or an old one; nothing where its package is not installed, which is said.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn open(database: &Path) -> Outcome<Option<Self>> {
        let Some(dir) = std::env::var_os(PEER).map(PathBuf::from) else {
            eprintln!("SKIPPED: the column of Signal's database, because {PEER} does not say where its package lies.");
            return Ok(None);
        };
        let mut child =
            Command::new("node").arg(dir.join("peer.mjs")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let requests = requests.ok_or("the peer has no input")?;
        let answers = BufReader::new(answers.ok_or("the peer has no output")?);
        let mut signal = Self { child, requests, answers };
        signal.reopen(database)?;
        Ok(Some(signal))
    }

    /// Opens another database, or the same again.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn reopen(&mut self, database: &Path) -> Outcome<Took> {
        self.ask(&json!({ "do": "open", "path": database, "setup": plain::setup() }))
    }

    /// Closes the database.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn close(&mut self) -> Outcome<Took> {
        self.ask(&json!({ "do": "close" }))
    }

    /// Inserts a message for each due second in one transaction. With a mark and a first number each body begins with the
    /// mark and its own number.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn insert(&mut self, due_s: &[i64], chat: [u8; 16], body: &str, mark: Option<(&str, u32)>) -> Outcome<Took> {
        let (mark, first) = mark.unzip();
        self.ask(&json!({
            "do": "insert", "sql": plain::INSERT, "chat": hex::encode(chat), "due": due_s, "body": body,
            "mark": mark, "first": first.unwrap_or(0),
        }))
    }

    /// Gives the messages of these orders, in this order, a longer body with the same mark.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn update(&mut self, orders: &[u32], body: &str, mark: &str) -> Outcome<Took> {
        self.ask(&json!({ "do": "update", "sql": plain::UPDATE, "orders": orders, "body": body, "mark": mark }))
    }

    /// Reads the newest messages; the page must be full.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn page(&mut self, chat: [u8; 16], limit: u32) -> Outcome<Took> {
        self.ask(&page("page", chat, limit))
    }

    /// Opens a database and reads the newest messages; the page must be full.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn open_page(&mut self, database: &Path, chat: [u8; 16], limit: u32) -> Outcome<Took> {
        let mut request = page("open_page", chat, limit);
        if let Some(fields) = request.as_object_mut() {
            fields.insert("path".to_owned(), json!(database));
            fields.insert("setup".to_owned(), json!(plain::setup()));
        }
        self.ask(&request)
    }

    /// Deletes what is due, gives the pages back and empties the log into the file: the best that can be done there.
    ///
    /// # Errors
    /// Whatever goes wrong in it.
    pub fn erase(&mut self, now_s: i64) -> Outcome<Took> {
        self.ask(&json!({ "do": "erase", "sql": plain::ERASE, "now": now_s }))
    }

    fn ask(&mut self, request: &Value) -> Outcome<Took> {
        writeln!(self.requests, "{request}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).map_err(|_| "the peer has ended")?;
        if let Some(error) = answer.get("error") {
            return Err(format!("the peer says: {error}").into());
        }
        let wanted = request.get("limit");
        if wanted.is_some() && answer.get("rows") != wanted {
            return Err("the peer's page is not full".into());
        }
        let number = |name| answer.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
        Ok(Took { ms: number("ms"), cpu_ms: number("cpu_ms") })
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        // It holds nothing that anybody wants to keep.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn page(what: &str, chat: [u8; 16], limit: u32) -> Value {
    json!({ "do": what, "sql": plain::PAGE, "chat": hex::encode(chat), "now": 0, "limit": limit })
}
