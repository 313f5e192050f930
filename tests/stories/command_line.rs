//! The story told at the command line: separate processes for two people and for the relay, on the real clock.

use std::{thread::sleep, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use mayfly_core::Link;
use mayfly_tests::{
    cli::{LIMIT, Listener, RelayProgram, Shell, field, meet, moment, now},
    process::Program,
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::Value;

/// Anna and Bela, who have met, and the relay between them.
struct Pair {
    relay: RelayProgram,
    anna: Shell,
    bela: Shell,
}

fn pair() -> Pair {
    let relay = RelayProgram::start().unwrap();
    let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
    let bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    meet(&anna, &bela).unwrap();
    Pair { relay, anna, bela }
}

/// The words of all living messages in a person's chat.
fn texts(person: &Shell, chat: &str) -> Vec<String> {
    let messages = person.done(&["messages", chat]).unwrap();
    messages.iter().map(|message| field(message, "text").to_owned()).collect()
}

fn only(objects: Vec<Value>) -> Value {
    let [object] = <[Value; 1]>::try_from(objects).unwrap();
    object
}

fn sleep_until(at: DateTime<Utc>) {
    sleep((at - now()).to_std().unwrap_or_default());
}

/// Waits for the wipe of a message to be told, and gives the moment at which it was.
fn wiped(listener: &Listener, id: &str) -> DateTime<Utc> {
    let is_it = |event: &Value| event["ids"].as_array().is_some_and(|ids| ids.iter().any(|one| one == id));
    listener.event(LIMIT, is_it).unwrap();
    now()
}

#[test]
fn two_people_meet_and_each_learns_the_others_name() {
    let relay = RelayProgram::start().unwrap();
    let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
    let bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    let invitation = only(anna.done(&["invite"]).unwrap());
    assert!(field(&invitation, "link").starts_with("mayfly:"));
    assert_eq!(invitation["is_local_only"], true);
    let link = field(&invitation, "link");
    let accepted = only(bela.done(&["accept", link]).unwrap());
    assert_eq!(field(&accepted, "state"), "sent");
    let waiting = only(bela.done(&["chats"]).unwrap());
    assert_eq!((field(&waiting, "id"), field(&waiting, "state")), (field(&accepted, "id"), "waiting"));
    assert_eq!(bela.refused(&["accept", link]).unwrap(), "invitation_used");
    assert_eq!(anna.refused(&["accept", link]).unwrap(), "invitation_own");

    // One after the other, never online together.
    let is_known = |name: &'static str| move |chat: &Value| field(chat, "name") == name && chat["state"] == "active";
    let joins = anna.listen().unwrap();
    joins.chat(is_known("Bela")).unwrap();
    joins.event(LIMIT, |event| event["status"]["connection"] == "connected").unwrap();
    sleep(Duration::from_millis(500));
    joins.stop().unwrap();
    anna.done(&["status"]).unwrap();
    let hears = bela.listen().unwrap();
    hears.chat(is_known("Anna")).unwrap();
    assert!(hears.stop().unwrap().status.success());
    assert_eq!(field(&only(anna.done(&["chats"]).unwrap()), "name"), "Bela");
    assert_eq!(field(&only(bela.done(&["chats"]).unwrap()), "name"), "Anna");
}

#[test]
fn ten_seconds_after_sending_it_dies_on_both_sides_within_a_second() {
    let Pair { relay: _relay, anna, bela } = pair();
    let (at_anna, at_bela) = (anna.listen().unwrap(), bela.listen().unwrap());
    at_anna.event(LIMIT, |event| event["status"]["connection"] == "connected").unwrap();
    at_anna.stop().unwrap();
    let send = ["send", "Bela", "gone in ten seconds", "--timer", "10s", "--mode", "after-send"];
    assert_eq!(field(&only(anna.done(&send).unwrap()), "state"), "sent");
    let ours = only(anna.done(&["messages", "Bela"]).unwrap());
    let at_anna = anna.listen().unwrap();
    let theirs = at_bela.received("gone in ten seconds").unwrap();
    let deadline = moment(&theirs, "expires_at").unwrap();
    assert_eq!(deadline, moment(&ours, "expires_at").unwrap(), "one instant for everybody");
    assert!(deadline - moment(&ours, "sent_at").unwrap() >= TimeDelta::seconds(10));
    for (listener, message) in [(&at_bela, &theirs), (&at_anna, &ours)] {
        let late = wiped(listener, field(message, "id")) - deadline;
        assert!(late >= TimeDelta::zero(), "it was wiped {late} early");
        assert!(late <= TimeDelta::seconds(1), "it was wiped {late} late");
    }
    at_anna.stop().unwrap();
    at_bela.stop().unwrap();
    assert!(texts(&anna, "Bela").is_empty() && texts(&bela, "Anna").is_empty());
}

#[test]
fn a_message_is_listed_until_its_second_and_not_in_it_though_nobody_listens() {
    let Pair { relay: _relay, anna, bela } = pair();
    anna.done(&["send", "Bela", "short", "--timer", "10s", "--mode", "after-send"]).unwrap();
    let listener = bela.listen().unwrap();
    let deadline = moment(&listener.received("short").unwrap(), "expires_at").unwrap();
    listener.stop().unwrap();
    sleep_until(deadline - TimeDelta::milliseconds(1_500));
    let alive = (texts(&anna, "Bela"), texts(&bela, "Anna"));
    assert!(now() < deadline, "this machine was too slow to tell");
    assert_eq!(alive, (vec!["short".to_owned()], vec!["short".to_owned()]));
    sleep_until(deadline);
    assert!(texts(&anna, "Bela").is_empty() && texts(&bela, "Anna").is_empty());
}

#[test]
fn after_read_nothing_runs_before_reading_and_then_it_dies_on_both_sides() {
    let Pair { relay: _relay, anna, bela } = pair();
    anna.done(&["send", "Bela", "read me", "--timer", "2s", "--mode", "after-read"]).unwrap();
    let listener = bela.listen().unwrap();
    let id = field(&listener.received("read me").unwrap(), "id").to_owned();
    sleep(Duration::from_millis(3_500));
    listener.stop().unwrap();
    let unread = only(bela.done(&["messages", "Anna"]).unwrap());
    assert_eq!((field(&unread, "state"), &unread["expires_at"]), ("unread", &Value::Null));
    assert_eq!(texts(&anna, "Bela"), ["read me"], "and the sender still has it");

    let before = now();
    assert_eq!(only(bela.done(&["read", "Anna"]).unwrap()), serde_json::json!({ "read": 1 }));
    assert_eq!(only(bela.done(&["read", "Anna"]).unwrap()), serde_json::json!({ "read": 0 }));
    let deadline = moment(&only(bela.done(&["messages", "Anna"]).unwrap()), "expires_at").unwrap();
    assert!(deadline >= before + TimeDelta::seconds(2) && deadline <= now() + TimeDelta::seconds(3));
    let (at_anna, at_bela) = (anna.listen().unwrap(), bela.listen().unwrap());
    let late = wiped(&at_bela, &id) - deadline;
    assert!(late >= TimeDelta::zero() && late <= TimeDelta::seconds(1), "{late}");
    let is_read = |event: &Value| event["event"] == "message_changed" && event["message"]["state"] == "read";
    let read = at_anna.event(LIMIT, is_read).unwrap();
    let late = wiped(&at_anna, field(&read, "message.id")) - moment(&read["message"], "expires_at").unwrap();
    assert!(late >= TimeDelta::zero() && late <= TimeDelta::seconds(1), "{late}");
    at_anna.stop().unwrap();
    at_bela.stop().unwrap();
    assert!(texts(&anna, "Bela").is_empty() && texts(&bela, "Anna").is_empty());
}

#[test]
fn a_longer_timer_waits_for_its_answer_and_a_shorter_one_does_not() {
    let Pair { relay: _relay, anna, bela } = pair();
    let timer = |person: &Shell| only(person.done(&["chats"]).unwrap())["timer"].clone();
    let proposal = |person: &Shell| only(person.done(&["chats"]).unwrap())["proposal"].clone();
    let timer_of = |mode: &str, ttl_s: Option<u32>| serde_json::json!({ "mode": mode, "ttl_s": ttl_s });
    let hear = |person: &Shell, wanted: &dyn Fn(&Value) -> bool| {
        let listener = person.listen().unwrap();
        listener.chat(wanted).unwrap();
        listener.stop().unwrap();
    };
    let hour = timer_of("after_read", Some(3_600));
    assert_eq!(field(&only(anna.done(&["timer", "Bela", "1h"]).unwrap()), "state"), "sent");
    hear(&bela, &|chat| chat["timer"] == hour);

    let off = timer_of("after_read", None);
    bela.done(&["timer", "Anna", "off"]).unwrap();
    assert_eq!((timer(&bela), proposal(&bela)["is_ours"].clone()), (hour.clone(), true.into()));
    assert_eq!(bela.refused(&["timer", "Anna", "accept"]).unwrap(), "proposal_missing");
    hear(&anna, &|chat| chat["proposal"]["timer"] == off);
    anna.done(&["timer", "Bela", "decline"]).unwrap();
    hear(&bela, &|chat| chat["proposal"].is_null());
    assert_eq!((timer(&anna), timer(&bela)), (hour.clone(), hour.clone()));

    bela.done(&["timer", "Anna", "off"]).unwrap();
    hear(&anna, &|chat| chat["proposal"]["timer"] == off);
    anna.done(&["timer", "Bela", "accept"]).unwrap();
    hear(&bela, &|chat| chat["timer"] == off);
    assert_eq!((timer(&anna), timer(&bela), proposal(&anna)), (off.clone(), off, Value::Null));
    let week = timer_of("after_send", Some(604_800));
    anna.done(&["timer", "Bela", "1w", "--mode", "after-send"]).unwrap();
    hear(&bela, &|chat| chat["timer"] == week);
    let notices = bela.done(&["messages", "Anna"]).unwrap();
    assert!(notices.iter().any(|notice| field(notice, "kind") == "timer_declined"));
}

#[test]
fn what_was_sent_to_somebody_offline_arrives_later_whatever_the_sender_does_meanwhile() {
    let Pair { relay: _relay, anna, bela } = pair();
    let wanted: Vec<String> = (0..5).map(|n| format!("letter {n}")).collect();
    for text in &wanted {
        assert_eq!(field(&only(anna.done(&["send", "Bela", text]).unwrap()), "state"), "sent");
    }
    // Each start fetches what the relay has of the chat, one's own letters included: they must stay there.
    for _ in 0..2 {
        anna.done(&["listen", "--for", "1s"]).unwrap();
    }
    let listener = bela.listen().unwrap();
    for text in &wanted {
        listener.received(text).unwrap();
    }
    assert_eq!(listener.stop().unwrap().stderr, Vec::<String>::new());
    assert_eq!(texts(&bela, "Anna"), wanted);
}

#[test]
fn without_the_relay_it_waits_and_goes_out_when_the_relay_is_back() {
    let Pair { mut relay, anna, bela } = pair();
    relay.kill().unwrap();
    let sent = only(anna.done(&["send", "Bela", "patience"]).unwrap());
    assert_eq!(field(&sent, "state"), "queued");
    assert_eq!(field(&only(anna.done(&["messages", "Bela"]).unwrap()), "state"), "waiting");
    assert_eq!(only(anna.done(&["status"]).unwrap())["waiting"], 1);
    relay.resume().unwrap();
    let (at_anna, at_bela) = (anna.listen().unwrap(), bela.listen().unwrap());
    at_bela.received("patience").unwrap();
    let is_there = |event: &Value| event["message"]["state"] == "delivered" && event["message"]["id"] == sent["id"];
    at_anna.event(LIMIT, is_there).unwrap();
    at_anna.stop().unwrap();
    at_bela.stop().unwrap();
    assert_eq!(texts(&bela, "Anna"), ["patience"]);
    assert_eq!(only(anna.done(&["status"]).unwrap())["waiting"], 0);
}

#[test]
fn a_listener_outlives_its_relay() {
    let Pair { mut relay, anna, bela } = pair();
    let at_bela = bela.listen().unwrap();
    at_bela.event(LIMIT, |event| event["status"]["connection"] == "connected").unwrap();
    relay.kill().unwrap();
    at_bela.event(LIMIT, |event| event["status"]["connection"] == "offline").unwrap();
    relay.resume().unwrap();
    assert_eq!(field(&only(anna.done(&["send", "Bela", "still there"]).unwrap()), "state"), "sent");
    at_bela.received("still there").unwrap();
    assert!(at_bela.stop().unwrap().status.success());
}

#[test]
fn refusals_are_one_object_with_a_stable_code() {
    let Pair { relay, anna, bela } = pair();
    let nobody = Shell::new().unwrap();
    for verb in [&["chats"][..], &["status"], &["invite"], &["listen"], &["send", "Anna", "secret words"]] {
        assert_eq!(nobody.refused(verb).unwrap(), "profile_missing");
    }
    assert_eq!(nobody.refused(&["profile", "create", "--name", "N"]).unwrap(), "passphrase_required");
    assert_eq!(nobody.refused(&["profile", "create", "--name", " ", "--no-passphrase"]).unwrap(), "name_invalid");
    let create = ["profile", "create", "--name", "Anna", "--no-passphrase"];
    assert_eq!(anna.refused(&create).unwrap(), "profile_exists");
    let wrong_relay = [&create[..], &["--relay", "http://relay.example.org"]].concat();
    assert_eq!(nobody.refused(&wrong_relay).unwrap(), "relay_invalid");
    assert!(nobody.refused(&["chats"]).unwrap() == "profile_missing", "a refused profile leaves nothing behind");
    assert_eq!(Shell::with_profile("Anna", &[]).unwrap().refused(&["invite"]).unwrap(), "relay_required");

    for verb in [&["messages", "Nobody"][..], &["send", "Nobody", "secret words"], &["read", "Nobody"]] {
        assert_eq!(anna.refused(verb).unwrap(), "chat_missing");
    }
    for empty in ["", "  \n\t "] {
        assert_eq!(anna.refused(&["send", "Bela", empty]).unwrap(), "message_empty");
    }
    assert_eq!(anna.refused(&["send", "Bela", &"x".repeat(16_001)]).unwrap(), "message_too_long");
    assert_eq!(anna.refused(&["send", "Bela", "words", "--timer", "366d"]).unwrap(), "timer_invalid");
    assert_eq!(anna.refused(&["timer", "Bela", "0s"]).unwrap(), "timer_invalid");

    let other = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    meet(&anna, &other).unwrap();
    assert_eq!(anna.refused(&["send", "Bela", "to whom"]).unwrap(), "chat_ambiguous");
    let chats = anna.done(&["chats"]).unwrap();
    let prefix = &field(&chats[0], "id")[..8];
    assert_eq!(field(&only(anna.done(&["send", prefix, "to one"]).unwrap()), "state"), "sent");

    let listener = bela.listen().unwrap();
    listener.event(LIMIT, |_| true).unwrap();
    assert_eq!(bela.refused(&["send", "Anna", "secret words"]).unwrap(), "profile_in_use");
    listener.stop().unwrap();
    bela.done(&["chats"]).unwrap();
}

#[test]
fn a_passphrase_opens_its_profile_and_nothing_else_does() {
    let mut shell = Shell::new().unwrap();
    shell.passphrase = Some("correct horse".to_owned());
    let profile = only(shell.done(&["profile", "create", "--name", "Anna"]).unwrap());
    assert_eq!(profile["has_passphrase"], true);
    shell.done(&["chats"]).unwrap();
    shell.passphrase = Some("wrong horse".to_owned());
    assert_eq!(shell.refused(&["chats"]).unwrap(), "locked");
    shell.passphrase = Some(String::new());
    assert_eq!(shell.refused(&["chats"]).unwrap(), "passphrase_required");
    shell.passphrase = None;
    assert_eq!(shell.refused(&["chats"]).unwrap(), "passphrase_required");
    shell.passphrase = Some("correct horse".to_owned());
    shell.done(&["chats"]).unwrap();
}

#[test]
fn a_command_that_is_none_says_how_it_is_used() {
    let shell = Shell::new().unwrap();
    for words in [&["frobnicate"][..], &[], &["send", "Bela"], &["send", "Bela", "x", "--timer", "10y"]] {
        let ended = Program::run(shell.command(words).unwrap(), "", LIMIT).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.len()), (Some(2), 0));
        assert!(ended.stderr.iter().any(|line| line.contains("--help")), "{:?}", ended.stderr);
    }
}

#[test]
fn an_invitation_that_has_run_out_or_was_damaged_is_refused_and_leaves_no_chat() {
    let anna = Shell::with_profile("Anna", &["ws://127.0.0.1:9"]).unwrap();
    let bela = Shell::with_profile("Bela", &[]).unwrap();
    let text = field(&only(anna.done(&["invite"]).unwrap()), "link").to_owned();
    let mut link = Link::decode(&text).unwrap();
    link.not_after_s = u64::try_from(now().timestamp()).unwrap() - 60;
    assert_eq!(bela.refused(&["accept", &link.encode().unwrap()]).unwrap(), "invitation_expired");
    for damaged in ["", "mayfly:", "https://mayfly.example", &text[..text.len() - 1], &text[7..], &text.to_lowercase()]
    {
        assert_eq!(bela.refused(&["accept", damaged]).unwrap(), "invitation_invalid");
    }
    assert!(bela.done(&["chats"]).unwrap().is_empty());
    // The relay is not there, but the link is good: what has to be said to it waits.
    assert_eq!(field(&only(bela.done(&["accept", &text]).unwrap()), "state"), "queued");
}

/// A link with something wrong in it: a part replaced, left out, or put in.
fn garbled(text: String) -> impl Strategy<Value = String> {
    let letters = "[A-Za-z0-9_:%-]{1,40}";
    let parts = (0..text.len(), 0..60_usize, proptest::option::of(letters));
    let damaged = parts.prop_map({
        let text = text.clone();
        move |(from, length, instead)| {
            let until = (from + length).min(text.len());
            format!("{}{}{}", &text[..from], instead.unwrap_or_default(), &text[until..])
        }
    });
    let noise = "\\PC{0,200}".prop_map(|noise| format!("mayfly:{noise}"));
    prop_oneof![4 => damaged, 1 => noise].prop_filter("it has to differ", move |link| *link != text)
}

#[test]
fn two_hundred_garbled_links_are_each_refused_in_the_same_words() {
    let anna = Shell::with_profile("Anna", &["wss://relay.example.org"]).unwrap();
    let bela = Shell::with_profile("Bela", &[]).unwrap();
    let text = field(&only(anna.done(&["invite"]).unwrap()), "link").to_owned();
    let number = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let result = runner.run(&garbled(text), |link| {
        let code = Link::decode(&link).err().map(|error| error.code());
        prop_assert_eq!(code, Some("invitation_invalid"));
        number.set(number.get() + 1);
        // The program is the same code; a few are enough to see that it does not break on what a terminal can pass.
        if number.get() % 20 == 0 && !link.contains('\0') {
            let told = bela.refused(&["accept", &link]).map_err(|error| TestCaseError::fail(error.to_string()))?;
            prop_assert_eq!(told, "invitation_invalid");
        }
        Ok(())
    });
    result.unwrap();
    assert_eq!(number.get(), 200);
}
