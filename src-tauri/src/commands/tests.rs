//! The commands as the window calls them, over tauri's mock runtime and a real engine.

use serde_json::{Value, json};
use tauri::{
    App, WebviewWindow, WebviewWindowBuilder,
    ipc::{CallbackFn, InvokeBody},
    test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder, mock_context, noop_assets},
    webview::InvokeRequest,
};
use tempfile::TempDir;

use super::handler;
use crate::{paths::Paths, state::AppState};

/// An app with folders of its own and a relay that nobody runs: these stories need none.
struct Story {
    _folders: TempDir,
    _app: App<MockRuntime>,
    window: WebviewWindow<MockRuntime>,
}

impl Story {
    fn begin() -> Self {
        let folders = tempfile::tempdir().unwrap();
        let profile =
            mayfly_core::ProfilePlace { dir: folders.path().join("profile"), share_dir: folders.path().join("share") };
        let paths = Paths { profile, relay: folders.path().join("relay"), webview: folders.path().join("webview") };
        let app = mock_builder()
            .invoke_handler(handler())
            .manage(AppState::new(paths, Some("ws://127.0.0.1:9".to_owned())))
            .build(mock_context(noop_assets()))
            .unwrap();
        let window = WebviewWindowBuilder::new(&app, "main", tauri::WebviewUrl::default()).build().unwrap();
        Self { _folders: folders, _app: app, window }
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
