//! One door per danger: reads the workspace's own sources and fails where one is bypassed.
//!
//! Clippy knows the functions (`clippy.toml`); this knows the names of whole crates, sees through
//! `use … as …` and a local `allow`, and looks at the window's sources as well.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What may be named only behind a door.
struct Door {
    danger: &'static str,
    /// Crates, as the first segment of a path.
    crates: &'static [&'static str],
    /// Pairs of neighbouring segments, `type::function`.
    calls: &'static [(&'static str, &'static str)],
    /// The files (or folders, ending in `/`) that are the door.
    open_in: &'static [&'static str],
}

/// The doors of the Rust sources. Tests look behind all of them, what they stand on (`tests/src`) only behind some.
const DOORS: [Door; 7] = [
    Door {
        danger: "SQL",
        crates: &["rusqlite", "libsqlite3_sys"],
        calls: &[],
        open_in: &["crates/vault/", "crates/relay/", "tests/"],
    },
    Door {
        danger: "OpenMLS",
        crates: &[
            "openmls",
            "openmls_traits",
            "openmls_rust_crypto",
            "openmls_basic_credential",
            "openmls_sqlite_storage",
        ],
        calls: &[],
        open_in: &["crates/core/src/mls/", "crates/core/src/mls.rs", "tests/"],
    },
    Door {
        danger: "the window",
        crates: &["tauri", "tauri_build", "wry", "tao"],
        calls: &[],
        open_in: &["src-tauri/"],
    },
    Door {
        danger: "relays",
        crates: &["nostr", "nostr_sdk", "nostr_relay_builder"],
        calls: &[],
        open_in: &[
            "crates/relay/",
            "crates/core/src/connection.rs",
            "crates/core/src/contact.rs",
            "crates/core/src/inbox.rs",
            "crates/core/src/invitation.rs",
            "crates/core/src/outbox.rs",
            "crates/core/src/profile.rs",
            "tests/",
        ],
    },
    Door { danger: "the keyring", crates: &["keyring"], calls: &[], open_in: &["crates/vault/src/keyring.rs"] },
    Door {
        danger: "time",
        crates: &[],
        calls: &[("SystemTime", "now"), ("Instant", "now"), ("Utc", "now"), ("Local", "now"), ("Timestamp", "now")],
        open_in: &["crates/vault/src/clock.rs", "crates/relay/src/clock.rs", "tests/src/bench"],
    },
    Door {
        danger: "destruction",
        crates: &[],
        calls: &[
            ("fs", "remove_file"),
            ("fs", "remove_dir"),
            ("fs", "remove_dir_all"),
            ("fs", "unlink"),
            ("fs", "unlinkat"),
        ],
        open_in: &["crates/vault/src/wipe.rs", "crates/vault/src/wipe/"],
    },
];

/// Where the window's sources may name the bridge to the shell; its mocks are for tests.
const BRIDGE_IN: [&str; 3] = ["ui/src/lib/backend/", "ui/src/harness/", "ui/src/test-setup.ts"];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Path,
    Other(char),
}

/// Words and path separators of a Rust source, without comments and literals.
fn tokens(source: &str) -> Vec<Token> {
    let mut rest = source;
    let mut tokens = Vec::new();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = literal(rest) {
            length
        } else if first.is_alphabetic() || first == '_' {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..length].to_owned()));
            length
        } else if rest.starts_with("::") {
            tokens.push(Token::Path);
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Other(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of the block comment that starts here; such comments nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let step = &text.as_bytes()[at..];
        depth = match step {
            [b'/', b'*', ..] => depth + 1,
            [b'*', b'/', ..] => depth - 1,
            _ => {
                at += 1;
                continue;
            }
        };
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of the string or character literal that starts here, if one does.
fn literal(text: &str) -> Option<usize> {
    let unprefixed = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - unprefixed.len();
    if prefix > 1 {
        return None;
    }
    if let Some(raw) = unprefixed.strip_prefix('r') {
        let inner = raw.trim_start_matches('#');
        let hashes = raw.len() - inner.len();
        let end = format!("\"{}", "#".repeat(hashes));
        let length = inner.strip_prefix('"')?.find(&end)?;
        return Some(prefix + 1 + hashes + 1 + length + end.len());
    }
    if let Some(inner) = unprefixed.strip_prefix('"') {
        return Some(prefix + 1 + closing(inner, '"')?);
    }
    let inner = unprefixed.strip_prefix('\'')?;
    let is_lifetime = !inner.starts_with('\\') && inner.chars().nth(1) != Some('\'');
    (!is_lifetime).then_some(prefix + 1 + closing(inner, '\'')?)
}

/// Where the literal ends that has just been opened, its end included.
fn closing(inner: &str, end: char) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == end => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The dangers that a Rust source at `path` reaches for without going through their door.
fn bypasses(path: &str, source: &str) -> BTreeSet<&'static str> {
    if path.contains("/tests/") || path.starts_with("tests/stories/") {
        return BTreeSet::new();
    }
    let tokens = tokens(source);
    let word = |at: usize| match tokens.get(at) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    let mut found = BTreeSet::new();
    for door in &DOORS {
        if door.open_in.iter().any(|open| path.starts_with(open)) {
            continue;
        }
        for (at, token) in tokens.iter().enumerate() {
            let Token::Word(name) = token else { continue };
            let before = at.checked_sub(1).and_then(|at| tokens.get(at));
            let is_inner = match before {
                Some(Token::Path) => at >= 2 && matches!(tokens[at - 2], Token::Word(_)),
                Some(Token::Other('.')) => true,
                _ => false,
            };
            let is_used = tokens.get(at + 1) == Some(&Token::Path)
                || matches!(word(at.wrapping_sub(1)), "use" | "crate")
                || word(at + 1) == "as";
            if !is_inner && is_used && door.crates.contains(&name.as_str()) {
                found.insert(door.danger);
            }
            // `fs::{read, remove_file as away}` names the function without a path in front of it.
            let in_group = matches!(before, Some(Token::Other('{' | ',')))
                && matches!(tokens.get(at + 1), Some(Token::Other('}' | ',') | Token::Word(_)))
                && is_in_use(&tokens, at);
            for (outer, function) in door.calls {
                let called = before == Some(&Token::Path) && word(at.wrapping_sub(2)) == *outer;
                let imported = in_group && *function != "now";
                if name == function && (called || imported) {
                    found.insert(door.danger);
                }
            }
        }
    }
    found
}

/// The statement around a token is a `use`.
fn is_in_use(tokens: &[Token], at: usize) -> bool {
    let statement = tokens[..at].rsplit(|token| *token == Token::Other(';')).next();
    statement.is_some_and(|tokens| tokens.contains(&Token::Word("use".to_owned())))
}

/// A source of the window names the bridge to the shell without going through its door.
fn bypasses_bridge(path: &str, source: &str) -> bool {
    let is_open = BRIDGE_IN.iter().any(|open| path.starts_with(open)) || path.contains(".test.");
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    !is_open && code.into_iter().any(|line| line.contains("@tauri-apps/"))
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Our own files under `folder` that end in one of `endings`: path from the root, and text.
fn sources(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !matches!(name.as_str(), "node_modules" | "dist" | "gen" | "target") {
                folders.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap();
                found.push((path.to_string_lossy().into_owned(), text));
            }
        }
    }
    found
}

pub(crate) fn rust_sources() -> Vec<(String, String)> {
    let all = ["crates", "src-tauri", "tests"].map(|folder| sources(folder, &[".rs"]));
    let all = all.concat();
    assert!(all.len() > 50, "only {} sources were read", all.len());
    all
}

fn window_sources() -> Vec<(String, String)> {
    let all = sources("ui/src", &[".ts", ".js", ".svelte"]);
    assert!(all.len() > 10, "only {} sources were read", all.len());
    all
}

#[test]
fn no_rust_source_bypasses_a_door() {
    let found: Vec<_> = rust_sources()
        .into_iter()
        .map(|(path, source)| (bypasses(&path, &source), path))
        .filter(|(dangers, _)| !dangers.is_empty())
        .collect();
    assert_eq!(found, [], "these reach past a door");
}

#[test]
fn only_the_backend_folder_of_the_window_speaks_to_the_shell() {
    for (path, source) in window_sources() {
        assert!(!bypasses_bridge(&path, &source), "{path} imports from @tauri-apps");
    }
}

#[test]
fn a_planted_bypass_is_caught_at_every_door() {
    let planted = [
        ("SQL", "use rusqlite::Connection;"),
        ("SQL", "use {std::fs, rusqlite as store};"),
        ("SQL", "fn f() { let _ = ::libsqlite3_sys::sqlite3_close; }"),
        ("SQL", "extern crate rusqlite;"),
        ("OpenMLS", "pub use openmls::prelude::*;"),
        ("OpenMLS", "type P = openmls_traits::storage::Entity;"),
        ("the window", "#[tauri::command] fn f() {}"),
        ("relays", "use nostr_sdk::Client;"),
        ("the keyring", "use keyring::Entry;"),
        ("time", "fn f() { std::time::SystemTime::now(); }"),
        ("time", "#[allow(clippy::disallowed_methods)] fn f() { Instant :: now(); }"),
        ("time", "const F: fn() -> DateTime<Utc> = chrono::Utc::now;"),
        ("destruction", "fn f(p: &Path) { std::fs::remove_file(p); }"),
        ("destruction", "use std::fs::{self, remove_dir_all};"),
        ("destruction", "use std::fs::remove_file as tidy;"),
        ("destruction", "fn f() { tokio::fs::remove_file(\"x\"); }"),
    ];
    for (danger, source) in planted {
        let around = format!("//! Innocent.\nfn first() {{}}\n{source}\nfn last() {{}}\n");
        let found = bypasses("crates/core/src/timer.rs", &around);
        assert_eq!(found, BTreeSet::from([danger]), "{source}");
    }
    let import = "import { invoke } from '@tauri-apps/api/core';";
    assert!(bypasses_bridge("ui/src/lib/chats.ts", import));
}

#[test]
fn a_door_is_open_where_it_stands() {
    for door in &DOORS {
        for open in door.open_in {
            let path = format!("{open}x.rs");
            for name in door.crates {
                let source = format!("use {name}::X;");
                assert_eq!(bypasses(&path, &source), BTreeSet::new());
            }
            for (outer, function) in door.calls {
                let source = format!("fn f() {{ {outer}::{function}(); }}");
                assert_eq!(bypasses(&path, &source), BTreeSet::new());
            }
        }
    }
    assert!(!bypasses_bridge("ui/src/lib/backend/commands.ts", "import '@tauri-apps/api/core';"));
}

#[test]
fn comments_literals_and_inner_names_are_no_bypass() {
    let innocent = r##"
        //! rusqlite::Connection, tauri::command and SystemTime::now are named here only.
        /* openmls::prelude /* fs::remove_file */ nostr::Event */
        const A: &str = "rusqlite::Connection \" SystemTime::now";
        const B: &str = r#"use tauri::Manager; " std::fs::remove_file"#;
        const C: [char; 3] = ['"', '\'', 'x'];
        fn f<'a>(nostr: &'a str) -> &'a str { clock.now(); self.rusqlite.len(); nostr }
        use crate::tauri::window;
        use super::Clock;
    "##;
    assert_eq!(bypasses("crates/core/src/timer.rs", innocent), BTreeSet::new());
    let after = format!("{innocent}\nuse rusqlite::Row;");
    assert_eq!(bypasses("crates/core/src/timer.rs", &after), BTreeSet::from(["SQL"]));
}

#[test]
fn manifests_let_the_arrows_run_one_way() {
    let forbidden = [
        ("crates/vault", ["mayfly-core", "mayfly-relay", "nostr", "openmls", "tauri"].as_slice()),
        ("crates/relay", ["mayfly-core", "mayfly-vault", "openmls", "ring", "tauri"].as_slice()),
        ("crates/core", ["mayfly-relay", "rusqlite", "libsqlite3-sys", "tauri"].as_slice()),
        ("crates/cli", ["mayfly-vault", "mayfly-relay", "rusqlite", "openmls", "tauri"].as_slice()),
        ("src-tauri", ["mayfly-vault", "rusqlite", "openmls", "nostr"].as_slice()),
    ];
    for (folder, names) in forbidden {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let ours = manifest.split("[dev-dependencies]").next().unwrap();
        for line in ours.lines() {
            let name = line.split(['.', '=', ' ']).next().unwrap();
            assert!(!names.contains(&name), "{folder} must not depend on {name}");
        }
    }
}

#[test]
fn no_source_is_longer_than_500_lines() {
    let sources = [rust_sources(), window_sources()].concat();
    let lines = sources.into_iter().map(|(path, source)| (path, source.lines().count()));
    assert_eq!(lines.filter(|(_, lines)| *lines > 500).collect::<Vec<_>>(), []);
}
