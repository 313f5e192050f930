//! What the process does before anything else: no core dumps, no debugger, no doors opened by the environment.

/// Beginnings of the names of variables that make WebKit, GTK, `GStreamer` or Tauri write down what they show, or let
/// others drive them. They are for developers of those, never for a messenger that keeps its word.
const OPEN_DOORS: &[&str] = &[
    "G_MESSAGES_DEBUG",
    "GDK_DEBUG",
    "GST_DEBUG",
    "GST_TRACERS",
    "GTK_DEBUG",
    "GTK_MODULES",
    "JSC_",
    "SSLKEYLOGFILE",
    "TAURI_AUTOMATION",
    "TAURI_WEBVIEW_AUTOMATION",
    "WEBKIT_DEBUG",
    "WEBKIT_INSPECTOR_",
    "WEBVIEW2_",
];

/// Whether a variable of this name opens a door.
fn is_open_door(name: &str) -> bool {
    OPEN_DOORS.iter().any(|door| name.starts_with(door))
}

/// Closes what can be closed. Without effect where the system knows no such thing.
pub fn harden() {
    // End-to-end tests drive the window through exactly these doors.
    if cfg!(not(feature = "e2e")) {
        start_anew_without_doors();
    }
    mayfly_core::hardening::forbid_dumps();
}

/// Starts this program again without the variables that open doors, if there are any.
///
/// A process cannot take variables out of its own environment safely once it has threads, and what it does take out
/// stays readable where the system put it at the start; a new start has neither problem. On Unix it keeps its process.
fn start_anew_without_doors() {
    let doors: Vec<_> =
        std::env::vars_os().map(|(name, _)| name).filter(|name| is_open_door(&name.to_string_lossy())).collect();
    let Some(program) = std::env::current_exe().ok().filter(|_| !doors.is_empty()) else {
        return;
    };
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1));
    for door in doors {
        again.env_remove(door);
    }
    hand_over(again);
}

/// Puts `again` in this process's place. Returns never: a program that cannot close its doors does not open.
#[cfg(unix)]
fn hand_over(mut again: std::process::Command) -> ! {
    use std::os::unix::process::CommandExt as _;
    let _ = again.exec();
    std::process::exit(1)
}

/// Waits for `again` in this process's place, and ends with it.
#[cfg(not(unix))]
fn hand_over(mut again: std::process::Command) -> ! {
    let code = again.status().ok().and_then(|status| status.code());
    std::process::exit(code.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_doors_and_leaves_the_rest_alone() {
        for name in ["GST_DEBUG", "GST_DEBUG_FILE", "WEBKIT_INSPECTOR_SERVER", "TAURI_WEBVIEW_AUTOMATION", "JSC_useJIT"]
        {
            assert!(is_open_door(name), "{name} stays open");
        }
        for name in ["HOME", "XDG_RUNTIME_DIR", "GST_PLUGIN_FEATURE_RANK", "GDK_BACKEND", "MAYFLY_RELAY", "LANG"] {
            assert!(!is_open_door(name), "{name} is taken away");
        }
    }
}
