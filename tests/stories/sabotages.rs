//! Leaves out one protection at a time and sees which story breaks: a sabotage that none notices fails the suite.

use std::{collections::BTreeSet, process::Command};

use mayfly_tests::sabotage::VARIABLE;

/// A protection that is left out, the story that must break then, and the words with which it does: a story that fails
/// for another reason has noticed nothing.
struct Left {
    out: &'static str,
    story: &'static str,
    says: &'static str,
}

const BACKUP: &str = "backups::a_backup_of_a_small_profile_opens_nothing_that_died_either";
const DEADLINE: &str = "deadline::after_send_it_lives_to_the_last_millisecond_and_then_is_gone_from_both_stores";
const SWAP: &str = "seals::whoever_swaps_two_messages_in_the_database_makes_neither_say_the_others_words";
const REPLACED: &str = "seals::what_was_replaced_opens_with_no_key_of_what_stands_in_its_place";
const HIDDEN: &str = "seals::what_no_screen_shows_any_more_does_not_open_in_the_files_either";
const RELAY: &str = "no_trace::a_relay_keeps_nothing_that_has_expired";

const RATCHET: &str = "wire::no_older_version_of_a_ratchet_opens_within_a_minute_of_its_replacement";

const SABOTAGES: [Left; 9] = [
    Left { out: "skip_w2", story: BACKUP, says: "the dead came back" },
    Left { out: "keep_old_slot", story: BACKUP, says: "the dead came back" },
    Left { out: "no_puncture_on_timer_start", story: BACKUP, says: "the dead came back" },
    Left { out: "no_puncture_on_replace", story: RATCHET, says: "an older version of something opens" },
    Left { out: "no_aad", story: SWAP, says: "a message says the words of another" },
    Left { out: "reuse_dek", story: REPLACED, says: "the replaced address came back" },
    Left { out: "hide_in_the_ui_only", story: HIDDEN, says: "it is hidden and not wiped" },
    Left { out: "relay_keeps_expired", story: RELAY, says: "the relay keeps what has expired" },
    Left { out: "round_deadline_down", story: DEADLINE, says: "never early" },
];

/// Runs one story in a process of its own: whether it passed, and what it said. That it ran at all is certain then.
fn tell(story: &str, sabotage: Option<&str>) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([story, "--exact", "--test-threads=1"]).env_remove(VARIABLE);
    if let Some(name) = sabotage {
        command.env(VARIABLE, name);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("running 1 test"), "there is no story called {story}");
    (output.status.success(), said)
}

#[test]
fn no_sabotage_survives() {
    for Left { out, story, says } in SABOTAGES {
        let (has_passed, said) = tell(story, Some(out));
        assert!(!has_passed, "without {out}, nothing is noticed by {story}");
        assert!(said.contains(says), "without {out}, {story} breaks for another reason: {said}");
    }
}

#[test]
fn the_stories_pass_without_a_sabotage() {
    let stories: BTreeSet<&str> = SABOTAGES.iter().map(|left| left.story).collect();
    for story in stories {
        let (has_passed, said) = tell(story, None);
        assert!(has_passed, "{story}: {said}");
    }
}
