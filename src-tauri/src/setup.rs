//! Puts the pieces together, runs the event loop, and closes the profile at the end.

use std::{process::ExitCode, sync::Arc, time::Duration};

use mayfly_core::SystemClock;
use tauri::{App, AppHandle, Manager as _, RunEvent, Runtime};

use crate::{commands, paths::Paths, state::AppState, window};

/// How often to look whether somebody is still at it, at the least: a sleeping machine's time does not wake a timer.
const IDLE_LOOK_MS: u64 = 5_000;
/// And at the most.
const IDLE_LEAST_MS: u64 = 100;

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
    app.manage(AppState::new(paths, std::env::var("MAYFLY_RELAY").ok(), Arc::new(SystemClock)));
    window::open(app.handle(), &webview)?;
    end_on_signals(app.handle());
    lock_when_idle(app.handle());
    lock_with_session(app.handle());
    Ok(())
}

/// Locks once nobody has been at it for as long as the person has set.
fn lock_when_idle<R: Runtime>(app: &AppHandle<R>) {
    let app = app.clone();
    tauri::async_runtime::spawn(async move {
        loop {
            let left_ms = app.state::<AppState>().locks_in_ms().await;
            if left_ms == Some(0) {
                lock(&app).await;
            }
            let wait_ms = left_ms.map_or(IDLE_LOOK_MS, |left_ms| left_ms.clamp(IDLE_LEAST_MS, IDLE_LOOK_MS));
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    });
}

/// Locks before the machine sleeps, and when the login is locked.
#[cfg(target_os = "linux")]
fn lock_with_session<R: Runtime>(app: &AppHandle<R>) {
    let is_heard = Arc::clone(&app.state::<AppState>().is_login_heard);
    let app = app.clone();
    crate::logind::watch(is_heard, move || tauri::async_runtime::block_on(lock(&app)));
}

#[cfg(not(target_os = "linux"))]
fn lock_with_session<R: Runtime>(_app: &AppHandle<R>) {}

/// A profile without a passphrase stays open, and so does a window that has none.
async fn lock<R: Runtime>(app: &AppHandle<R>) {
    let _ = app.state::<AppState>().lock(|| window::renew(app)).await;
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
