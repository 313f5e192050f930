//! Verbs, options and JSON fields are a promise to scripts: whatever changes here changes the snapshots beside this file,
//! and needs an entry in the CHANGELOG.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use insta::{assert_json_snapshot, assert_snapshot};
use mayfly_relay::{Limits, Relay, RelayConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A folder with the profiles of some people in it.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// Runs the program to its end.
    fn output(&self, words: &[&str]) -> Output {
        self.command(words).stdin(Stdio::null()).output().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mayfly-cli"));
        command.args(words).current_dir(self.dir.path());
        command.env_clear().env("HOME", self.dir.path()).env("XDG_STATE_HOME", self.dir.path().join("state"));
        // An audit looks through the folder for temporary files, and this machine's may be large.
        command.env("TMPDIR", self.dir.path());
        command
    }

    /// What a verb of Anna's answers to these lines of standard input, or the code it fails with.
    fn told(&self, lines: &str, words: &[&str]) -> Result<Value, String> {
        let mut command = self.command(&[&["--json", "--passphrase-stdin", "--profile", "anna"], words].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let parse = |bytes: &[u8]| -> Value {
            serde_json::from_str(String::from_utf8_lossy(bytes).lines().last().unwrap_or("null")).unwrap()
        };
        if output.status.success() {
            return Ok(redacted(vec![parse(&output.stdout)]).remove(0));
        }
        Err(parse(&output.stderr)["code"].as_str().unwrap().to_owned())
    }

    /// What a verb answers on a person's profile, in JSON, without what differs from run to run.
    fn json(&self, person: &str, words: &[&str]) -> Vec<Value> {
        redacted(self.raw(person, words))
    }

    /// [`Machine::json`] with everything in it.
    fn raw(&self, person: &str, words: &[&str]) -> Vec<Value> {
        let output = self.output(&[&["--json", "--profile", person], words].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Puts a word in the place of what differs from run to run or from disk to disk; the field itself stays.
fn redacted(mut objects: Vec<Value>) -> Vec<Value> {
    for object in &mut objects {
        redact("", object);
    }
    objects
}

fn redact(name: &str, value: &mut Value) {
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| redact(name, value)),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(name, value)),
        Value::Null => {}
        value => {
            let differs = ["id", "ids", "chat", "link", "relays", "erasure", "hue", "order", "waiting", "key", "salt"];
            if differs.contains(&name) || name.ends_with("_at") {
                *value = format!("[{name}]").into();
            }
        }
    }
}

/// Two people who have met, and the relay that goes on as long as this does.
fn two_people(relay: &str) -> Machine {
    let machine = Machine::new();
    for (person, name) in [("anna", "Anna"), ("bela", "Bela")] {
        machine.raw(person, &["profile", "create", "--name", name, "--no-passphrase", "--relay", relay]);
    }
    let invitation = machine.raw("anna", &["invite"]);
    machine.raw("bela", &["accept", invitation[0]["link"].as_str().unwrap()]);
    for _ in 0..10 {
        machine.raw("anna", &["listen", "--for", "1s"]);
        machine.raw("bela", &["listen", "--for", "1s"]);
        if machine.raw("bela", &["chats"])[0]["name"] == "Anna" {
            return machine;
        }
    }
    panic!("they did not meet");
}

/// A relay in this process; it ends with the runtime.
fn relay() -> (Runtime, Relay, TempDir) {
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config =
        RelayConfig { listen: ([127, 0, 0, 1], 0).into(), data: dir.path().join("relay"), limits: Limits::default() };
    let relay = runtime.block_on(Relay::start(config)).unwrap();
    (runtime, relay, dir)
}

fn event(events: &[Value], name: &str) -> Value {
    let found = events.iter().find(|event| event["event"] == name);
    found.unwrap_or_else(|| panic!("there was no {name}")).clone()
}

#[test]
fn every_verb_says_how_it_is_used() {
    let machine = Machine::new();
    let verbs = [
        "",
        "profile",
        "profile create",
        "invite",
        "accept",
        "chats",
        "messages",
        "send",
        "react",
        "edit",
        "delete",
        "arrange",
        "read",
        "timer",
        "listen",
        "status",
        "passphrase",
        "passphrase set",
        "passphrase change",
        "passphrase remove",
        "passphrase duress",
        "passphrase limit",
        "keyring",
        "tpm",
        "audit",
        "erase",
    ];
    for verb in verbs {
        let words: Vec<&str> = verb.split_whitespace().chain(["--help"]).collect();
        let output = machine.output(&words);
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        // A build for attacks has one verb more, which is promised to nobody.
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("vault ")).collect();
        let name = format!("help {verb}").trim_end().replace(' ', "_");
        assert_snapshot!(name, lines.join("\n"));
    }
}

#[test]
fn profiles_invitations_and_refusals_keep_their_fields() {
    let machine = Machine::new();
    let create = ["profile", "create", "--name", "Anna", "--no-passphrase", "--relay", "wss://relay.example.org"];
    assert_json_snapshot!("profile_create", machine.json("anna", &create));
    assert_json_snapshot!("invite", machine.json("anna", &["invite"]));
    assert_json_snapshot!("status", machine.json("anna", &["status"]));
    assert_json_snapshot!("no_chats", machine.json("anna", &["chats"]));
    let refused = machine.output(&["--json", "--profile", "anna", "messages", "nobody"]);
    let line = String::from_utf8(refused.stderr).unwrap().lines().last().unwrap().to_owned();
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert_json_snapshot!("refused", serde_json::from_str::<Value>(&line).unwrap());
    // For people it is the sentence alone.
    let refused = machine.output(&["--profile", "anna", "messages", "nobody"]);
    assert!(String::from_utf8(refused.stderr).unwrap().ends_with("There is no such chat.\n"));
}

#[test]
fn chats_messages_and_events_keep_their_fields() {
    let (_runtime, relay, _dir) = relay();
    let machine = two_people(&relay.url());
    let send = ["send", "Bela", "hello", "--timer", "6s", "--mode", "after-send"];
    assert_json_snapshot!("send", machine.json("anna", &send));
    machine.raw("anna", &["send", "Bela", "and read this"]);
    let heard = redacted(machine.raw("bela", &["listen", "--for", "9s"]));
    assert_json_snapshot!("event_message_received", event(&heard, "message_received"));
    // How many of them come depends on what arrives together; the last one tells how the chat stands.
    let changed = heard.iter().rfind(|event| event["event"] == "chat_changed");
    assert_json_snapshot!("event_chat_changed", changed.expect("messages came"));
    let connected = heard.iter().find(|event| event["status"]["connection"] == "connected");
    assert_json_snapshot!("event_status_changed", connected.expect("the relay is there"));
    assert_json_snapshot!("event_messages_wiped", event(&heard, "messages_wiped"));
    assert_json_snapshot!("chats", machine.json("bela", &["chats"]));
    assert_json_snapshot!("messages", machine.json("bela", &["messages", "Anna"]));
    assert_json_snapshot!("read", machine.json("bela", &["read", "Anna"]));
    let heard = redacted(machine.raw("anna", &["listen", "--for", "2s"]));
    assert_json_snapshot!("event_message_changed", event(&heard, "message_changed"));
    let id = machine.raw("bela", &["messages", "Anna"])[0]["id"].as_str().unwrap().to_owned();
    assert_json_snapshot!("react", machine.json("bela", &["react", "Anna", &id, "👍"]));
    let answer =
        machine.raw("bela", &["send", "Anna", "I did", "--reply-to", &id])[0]["id"].as_str().unwrap().to_owned();
    assert_json_snapshot!("edit", machine.json("bela", &["edit", "Anna", &answer, "I did so"]));
    assert_json_snapshot!("delete", machine.json("bela", &["delete", "Anna", &answer, "--everyone"]));
    assert_json_snapshot!("arrange", machine.json("bela", &["arrange", "Anna", "pinned", "on"]));
    machine.raw("bela", &["arrange", "Anna", "pinned", "off"]);
    assert_json_snapshot!("timer", machine.json("bela", &["timer", "Anna", "off"]));
    assert_json_snapshot!("chats_with_a_proposal", machine.json("bela", &["chats"]));
    assert_json_snapshot!("messages_with_a_notice", machine.json("bela", &["messages", "Anna"]));
}

#[test]
fn the_passphrase_is_changed_by_lines_of_standard_input() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    let refused = |code: &str| Err(code.to_owned());
    assert_eq!(machine.told("one\n", &["passphrase", "change"]), refused("passphrase_unset"));
    assert_eq!(machine.told("", &["passphrase", "set"]), refused("passphrase_required"));
    assert_json_snapshot!("passphrase_set", machine.told("one\n", &["passphrase", "set"]).unwrap());
    assert_eq!(machine.told("two\n", &["chats"]), refused("locked"));
    assert_json_snapshot!("passphrase_change", machine.told("one\ntwo\n", &["passphrase", "change"]).unwrap());
    assert_eq!(machine.told("one\n", &["status"]), refused("locked"));
    assert_eq!(machine.told("two\ntwo\n", &["passphrase", "duress"]), refused("duress_is_passphrase"));
    assert_json_snapshot!("passphrase_duress", machine.told("two\nthree\n", &["passphrase", "duress"]).unwrap());
    assert_json_snapshot!("passphrase_limit", machine.told("two\n", &["passphrase", "limit", "3"]).unwrap());
    assert_eq!(machine.told("one\n", &["status"]), refused("locked"));
    assert_eq!(machine.told("two\n", &["passphrase", "limit", "off"]).unwrap()["erase_after"], Value::Null);
    assert_json_snapshot!("passphrase_remove", machine.told("two\n", &["passphrase", "remove"]).unwrap());
    assert!(machine.output(&["--profile", "anna", "status"]).status.success());
}

#[test]
fn too_many_wrong_passphrases_are_refused_with_the_seconds_to_wait() {
    let machine = Machine::new();
    machine.told("one\n", &["profile", "create", "--name", "Anna"]).unwrap();
    for _ in 0..3 {
        assert_eq!(machine.told("two\n", &["chats"]), Err("locked".to_owned()));
    }
    assert_eq!(machine.told("one\n", &["chats"]), Err("too_many_attempts".to_owned()));
}

#[test]
fn a_machine_without_a_keyring_says_so_and_works_on() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    assert_eq!(machine.told("", &["keyring", "on"]), Err("keyring_unavailable".to_owned()));
    let without = machine.command(&["--json", "--profile", "anna", "tpm", "on"]).env("MAYFLY_TPM", "/nowhere").output();
    assert!(String::from_utf8(without.unwrap().stderr).unwrap().contains("tpm_unavailable"));
    assert_json_snapshot!("keyring_off", machine.told("", &["keyring", "off"]).unwrap());
}

/// Which facts are good differs from machine to machine; which there are, and the fields, do not.
#[test]
fn an_audit_keeps_its_fields() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    let mut audit = machine.json("anna", &["audit"]).remove(0);
    audit["verdict"] = "[verdict]".into();
    for fact in audit["facts"].as_array_mut().unwrap() {
        fact["state"] = "[state]".into();
        fact["words"] = "[words]".into();
    }
    for count in ["files", "bytes"] {
        assert!(audit["canary"][count].as_u64().unwrap() > 0);
        audit["canary"][count] = format!("[{count}]").into();
    }
    assert_json_snapshot!("audit", audit);
}

#[test]
fn an_erased_profile_is_gone() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    assert_eq!(machine.output(&["--profile", "anna", "erase"]).status.code(), Some(2));
    assert!(machine.dir.path().join("anna").exists());
    assert_json_snapshot!("erase", machine.json("anna", &["erase", "--yes"]));
    assert!(!machine.dir.path().join("anna").exists());
    let refused = machine.output(&["--json", "--profile", "anna", "status"]).stderr;
    assert!(String::from_utf8(refused).unwrap().contains("profile_missing"));
}

#[test]
fn accepting_an_invitation_names_the_chat() {
    let (_runtime, relay, _dir) = relay();
    let machine = Machine::new();
    let create = ["profile", "create", "--no-passphrase", "--name"];
    machine.raw("anna", &[&create[..], &["Anna", "--relay", &relay.url()]].concat());
    machine.raw("bela", &[&create[..], &["Bela"]].concat());
    let invitation = machine.raw("anna", &["invite"]);
    assert_json_snapshot!("accept", machine.json("bela", &["accept", invitation[0]["link"].as_str().unwrap()]));
    assert_json_snapshot!("chats_waiting", machine.json("bela", &["chats"]));
}

#[cfg(feature = "forensics")]
#[test]
fn an_audit_finds_a_planted_leak_and_does_not_repeat_it() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    let planted = machine.dir.path().join("anna").join("draft");
    let answer = machine.output(&["--json", "--profile", "anna", "audit", "--plant", planted.to_str().unwrap()]);
    assert_eq!(answer.status.code(), Some(1));
    assert!(String::from_utf8(answer.stderr).unwrap().contains("audit_leak"));
    let told = String::from_utf8(answer.stdout).unwrap();
    let audit: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(audit["verdict"], "leak");
    assert!(audit["canary"]["finds"][0]["file"].as_str().unwrap().ends_with("anna/draft"));
    let words = std::fs::read_to_string(planted).unwrap();
    assert!(words.split(' ').all(|word| word.len() == 16 && !told.contains(word)));
}

#[cfg(feature = "forensics")]
#[test]
fn a_build_for_attacks_says_so_and_hands_out_the_raw_key() {
    let machine = Machine::new();
    machine.raw("anna", &["profile", "create", "--name", "Anna", "--no-passphrase"]);
    let keys = machine.raw("anna", &["vault", "key"]);
    assert_eq!((keys[0]["key"].as_str().unwrap().len(), keys[0]["salt"].as_str().unwrap().len()), (64, 32));
    assert_json_snapshot!("vault_key", redacted(keys));
    let said = machine.output(&["--profile", "anna", "status"]).stderr;
    assert!(String::from_utf8(said).unwrap().starts_with("mayfly-cli: this is a build for attacking the files"));
}

#[cfg(not(feature = "forensics"))]
#[test]
fn what_is_shipped_hands_out_no_key() {
    let machine = Machine::new();
    assert_eq!(machine.output(&["vault", "key"]).status.code(), Some(2));
    assert!(machine.output(&["--help"]).stderr.is_empty());
}
