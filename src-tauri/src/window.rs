//! The one window.

use std::path::Path;

use tauri::{
    AppHandle, Manager as _, Runtime, Url, WebviewUrl, WebviewWindow, WebviewWindowBuilder, webview::NewWindowResponse,
};

/// Its label, which the capability names.
pub const LABEL: &str = "main";

/// Opens the window, with what WebKit must write going to `data`.
///
/// Its title never says anything of what it shows. It leads nowhere else, opens nothing and downloads nothing. It is
/// incognito: WebKit keeps caches and storage in memory alone.
///
/// # Errors
/// Those of the platform.
pub fn open<R: Runtime>(app: &AppHandle<R>, data: &Path) -> tauri::Result<WebviewWindow<R>> {
    let builder = WebviewWindowBuilder::new(app, LABEL, WebviewUrl::App("index.html".into()))
        .title("Mayfly")
        .inner_size(1180.0, 780.0)
        .min_inner_size(420.0, 560.0)
        .data_directory(data.to_path_buf())
        .devtools(cfg!(debug_assertions))
        .on_navigation(is_own)
        .on_new_window(|_, _| NewWindowResponse::Deny)
        .on_download(|_, _| false)
        // Under incognito WebDriver cannot attach; end-to-end builds look for canaries in `data` instead.
        .incognito(cfg!(not(feature = "e2e")));
    #[cfg(feature = "e2e")]
    let builder = match std::env::var_os("MAYFLY_E2E_SCRIPT").and_then(|path| std::fs::read_to_string(path).ok()) {
        Some(observer) => builder.initialization_script(observer),
        None => builder,
    };
    builder.build()
}

/// Begins the page anew. Where the platform lets us, the process that held it ends first: what a page has shown stays in
/// that process's memory for as long as it lives, whatever the page forgets.
pub fn renew<R: Runtime>(app: &AppHandle<R>) {
    let Some(window) = app.get_webview_window(LABEL) else { return };
    #[cfg(target_os = "linux")]
    if !is_driven() {
        let _ = window.with_webview(|webview| {
            use webkit2gtk::WebViewExt as _;
            webview.inner().terminate_web_process();
        });
    }
    // A page that cannot be loaded again shows nothing, and that is what matters here.
    let _ = window.reload();
}

/// Whether `WebDriver` drives the page, which ends with the page's process. Never in what people install: there the variable
/// is gone before the program begins.
#[cfg(target_os = "linux")]
fn is_driven() -> bool {
    cfg!(feature = "e2e") && std::env::var_os("TAURI_AUTOMATION").is_some()
}

/// Whether an address is the app's own page.
fn is_own(url: &Url) -> bool {
    match url.scheme() {
        "tauri" => url.host_str() == Some("localhost"),
        "http" | "https" => url.host_str() == Some("tauri.localhost"),
        _ => false,
    }
}

/// Whether somebody can be looking at the window: it is shown, in front, and has the focus.
pub fn is_attended<R: Runtime>(window: &WebviewWindow<R>) -> bool {
    window.is_focused().unwrap_or(false)
        && window.is_visible().unwrap_or(false)
        && !window.is_minimized().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_leads_nowhere_else() {
        let allowed = |url: &str| is_own(&Url::parse(url).unwrap());
        assert!(allowed("tauri://localhost/index.html"));
        assert!(allowed("http://tauri.localhost/"));
        for url in [
            "https://example.org/",
            "http://127.0.0.1:1420/",
            "tauri://elsewhere/",
            "file:///etc/passwd",
            "data:text/html,x",
        ] {
            assert!(!allowed(url), "{url} is allowed");
        }
    }
}
