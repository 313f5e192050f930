//! Generates the application's context: its commands, each of which the one window is granted by name.

use std::{fs, path::Path};

const COMMANDS: &[&str] = &[
    "profile_state",
    "create_profile",
    "unlock",
    "profile",
    "set_relays",
    "status",
    "watch",
    "active",
    "lock",
    "panic",
    "security",
    "set_passphrase",
    "change_passphrase",
    "remove_passphrase",
    "set_duress",
    "use_keyring",
    "use_tpm",
    "set_erase_after",
    "set_lock_after",
    "create_invitation",
    "accept_invitation",
    "chats",
    "set_timer",
    "answer_timer",
    "messages",
    "send_message",
    "mark_read",
    "wipe_message",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Checks and unit tests compile without a built UI; what is run or packed is built after `npm run build`.
    let ui = Path::new("../ui/dist");
    if !ui.join("index.html").exists() {
        println!("cargo:warning=ui/dist holds no built UI: run `npm ci && npm run build` in ui first.");
        let _ = fs::create_dir_all(ui);
    }
    println!("cargo:rerun-if-changed=../ui/dist");
    let manifest = tauri_build::AppManifest::new().commands(COMMANDS);
    Ok(tauri_build::try_build(tauri_build::Attributes::new().app_manifest(manifest))?)
}
