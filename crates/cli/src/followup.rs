//! Verbs about what follows a message, and about how chats are arranged.

use chrono::{DateTime, TimeDelta};
use mayfly_core::{
    ChatId, Engine, Error, ItemId,
    view::{Arrangement, ChatView},
};

use crate::{
    args::{Args, How, Switch, Verb},
    output::{Failure, print},
    verbs::{FLUSH, find, message_id},
};

/// Until when a chat is silent that nobody lets speak again: the year 2169.
const FOR_GOOD: TimeDelta = TimeDelta::days(200 * 365);

/// Runs one of these verbs.
///
/// # Errors
/// With the code that is printed.
pub async fn run(args: &Args, engine: &Engine) -> Result<(), Failure> {
    match &args.verb {
        Verb::React { chat, message, emoji } => {
            let (chat, id) = (find(engine, chat)?.0, message_id(message)?);
            react(args, engine, chat, id, emoji.as_deref().unwrap_or_default()).await
        }
        Verb::Edit { chat, message, text } => {
            edit(args, engine, find(engine, chat)?.0, message_id(message)?, text).await
        }
        Verb::Delete { chat, message, everyone } => {
            delete(args, engine, find(engine, chat)?.0, message_id(message)?, *everyone).await
        }
        Verb::Arrange { chat, how, switch } => {
            let is_on = *switch == Switch::On;
            print(args.json, &arrange(engine, find(engine, chat)?.0, *how, is_on).await?, "Done.")
        }
        _ => Ok(()),
    }
}

/// Puts a sign under a message.
async fn react(args: &Args, engine: &Engine, chat: ChatId, id: ItemId, emoji: &str) -> Result<(), Failure> {
    let message = published(engine, engine.react(chat, id, emoji)).await?;
    print(args.json, &message, "Done.")
}

/// Gives a message other words.
async fn edit(args: &Args, engine: &Engine, chat: ChatId, id: ItemId, text: &str) -> Result<(), Failure> {
    let message = published(engine, engine.edit_message(chat, id, text)).await?;
    print(args.json, &message, "Changed.")
}

/// Destroys a message, here or everywhere.
async fn delete(args: &Args, engine: &Engine, chat: ChatId, id: ItemId, everyone: bool) -> Result<(), Failure> {
    if everyone {
        published(engine, engine.delete_for_everyone(chat, id)).await?;
    } else {
        engine.wipe_message(chat, id).await?;
    }
    let words = if everyone { "Deleted here, and for everyone as soon as it reaches them." } else { "Deleted here." };
    print(args.json, &serde_json::json!({ "id": id.to_string(), "everyone": everyone }), words)
}

/// Does something while the engine runs, and gives it time to go out.
async fn published<T>(engine: &Engine, act: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    let running = engine.run();
    let done = act.await;
    if done.is_ok() {
        engine.flush(FLUSH).await;
    }
    running.stop().await;
    Ok(done?)
}

/// Arranges a chat.
async fn arrange(engine: &Engine, chat: ChatId, how: How, is_on: bool) -> Result<ChatView, Failure> {
    let arrangement = match how {
        How::Pinned => Arrangement::Pinned(is_on),
        How::Muted => Arrangement::Muted(DateTime::UNIX_EPOCH + if is_on { FOR_GOOD } else { TimeDelta::zero() }),
        How::Archived => Arrangement::Archived(is_on),
        How::Blocked => Arrangement::Blocked(is_on),
    };
    Ok(engine.arrange(chat, arrangement).await?)
}
