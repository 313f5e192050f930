//! Programs that die without a word: fifty of them in one conversation, and three of the relay's.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    thread::{self, sleep},
    time::Duration,
};

use mayfly_tests::{
    cli::{LIMIT, Listener, RelayProgram, Shell, field, meet, moment, now},
    process::Program,
};
use serde_json::Value;

/// The variable that repeats a conversation.
const SEED: &str = "MAYFLY_TEST_SEED";
const KILLS: u64 = 50;
/// After so many kills the relay is killed as well.
const RELAY_EVERY: u64 = 13;
/// How often both get a few seconds, at the end, for what is still on its way.
const ROUNDS: usize = 6;
/// The longest time until a `listen` or the relay is killed.
const LONGEST_MS: u64 = 400;

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn from_environment() -> Self {
        let given = env::var(SEED).ok().map(|seed| seed.parse().expect("the seed is a number"));
        let seed = given.unwrap_or_else(|| now().timestamp_millis().unsigned_abs());
        println!("{SEED}={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// One of the two, with all that this person's processes ever told.
struct Talker {
    shell: Shell,
    peer: &'static str,
    told: Vec<Value>,
    /// Texts that a `send` confirmed, and those whose `send` was killed before it did.
    confirmed: BTreeSet<String>,
    unconfirmed: BTreeSet<String>,
    /// How long the last `send` took that was left alone: this machine's measure for killing one on its way.
    send_took: Duration,
}

impl Talker {
    fn new(shell: Shell, peer: &'static str) -> Self {
        let (confirmed, unconfirmed) = (BTreeSet::new(), BTreeSet::new());
        Self { shell, peer, told: Vec::new(), confirmed, unconfirmed, send_took: Duration::from_millis(100) }
    }

    /// Sends a text and lets the program finish.
    fn say(&mut self, text: &str, timer: &str) {
        let begun = now();
        let answer = self.shell.done(&["send", self.peer, text, "--timer", timer, "--mode", "after-send"]).unwrap();
        assert!(["sent", "queued"].contains(&field(&answer[0], "state")));
        self.send_took = (now() - begun).to_std().unwrap_or_default();
        self.confirmed.insert(text.to_owned());
    }

    /// Sends a text with a program that is killed on its way, or just after it has finished.
    fn say_and_die(&mut self, text: &str, timer: &str, after: Duration) {
        let words = ["send", self.peer, text, "--timer", timer, "--mode", "after-send"];
        let program = Program::start(self.shell.command(&words).unwrap()).unwrap();
        sleep(after);
        // It may be over already; then it is as good as any.
        let _ = program.signal(rustix::process::Signal::KILL);
        let ended = program.end(LIMIT).unwrap();
        let has_said = ended.stdout.iter().any(|line| serde_json::from_str::<Value>(line).is_ok());
        (if has_said { &mut self.confirmed } else { &mut self.unconfirmed }).insert(text.to_owned());
    }

    /// What is alive for this person now; nothing may be that has died.
    fn living(&self) -> Vec<Value> {
        let asked = now();
        let all = self.shell.done(&["messages", self.peer]).unwrap();
        for message in &all {
            assert!(moment(message, "expires_at").unwrap() > asked, "a dead message was shown");
        }
        all
    }

    /// How many texts reached the other side though their `send` was killed before it said so.
    fn survivors(&self, other: &Self) -> usize {
        let all = other.living();
        all.iter().filter(|message| self.unconfirmed.contains(field(message, "text"))).count()
    }

    fn listen(&self) -> Listener {
        self.shell.listen().unwrap()
    }

    /// Nothing was told twice, and nothing of a message after its wipe.
    fn check_what_was_told(&self) {
        let mut received: BTreeMap<&str, usize> = BTreeMap::new();
        let mut wiped: BTreeSet<&str> = BTreeSet::new();
        for event in &self.told {
            let id = field(event, "message.id");
            assert!(!wiped.contains(id), "something was told of a message after its wipe");
            if field(event, "event") == "message_received" {
                *received.entry(id).or_default() += 1;
            }
            wiped.extend(event["ids"].as_array().into_iter().flatten().filter_map(Value::as_str));
        }
        assert!(received.values().all(|times| *times == 1), "a message was told twice");
        assert!(!received.is_empty() && !wiped.is_empty());
    }
}

/// The texts with a long life that `from` confirmed and `to` does not have.
fn lost(from: &Talker, to: &Talker) -> Vec<String> {
    let all = to.living();
    let has = |text: &str| all.iter().any(|message| field(message, "text") == text);
    from.confirmed.iter().filter(|text| text.starts_with("long") && !has(text)).cloned().collect()
}

/// All that `from` confirmed is with `to`, once, and nothing else but what was on its way when a program died.
fn check_what_arrived(from: &Talker, to: &Talker) {
    let all = to.living();
    let theirs = all.iter().filter(|message| field(message, "sender") == "them");
    let texts: Vec<&str> = theirs.map(|message| field(message, "text")).collect();
    let once: BTreeSet<&str> = texts.iter().copied().collect();
    assert_eq!(once.len(), texts.len(), "doubled");
    assert_eq!(lost(from, to), Vec::<String>::new(), "lost");
    assert!(!texts.iter().any(|text| text.starts_with("short")), "resurrected");
    let known = |text: &&str| from.confirmed.contains(*text) || from.unconfirmed.contains(*text);
    assert!(once.iter().all(known), "somebody put words into a mouth");
}

/// One kill: of the speaker's `send`, or of the hearer's `listen` while the speaker sends; at times the relay dies in the
/// middle of it as well.
fn exchange(kill: u64, dice: &mut Dice, speaker: &mut Talker, hearer: &mut Talker, relay: Option<&mut RelayProgram>) {
    let (long, short, timer) = (format!("long {kill}"), format!("short {kill}"), format!("{}s", 1 + dice.below(3)));
    let after = Duration::from_millis(dice.below(LONGEST_MS));
    let on_its_way = speaker.send_took * u32::try_from(dice.below(110)).unwrap() / 100;
    let relay_after = Duration::from_millis(dice.below(LONGEST_MS));
    let listener = hearer.listen();
    thread::scope(|threads| {
        if let Some(relay) = relay {
            threads.spawn(move || {
                sleep(relay_after);
                relay.kill().unwrap();
                relay.resume().unwrap();
            });
        }
        if kill.is_multiple_of(2) {
            speaker.say_and_die(&long, "1h", on_its_way);
            speaker.say(&short, &timer);
            hearer.told.extend(listener.stop().unwrap().objects);
        } else {
            let killer = threads.spawn(move || {
                sleep(after);
                listener.kill().unwrap()
            });
            speaker.say(&long, "1h");
            speaker.say(&short, &timer);
            hearer.told.extend(killer.join().unwrap());
        }
    });
}

#[test]
fn fifty_programs_killed_in_a_conversation_lose_double_and_resurrect_nothing() {
    talk_under_fire(KILLS);
}

#[test]
#[ignore = "long"]
fn five_hundred_programs_killed_in_a_conversation_lose_double_and_resurrect_nothing() {
    talk_under_fire(10 * KILLS);
}

fn talk_under_fire(kills: u64) {
    let mut dice = Dice::from_environment();
    let mut relay = RelayProgram::start().unwrap();
    let anna = Shell::with_profile("Anna", &[&relay.url()]).unwrap();
    let bela = Shell::with_profile("Bela", &[&relay.url()]).unwrap();
    meet(&anna, &bela).unwrap();
    let mut people = [Talker::new(anna, "Bela"), Talker::new(bela, "Anna")];
    for kill in 0..kills {
        people.reverse();
        let [speaker, hearer] = &mut people;
        let relays_turn = (kill % RELAY_EVERY == RELAY_EVERY - 1).then_some(&mut relay);
        exchange(kill, &mut dice, speaker, hearer, relays_turn);
        speaker.living();
        hearer.living();
    }
    settle(&mut people);
    let [one, other] = &people;
    for (from, to) in [(one, other), (other, one)] {
        check_what_arrived(from, to);
        to.check_what_was_told();
    }
    let confirmed: usize = people.iter().map(|talker| talker.confirmed.len()).sum();
    let unconfirmed: usize = people.iter().map(|talker| talker.unconfirmed.len()).sum();
    let survived = one.survivors(other) + other.survivors(one);
    println!("{confirmed} texts confirmed; of {unconfirmed} killed before they were, {survived} arrived all the same");
    assert!(unconfirmed > 0, "no kill hit a program on its way");
}

/// Lets both listen until everything that was confirmed has come in, and everything short has died.
fn settle(people: &mut [Talker; 2]) {
    for _ in 0..ROUNDS {
        let listeners = people.each_ref().map(Talker::listen);
        sleep(Duration::from_secs(4));
        for (talker, listener) in people.iter_mut().zip(listeners) {
            talker.told.extend(listener.stop().unwrap().objects);
        }
        let [one, other] = &*people;
        if lost(one, other).is_empty() && lost(other, one).is_empty() {
            return;
        }
    }
}
