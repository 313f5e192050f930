//! Generates the application's context: its commands, each of which the one window is granted by name.

use std::{fs, path::Path};

const COMMANDS: &[&str] = &["greet", "call", "watch"];

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
