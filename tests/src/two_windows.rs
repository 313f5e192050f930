//! The acts of the two-window story, which the story and the demonstration share.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::window::{Desk, Result, Window};

/// Creates a profile in a fresh window.
///
/// # Errors
/// Fails when the window does not go along.
pub async fn begin(window: &Window, name: &str) -> Result<()> {
    window.write("first-start-name", name).await?;
    window.click("first-start-create").await?;
    window
        .until("the first start is over", "return !document.querySelector('[data-testid=\"first-start-create\"]')", &[])
        .await
}

/// The first invites, the second accepts; both have the chat open at the end.
///
/// # Errors
/// Fails when one of the windows does not go along.
pub async fn meet(first: &Window, second: &Window, names: (&str, &str)) -> Result<()> {
    first.click("invite-open").await?;
    first
        .until("the link is there", "return !!document.querySelector('[data-testid=\"invite-link\"]')?.value", &[])
        .await?;
    let link = first.value("invite-link").await?;
    close_dialog(first).await?;
    second.click("accept-open").await?;
    second.paste("accept-link", &link).await?;
    second.click("accept-submit").await?;
    second.until_shows(names.0).await?;
    first.until_shows(names.1).await?;
    first.click("chat-row").await?;
    first.until("the chat is open", "return !!document.querySelector('[data-testid=\"composer\"]')", &[]).await?;
    second.until("the chat is open", "return !!document.querySelector('[data-testid=\"composer\"]')", &[]).await
}

/// Closes the open dialog, as Escape does.
///
/// # Errors
/// Fails when the window is gone.
pub async fn close_dialog(window: &Window) -> Result<()> {
    let script = "document.querySelector('dialog[open]')?.dispatchEvent(new Event('cancel', { cancelable: true }))";
    window.run(script, &[]).await?;
    window.until("the dialog is closed", "return !document.querySelector('dialog[open]')", &[]).await
}

/// Gives the next messages a timer of their own: `mode` is `after_send` or `after_read`.
///
/// # Errors
/// Fails when the window does not go along.
pub async fn set_message_timer(window: &Window, seconds: u32, mode: &str) -> Result<()> {
    window.click("message-timer").await?;
    if [5, 30, 60].contains(&seconds) {
        window.click(&format!("timer-option-{seconds}")).await?;
    } else {
        window.click("timer-option-custom").await?;
        window
            .until("the field is there", "return !!document.querySelector('[data-testid=\"timer-custom-value\"]')", &[])
            .await?;
        window.paste("timer-custom-value", &seconds.to_string()).await?;
    }
    window.click(&format!("timer-mode-{mode}")).await?;
    window.click("timer-apply").await?;
    window.until("the picker is closed", "return !document.querySelector('[data-testid=\"timer-apply\"]')", &[]).await
}

/// Sends words.
///
/// # Errors
/// Fails when the window does not go along.
pub async fn say(window: &Window, words: &str) -> Result<()> {
    window.write("composer", words).await?;
    window.click("send").await
}

/// When a message of these words dies; `None` while its timer has not started. Waits until it stands in the chat: the
/// list of chats may show its words a moment earlier.
///
/// # Errors
/// Fails when the message never comes.
pub async fn deadline(window: &Window, words: &str) -> Result<Option<DateTime<Utc>>> {
    let find = "const all = [...document.querySelectorAll('[data-testid=\"message\"]')];
        const one = all.find((message) => message.innerText.includes(arguments[0]));";
    window.until("the message stands in the chat", &format!("{find} return !!one"), &[json!(words)]).await?;
    let found = window.run(&format!("{find} return one?.dataset.expires ?? ''"), &[json!(words)]).await?;
    match found.as_str() {
        Some(text) if !text.is_empty() => Ok(Some(text.parse()?)),
        _ => Ok(None),
    }
}

/// Waits until words are gone from the page's whole source.
///
/// # Errors
/// Fails when they are still there after `limit`.
pub async fn until_gone(window: &Window, words: &str, limit: Duration) -> Result<()> {
    let gone = async {
        while window.shows(words).await? {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    };
    tokio::time::timeout(limit, gone).await.map_err(|_| "the words are still there")?
}

/// Two desks with an open window each.
///
/// # Errors
/// Fails when one of them does not come up.
pub async fn two(desks: [&Desk; 2]) -> Result<[Window; 2]> {
    let (first, second) = tokio::join!(desks[0].open(), desks[1].open());
    Ok([first?, second?])
}
