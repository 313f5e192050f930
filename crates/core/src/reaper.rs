//! The task that wipes expired things: it sleeps until the vault's next deadline, or until an earlier one appears.
//!
//! It decides nothing: which second is due is the vault's, and the vault's wipe is the only door to destruction.

use std::{collections::BTreeMap, sync::Arc};

use mayfly_vault::{ChatId, Vault, Wiped};
use tokio::sync::broadcast::error::RecvError;

use crate::{chat, event::Events, sabotage, store::Kind, view::Event};

/// After a wipe that failed (a full disk, say) it is tried again this soon, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// Wipes whatever falls due, for as long as it is polled.
pub(crate) async fn run(vault: Vault) {
    loop {
        let pause_ms = match vault.next_wipe() {
            Ok(Some(due)) => u64::try_from(due.0.saturating_sub(vault.now().0)).unwrap_or(0),
            Ok(None) => u64::MAX,
            // The page that says when may be damaged. What is due by its tag needs no page to die.
            Err(_) => {
                vault.clock().wait(RETRY_MS).await;
                0
            }
        };
        if pause_ms == 0 {
            if wipe(&vault).await.is_err() {
                vault.clock().wait(RETRY_MS).await;
            }
            continue;
        }
        tokio::select! {
            () = vault.clock().wait(pause_ms) => {}
            () = vault.next_wipe_changed() => {}
        }
    }
}

async fn wipe(vault: &Vault) -> Result<(), mayfly_vault::Error> {
    if sabotage::hides_only() {
        // Reads pass over what is expired by themselves, so that this looks right on every screen.
        vault.clock().wait(RETRY_MS).await;
        return Ok(());
    }
    vault.wipe().await
}

/// Tells the shells what was wiped, for as long as it is polled.
pub(crate) async fn tell(vault: Vault, events: Events) {
    let mut wipes = vault.wipes();
    loop {
        match wipes.recv().await {
            Ok(items) => events.release(news(&vault, &items)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn news(vault: &Vault, wiped: &Arc<Vec<Wiped>>) -> Vec<Event> {
    let mut by_chat: BTreeMap<ChatId, Vec<String>> = BTreeMap::new();
    for item in wiped.iter().filter(|item| Kind::is_message(item.kind)) {
        if let Some(chat) = item.chat {
            by_chat.entry(chat).or_default().push(item.id.to_string());
        }
    }
    let drafts = wiped.iter().filter(|item| Kind::is_draft(item.kind)).filter_map(|item| item.chat);
    let mut news: Vec<Event> = drafts.map(|chat| Event::DraftWiped { chat: chat.to_string() }).collect();
    for (chat, ids) in by_chat {
        news.push(Event::MessagesWiped { chat: chat.to_string(), ids });
        let view = vault.read(|reader| {
            let record = chat::load(reader, chat)?;
            chat::view(reader, chat, &record)
        });
        news.extend(view.map(|chat| Event::ChatChanged { chat }));
    }
    news
}
