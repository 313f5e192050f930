//! The commands as the window calls them, over tauri's mock runtime and a real engine.

use std::sync::Arc;

use mayfly_core::{MovableClock, UnixMs};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom as _, SystemRandom},
};
use serde_json::{Value, json};
use tauri::{
    App, Manager as _, WebviewWindow, WebviewWindowBuilder,
    ipc::{CallbackFn, InvokeBody, InvokeResponseBody},
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
    page: Page,
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
        let page = Page::greet(&window);
        Self { folders, app, clock, window, page }
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

    #[allow(clippy::needless_pass_by_value)] // It reads better where it is called.
    fn call(&self, command: &str, arguments: Value) -> Result<Value, Value> {
        let plain = json!({ "command": command, "args": arguments }).to_string();
        let sealed = self.page.seal(plain.as_bytes());
        let answer = invoke(&self.window, "call", sealed).unwrap();
        let answer: Value = serde_json::from_slice(&self.page.open(&answer)).unwrap();
        answer.get("ok").cloned().ok_or_else(|| answer["error"].clone())
    }
}

impl Drop for Story {
    /// SQLCipher clears its heap as the process ends: whoever still writes then, would write into nothing.
    fn drop(&mut self) {
        tauri::async_runtime::block_on(self.state().close());
    }
}

/// Calls a command as the webview does.
fn invoke(window: &WebviewWindow<MockRuntime>, command: &str, body: Vec<u8>) -> Result<Vec<u8>, Value> {
    let request = InvokeRequest {
        cmd: command.to_owned(),
        callback: CallbackFn(0),
        error: CallbackFn(1),
        url: "tauri://localhost".parse().unwrap(),
        body: InvokeBody::Raw(body),
        headers: tauri::http::HeaderMap::default(),
        invoke_key: INVOKE_KEY.to_owned(),
    };
    get_ipc_response(window, request).map(|body| match body {
        InvokeResponseBody::Raw(bytes) => bytes,
        InvokeResponseBody::Json(_) => panic!("an answer that is not sealed"),
    })
}

/// The page's end of the bridge.
struct Page {
    to_program: LessSafeKey,
    to_page: LessSafeKey,
}

impl Page {
    fn greet(window: &WebviewWindow<MockRuntime>) -> Self {
        let own = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
        let public = own.compute_public_key().unwrap().as_ref().to_vec();
        let program = invoke(window, "greet", public.clone()).unwrap();
        agree_ephemeral(own, &UnparsedPublicKey::new(&ECDH_P256, &program), |secret| {
            let root = Salt::new(HKDF_SHA256, &[]).extract(secret);
            let key = |label: &str| {
                let info = [label.as_bytes(), &public, &program];
                LessSafeKey::new(UnboundKey::from(root.expand(&info, &AES_256_GCM).unwrap()))
            };
            Self { to_program: key("mayfly/v1/bridge to program"), to_page: key("mayfly/v1/bridge to page") }
        })
        .unwrap()
    }

    fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        SystemRandom::new().fill(&mut nonce).unwrap();
        let mut body = plain.to_vec();
        self.to_program.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut body).unwrap();
        [&nonce[..], &body].concat()
    }

    fn open(&self, sealed: &[u8]) -> Vec<u8> {
        let (nonce, body) = sealed.split_first_chunk().unwrap();
        let mut body = body.to_vec();
        self.to_page.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::empty(), &mut body).unwrap().to_vec()
    }
}

#[test]
fn what_is_not_sealed_by_the_page_that_is_there_is_refused() {
    let story = Story::begin();
    let code = |result: Result<Vec<u8>, Value>| result.unwrap_err()["code"].clone();
    let plain = json!({ "command": "profile_state", "args": {} }).to_string();
    let mut sealed = story.page.seal(plain.as_bytes());
    assert!(invoke(&story.window, "call", sealed.clone()).is_ok());
    sealed[20] ^= 1;
    for bad in [sealed, plain.into_bytes(), vec![0; 28], Vec::new()] {
        assert_eq!(code(invoke(&story.window, "call", bad)), "bridge_broken");
    }
    assert_eq!(code(invoke(&story.window, "greet", vec![4; 65])), "bridge_broken");
    let unknown = story.page.seal(b"{\"command\":\"no_such\",\"args\":{}}");
    assert_eq!(code(invoke(&story.window, "call", unknown)), "bridge_broken");
    let before = story.page.seal(b"{\"command\":\"profile_state\",\"args\":{}}");
    let _another = Page::greet(&story.window);
    assert_eq!(code(invoke(&story.window, "call", before)), "bridge_broken", "a page that is gone is cut off");
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
fn a_page_that_is_replaced_is_told_once_what_was_open() {
    let story = Story::begin();
    assert_eq!(story.call("resume", json!({})).unwrap(), Value::Null);
    story.call("rest", json!({ "chat": "0a".repeat(16) })).unwrap();
    assert_eq!(story.call("resume", json!({})).unwrap(), json!("0a".repeat(16)));
    assert_eq!(story.call("resume", json!({})).unwrap(), Value::Null);
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
