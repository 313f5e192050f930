//! The commands as the window calls them, over tauri's mock runtime and a real engine.

use std::sync::Arc;

use mayfly_core::{MovableClock, UnixMs};
use serde_json::{Value, json};
use tauri::{
    App, Manager as _, WebviewWindow, WebviewWindowBuilder,
    ipc::{CallbackFn, InvokeBody},
    test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder, mock_context, noop_assets},
    webview::InvokeRequest,
};
use tempfile::TempDir;

use super::handler;
use crate::{paths::Paths, state::AppState};

/// An app with folders of its own and a relay that nobody runs: these stories need none.
struct Story {
    folders: TempDir,
    app: App<MockRuntime>,
    clock: MovableClock,
    window: WebviewWindow<MockRuntime>,
}

impl Story {
    fn begin() -> Self {
        let folders = tempfile::tempdir().unwrap();
        let profile =
            mayfly_core::ProfilePlace { dir: folders.path().join("profile"), share_dir: folders.path().join("share") };
        let paths = Paths { profile, relay: folders.path().join("relay"), webview: folders.path().join("webview") };
        let clock = MovableClock::new(UnixMs::T0.plus_ms(86_400_000));
        let app = mock_builder()
            .invoke_handler(handler())
            .manage(AppState::new(paths, Some("ws://127.0.0.1:9".to_owned()), Arc::new(clock.clone())))
            .build(mock_context(noop_assets()))
            .unwrap();
        let window = WebviewWindowBuilder::new(&app, "main", tauri::WebviewUrl::default()).build().unwrap();
        Self { folders, app, clock, window }
    }

    fn state(&self) -> tauri::State<'_, AppState> {
        self.app.state()
    }

    /// A profile with the passphrase "five words".
    fn begin_with_passphrase() -> Self {
        let story = Self::begin();
        story.call("create_profile", json!({ "name": "Ada", "passphrase": "five words" })).unwrap();
        story
    }

    fn unlock(&self, passphrase: &str) -> Result<Value, Value> {
        self.call("unlock", json!({ "passphrase": passphrase }))
    }

    fn call(&self, command: &str, arguments: Value) -> Result<Value, Value> {
        let request = InvokeRequest {
            cmd: command.to_owned(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: "tauri://localhost".parse().unwrap(),
            body: InvokeBody::Json(arguments),
            headers: tauri::http::HeaderMap::default(),
            invoke_key: INVOKE_KEY.to_owned(),
        };
        get_ipc_response(&self.window, request).map(|body| body.deserialize().unwrap())
    }
}

#[test]
fn a_command_before_a_profile_is_open_answers_with_a_code() {
    let story = Story::begin();
    assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "none" }));
    let refusal = story.call("chats", json!({})).unwrap_err();
    assert_eq!(refusal, json!({ "code": "not_open", "message": "The profile is not open." }));
}

#[test]
fn a_profile_is_created_with_the_relays_that_are_named_and_can_invite() {
    let story = Story::begin();
    let refusal = story.call("create_profile", json!({ "name": "", "passphrase": null })).unwrap_err();
    assert_eq!(refusal["code"], "name_invalid");
    let profile = story.call("create_profile", json!({ "name": "Ada", "passphrase": null })).unwrap();
    assert_eq!((&profile["name"], &profile["relays"]), (&json!("Ada"), &json!(["ws://127.0.0.1:9"])));
    assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "open" }));
    assert_eq!(story.call("chats", json!({})).unwrap(), json!([]));
    let invitation = story.call("create_invitation", json!({})).unwrap();
    assert!(invitation["link"].as_str().unwrap().starts_with("mayfly:"));
    assert_eq!(invitation["is_local_only"], true);
    let own = story.call("accept_invitation", json!({ "link": invitation["link"] })).unwrap_err();
    assert_eq!(own["code"], "invitation_own");
    let nowhere = json!({ "chat": "no id", "text": "Words", "timer": null });
    assert_eq!(story.call("send_message", nowhere).unwrap_err()["code"], "chat_missing");
}

#[test]
fn nothing_is_read_in_a_window_that_is_not_in_front() {
    let story = Story::begin();
    story.call("create_profile", json!({ "name": "Ada", "passphrase": null })).unwrap();
    // The mock runtime's window never has the focus.
    let refusal = story.call("mark_read", json!({ "chat": "0".repeat(32), "ids": [] })).unwrap_err();
    assert_eq!(refusal["code"], "not_focused");
}

#[test]
fn a_locked_profile_answers_nothing_until_its_passphrase_comes() {
    let story = Story::begin();
    story.call("create_profile", json!({ "name": "Ada", "passphrase": null })).unwrap();
    assert_eq!(story.call("lock", json!({})).unwrap_err()["code"], "passphrase_unset");
    assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "open" }));
    let security = story.call("set_passphrase", json!({ "passphrase": "five words" })).unwrap();
    assert_eq!((&security["has_passphrase"], &security["lock_after_s"]), (&json!(true), &json!(900)));

    story.call("lock", json!({})).unwrap();
    assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "locked" }));
    for command in ["chats", "profile", "security", "status"] {
        assert_eq!(story.call(command, json!({})).unwrap_err()["code"], "not_open", "{command}");
    }
    story.call("lock", json!({})).unwrap();
    assert_eq!(story.unlock("four words").unwrap_err()["code"], "passphrase_wrong");
    assert_eq!(story.call("unlock", json!({ "passphrase": null })).unwrap_err()["code"], "passphrase_required");
    assert_eq!(story.unlock("five words").unwrap()["name"], "Ada");
    assert_eq!(story.call("chats", json!({})).unwrap(), json!([]));
}

#[test]
fn a_profile_that_nobody_is_at_locks_when_its_time_is_over_and_not_before() {
    let story = Story::begin_with_passphrase();
    assert_eq!(story.call("set_lock_after", json!({ "seconds": 9 })).unwrap_err()["code"], "lock_after_invalid");
    story.call("set_lock_after", json!({ "seconds": 60 })).unwrap();
    let left = || tauri::async_runtime::block_on(story.state().locks_in_ms());
    story.clock.advance(59_000);
    assert_eq!(left(), Some(1_000));
    story.call("active", json!({})).unwrap();
    assert_eq!(left(), Some(60_000));
    story.clock.advance(60_000);
    assert_eq!(left(), Some(0));
    assert_eq!(story.call("set_lock_after", json!({ "seconds": null })).unwrap()["lock_after_s"], Value::Null);
    assert_eq!(left(), None);
    story.call("set_lock_after", json!({ "seconds": 60 })).unwrap();
    story.call("remove_passphrase", json!({ "old": "five words" })).unwrap();
    assert_eq!(left(), None, "what cannot be unlocked does not lock");
}

#[test]
fn wrong_passphrases_cost_a_wait_that_the_window_can_count_down() {
    let story = Story::begin_with_passphrase();
    story.call("lock", json!({})).unwrap();
    for _ in 0..3 {
        assert_eq!(story.unlock("four words").unwrap_err()["code"], "passphrase_wrong");
    }
    let refusal = story.unlock("five words").unwrap_err();
    assert_eq!((&refusal["code"], &refusal["wait_s"]), (&json!("too_many_attempts"), &json!(5)));
    story.clock.advance(5_000);
    story.unlock("five words").unwrap();
}

#[test]
fn one_wrong_passphrase_too_many_destroys_the_profile_and_a_new_one_can_begin() {
    let story = Story::begin_with_passphrase();
    story.call("set_erase_after", json!({ "failures": 2 })).unwrap();
    story.call("lock", json!({})).unwrap();
    assert_eq!(story.unlock("four words").unwrap_err()["code"], "passphrase_wrong");
    assert_eq!(story.unlock("four words").unwrap_err()["code"], "profile_destroyed");
    assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "none" }));
    story.call("create_profile", json!({ "name": "Eve", "passphrase": null })).unwrap();
}

#[test]
fn the_passphrase_for_duress_opens_an_empty_profile_wherever_it_is_typed() {
    for place in ["unlock", "change_passphrase", "remove_passphrase"] {
        let story = Story::begin_with_passphrase();
        let duress = json!({ "passphrase": "five words", "duress": "help" });
        story.call("set_duress", duress).unwrap();
        if place == "unlock" {
            story.call("lock", json!({})).unwrap();
        }
        story.call(place, json!({ "passphrase": "help", "old": "help" })).unwrap();
        assert_eq!(story.call("profile", json!({})).unwrap()["name"], "Me", "{place}");
        story.call("lock", json!({})).unwrap();
        story.unlock("help").unwrap();
    }
}

#[test]
fn a_panic_leaves_no_file_of_the_profile_open_or_locked() {
    for is_locked in [false, true] {
        let story = Story::begin_with_passphrase();
        if is_locked {
            story.call("lock", json!({})).unwrap();
        }
        let database = story.folders.path().join("profile").join("vault.db");
        assert!(database.exists());
        story.call("panic", json!({})).unwrap();
        assert!(!database.exists() && !story.folders.path().join("share").join("share").exists());
        assert_eq!(story.call("profile_state", json!({})).unwrap(), json!({ "state": "none" }));
        story.call("create_profile", json!({ "name": "Eve", "passphrase": null })).unwrap();
    }
}
