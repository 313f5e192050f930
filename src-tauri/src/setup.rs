//! Puts the pieces together, runs the event loop, and closes the profile at the end.

use std::process::ExitCode;

use tauri::{App, AppHandle, Manager as _, RunEvent, Runtime};

use crate::{commands, paths::Paths, state::AppState, window};

/// Runs the app until its window is closed.
pub fn run() -> ExitCode {
    let app = tauri::Builder::default()
        .invoke_handler(commands::handler())
        .setup(|app| set_up(app))
        .build(tauri::generate_context!());
    match app {
        Ok(app) => {
            app.run(on_event);
            ExitCode::SUCCESS
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

/// Why there is no window to say it in.
#[expect(clippy::print_stderr, reason = "there is no window yet, and no log")]
fn report(error: &tauri::Error) {
    eprintln!("Mayfly cannot open its window: {error}");
}

fn set_up<R: Runtime>(app: &mut App<R>) -> Result<(), Box<dyn std::error::Error>> {
    let paths = Paths::from_environment()?;
    let webview = paths.webview.clone();
    app.manage(AppState::new(paths, std::env::var("MAYFLY_RELAY").ok()));
    window::open(app.handle(), &webview)?;
    end_on_signals(app.handle());
    Ok(())
}

/// Closes the profile before the process ends.
fn on_event<R: Runtime>(app: &AppHandle<R>, event: RunEvent) {
    // A code is there once the profile has been closed: that end is the last one.
    if let RunEvent::ExitRequested { code: None, api, .. } = event {
        api.prevent_exit();
        end(app.clone());
    }
}

fn end<R: Runtime>(app: AppHandle<R>) {
    tauri::async_runtime::spawn(async move {
        app.state::<AppState>().close().await;
        app.exit(0);
    });
}

/// A session that ends, or a person at a terminal, closes the profile as the window's button does.
#[cfg(unix)]
fn end_on_signals<R: Runtime>(app: &AppHandle<R>) {
    use tokio::signal::unix::{SignalKind, signal};
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            return;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        end(app);
    });
}

#[cfg(not(unix))]
fn end_on_signals<R: Runtime>(_app: &AppHandle<R>) {}
