//! What the verbs do.

use std::{io::BufRead as _, sync::Arc, time::Duration};

use mayfly_core::{
    ChatId, Engine, ItemId, NewProfile, Passphrase, ProfilePlace, SystemClock,
    view::{
        ChatState, ChatView, Connection, Event, MessageKind, MessageState, MessageView, SentState, SentView, Timer,
        TimerMode,
    },
};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    access,
    args::{Args, Mode, ProfileVerb, Switch, TimerWord, Verb},
    audit, followup,
    output::{Failure, print},
};

/// How long what was committed is given to go out before the verb returns.
pub(crate) const FLUSH: Duration = Duration::from_secs(5);
/// How many messages are read at once.
const PAGE: u32 = 200;

/// Runs one verb.
///
/// # Errors
/// With the code that is printed.
pub async fn run(args: &Args) -> Result<(), Failure> {
    if let Verb::Profile(ProfileVerb::Create { name, relays, no_passphrase }) = &args.verb {
        return create(args, name, relays, *no_passphrase).await;
    }
    if let Verb::Erase { .. } = args.verb {
        return access::erase(args).await;
    }
    if let Verb::Panic { .. } = args.verb {
        return access::panic(args).await;
    }
    let (engine, passphrase) = open(args).await?;
    let result = if let Verb::Passphrase(verb) = &args.verb {
        access::change(args, &engine, *verb, passphrase).await
    } else {
        drop(passphrase);
        run_open(args, &engine).await
    };
    let closed = engine.close().await.map_err(Failure::from);
    result.and(closed)
}

async fn create(args: &Args, name: &str, relays: &[String], no_passphrase: bool) -> Result<(), Failure> {
    let passphrase = match (no_passphrase, args.passphrase_stdin) {
        (true, _) => None,
        (false, true) => Some(read_passphrase()?),
        (false, false) => {
            return Err(Failure::new(
                "passphrase_required",
                "Give a passphrase with --passphrase-stdin, or say --no-passphrase.",
            ));
        }
    };
    let new = NewProfile { name: name.to_owned(), passphrase, relays: relays.to_vec() };
    let engine = Engine::create(&ProfilePlace::for_dir(&args.profile), new, Arc::new(SystemClock)).await?;
    let profile = engine.profile();
    engine.close().await?;
    print(args.json, &profile, &format!("The profile of {} is ready. Erasure: {}", profile.name, profile.erasure))
}

/// The next line of standard input.
pub(crate) fn read_passphrase() -> Result<Passphrase, Failure> {
    let mut line = zeroize::Zeroizing::new(String::new());
    let unreadable = || Failure::new("passphrase_required", "No passphrase came on standard input.");
    std::io::stdin().lock().read_line(&mut line).map_err(|_| unreadable())?;
    let passphrase = line.trim_end_matches(['\r', '\n']);
    if passphrase.is_empty() { Err(unreadable()) } else { Ok(Passphrase::from(passphrase.to_owned())) }
}

/// Opens the profile; gives what opened it, too.
async fn open(args: &Args) -> Result<(Engine, Option<Passphrase>), Failure> {
    let place = ProfilePlace::for_dir(&args.profile);
    let passphrase = match (Engine::needs_passphrase(&place)?, args.passphrase_stdin) {
        (true, true) => Some(read_passphrase()?),
        (true, false) => {
            return Err(Failure::new("passphrase_required", "This profile has a passphrase: use --passphrase-stdin."));
        }
        (false, _) => None,
    };
    let engine = Engine::open(&place, passphrase.clone(), Arc::new(SystemClock)).await?;
    Ok((engine, passphrase))
}

async fn run_open(args: &Args, engine: &Engine) -> Result<(), Failure> {
    match &args.verb {
        Verb::Profile(_) | Verb::Passphrase(_) | Verb::Erase { .. } | Verb::Panic { .. } => Ok(()),
        Verb::Tpm { switch } => access::switch_tpm(args, engine, *switch).await,
        Verb::Keyring { switch } => access::switch_keyring(args, engine, *switch).await,
        #[cfg(feature = "forensics")]
        Verb::Audit { plant } => audit::run(args, engine, plant.as_deref()).await,
        #[cfg(not(feature = "forensics"))]
        Verb::Audit {} => audit::run(args, engine, None).await,
        Verb::Invite => invite(args, engine).await,
        Verb::Accept { link } => accept(args, engine, link).await,
        Verb::Chats => chats(args, engine),
        Verb::Messages { chat } => messages(args, engine, find(engine, chat)?.0),
        Verb::Send { chat, text, timer, mode, reply_to } => {
            let (chat, view) = find(engine, chat)?;
            let timer = match (timer, mode) {
                (None, None) => None,
                (Some(ttl), mode) => Some(ttl.timer(*mode, view.timer)),
                (None, Some(mode)) => Some(Timer { mode: TimerMode::from(*mode), ..view.timer }),
            };
            send(args, engine, chat, text, timer, reply_to.as_deref()).await
        }
        Verb::React { .. } | Verb::Edit { .. } | Verb::Delete { .. } | Verb::Arrange { .. } => {
            followup::run(args, engine).await
        }
        Verb::Read { chat } => read(args, engine, find(engine, chat)?.0).await,
        Verb::Timer { chat, value, mode } => set_timer(args, engine, find(engine, chat)?, *value, *mode).await,
        Verb::Burn { chat, switch } => {
            let view = engine.set_burn_on_lock(find(engine, chat)?.0, *switch == Switch::On).await?;
            let words =
                if view.burns_on_lock { "What is said there from now on burns." } else { "It does not burn any more." };
            print(args.json, &view, words)
        }
        Verb::Listen { limit } => listen(args, engine, *limit).await,
        Verb::Status => status(args, engine).await,
        #[cfg(feature = "forensics")]
        Verb::Vault(crate::args::VaultVerb::RenewKey) => {
            engine.vault().renew_database_key().await.map_err(mayfly_core::Error::from)?;
            print(args.json, &serde_json::json!({ "renewed": true }), "The database has another key.")
        }
        #[cfg(feature = "forensics")]
        Verb::Vault(crate::args::VaultVerb::Key) => {
            let raw = engine.raw_key()?;
            let (key, salt) = (hex::encode(raw.key), hex::encode(raw.salt));
            print(args.json, &serde_json::json!({ "key": key, "salt": salt }), &format!("key {key}\nsalt {salt}"))
        }
    }
}

async fn set_timer(
    args: &Args,
    engine: &Engine,
    (chat, view): (ChatId, ChatView),
    value: TimerWord,
    mode: Option<Mode>,
) -> Result<(), Failure> {
    let running = engine.run();
    match value {
        TimerWord::Accept => engine.answer_timer(chat, true).await?,
        TimerWord::Decline => engine.answer_timer(chat, false).await?,
        TimerWord::Set(ttl) => engine.set_timer(chat, ttl.timer(mode, view.timer)).await?,
    };
    let is_sent = engine.flush(FLUSH).await;
    running.stop().await;
    print_sent(args, chat.to_string(), is_sent)
}

/// The chat with this id, the only one whose id begins so, or the only one of this name.
pub(crate) fn find(engine: &Engine, wanted: &str) -> Result<(ChatId, ChatView), Failure> {
    let chats = engine.chats()?;
    let is_id = wanted.len() >= 4 && wanted.chars().all(|c| c.is_ascii_hexdigit());
    let by_id = chats.iter().filter(|chat| is_id && chat.id.starts_with(&wanted.to_ascii_lowercase()));
    let by_name = chats.iter().filter(|chat| chat.name == wanted);
    let mut found: Vec<&ChatView> = by_id.chain(by_name).collect();
    found.dedup_by(|a, b| a.id == b.id);
    match found.as_slice() {
        [] => Err(mayfly_core::Error::ChatMissing.into()),
        [chat] => {
            let id = chat.id.parse().map_err(|_| mayfly_core::Error::ChatMissing)?;
            Ok((id, (*chat).clone()))
        }
        _ => Err(mayfly_core::Error::ChatAmbiguous.into()),
    }
}

pub(crate) fn message_id(text: &str) -> Result<ItemId, Failure> {
    text.parse().map_err(|_| mayfly_core::Error::MessageMissing.into())
}

async fn invite(args: &Args, engine: &Engine) -> Result<(), Failure> {
    let invitation = engine.create_invitation().await?;
    let note = if invitation.is_local_only { "\nWorks only on this computer; for others, add a relay." } else { "" };
    print(args.json, &invitation, &format!("{}{note}", invitation.link))
}

async fn accept(args: &Args, engine: &Engine, link: &str) -> Result<(), Failure> {
    let running = engine.run();
    let accepted = engine.accept_invitation(link).await;
    let is_sent = accepted.is_ok() && engine.flush(FLUSH).await;
    running.stop().await;
    print_sent(args, accepted?.id, is_sent)
}

fn chats(args: &Args, engine: &Engine) -> Result<(), Failure> {
    for chat in engine.chats()? {
        let name = match (chat.name.as_str(), chat.state) {
            ("", _) => "(no name yet)",
            (name, ChatState::Waiting | ChatState::Active) => name,
        };
        let id: String = chat.id.chars().take(8).collect();
        print(args.json, &chat, &format!("{id}  {name}  {} unread", chat.unread))?;
    }
    Ok(())
}

fn messages(args: &Args, engine: &Engine, chat: ChatId) -> Result<(), Failure> {
    let mut pages: Vec<Vec<MessageView>> = Vec::new();
    let mut before = None;
    loop {
        let page = engine.messages(chat, before, PAGE)?;
        let Some(first) = page.first() else { break };
        before = Some(first.order);
        pages.push(page);
    }
    for message in pages.iter().rev().flatten() {
        print(args.json, message, &words(message))?;
    }
    Ok(())
}

fn words(message: &MessageView) -> String {
    let who = match message.sender {
        mayfly_core::view::Sender::Me => "you ",
        mayfly_core::view::Sender::Them => "they",
    };
    let text = match message.kind {
        MessageKind::Text => message.text.as_str(),
        MessageKind::TimerChanged => "(changed the timer)",
        MessageKind::TimerProposed => "(proposed another timer)",
        MessageKind::TimerDeclined => "(declined the proposed timer)",
        MessageKind::Damaged => "(damaged, and cannot be read)",
    };
    let text = if message.is_edited { format!("{text} (edited)") } else { text.to_owned() };
    let dies = message.expires_at.map(|at| format!("  dies {}", at.to_rfc3339())).unwrap_or_default();
    format!("{}  {who}  {text}{dies}", message.sent_at.format("%Y-%m-%d %H:%M:%S"))
}

async fn send(
    args: &Args,
    engine: &Engine,
    chat: ChatId,
    text: &str,
    timer: Option<Timer>,
    reply_to: Option<&str>,
) -> Result<(), Failure> {
    let source = reply_to.map(message_id).transpose()?;
    let running = engine.run();
    let sent = match source {
        Some(source) => engine.reply(chat, source, text, timer).await,
        None => engine.send_message(chat, text, timer).await,
    };
    let is_flushed = sent.is_ok() && engine.flush(FLUSH).await;
    running.stop().await;
    let sent = sent?;
    // What was sent may have been told undeliverable, or have died meanwhile: the store knows.
    let newest = engine.messages(chat, Some(sent.order + 1), 1)?;
    let state = newest.iter().find(|message| message.id == sent.id).map(|message| message.state);
    let is_sent = match state {
        Some(MessageState::Sent | MessageState::Delivered | MessageState::Read) => true,
        Some(_) => false,
        None => is_flushed,
    };
    print_sent(args, sent.id, is_sent)
}

async fn read(args: &Args, engine: &Engine, chat: ChatId) -> Result<(), Failure> {
    let running = engine.run();
    let mut before = None;
    let mut count = 0;
    loop {
        let page = engine.messages(chat, before, PAGE)?;
        let Some(first) = page.first() else { break };
        before = Some(first.order);
        let unread = page.iter().filter(|message| message.state == MessageState::Unread);
        let ids: Vec<_> = unread.filter_map(|message| message.id.parse().ok()).collect();
        count += ids.len();
        engine.mark_read(chat, &ids).await?;
    }
    engine.flush(FLUSH).await;
    running.stop().await;
    print(args.json, &serde_json::json!({ "read": count }), &format!("{count} read."))
}

fn print_sent(args: &Args, id: String, is_sent: bool) -> Result<(), Failure> {
    let state = if is_sent { SentState::Sent } else { SentState::Queued };
    let words = if is_sent { "Sent." } else { "Waiting to be sent; `listen` goes on trying." };
    print(args.json, &SentView { id, state }, words)
}

/// Tries the relays before it tells how they are.
async fn status(args: &Args, engine: &Engine) -> Result<(), Failure> {
    let mut events = engine.events();
    let running = engine.run();
    let is_open = |state| matches!(state, Connection::NoRelay | Connection::Connecting);
    let is_settled = async { while is_open(engine.status().connection) && events.recv().await.is_ok() {} };
    // Without any relay nothing ever happens, and that is told at once.
    let limit = if engine.knows_relays()? { FLUSH } else { Duration::ZERO };
    let _ = tokio::time::timeout(limit, is_settled).await;
    let status = engine.status();
    running.stop().await;
    let relays = match status.connection {
        Connection::NoRelay => "There is no relay yet; invitations need one.".to_owned(),
        _ => format!("{} of {} relays answer.", status.relays_connected, status.relays_known),
    };
    print(args.json, &status, &format!("{relays} {} waiting to be sent. Erasure: {}", status.waiting, status.erasure))
}

async fn listen(args: &Args, engine: &Engine, limit: Option<Duration>) -> Result<(), Failure> {
    let mut events = engine.events();
    let running = engine.run();
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    let mut stop = std::pin::pin!(interrupted());
    let result = loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => {
                    if let Err(failure) = print(args.json, &event, &event_words(&event)) {
                        break Err(failure);
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break Ok(()),
            },
            () = &mut over => break Ok(()),
            () = &mut stop => break Ok(()),
        }
    };
    running.stop().await;
    result
}

/// Resolves when a person or the system asks the program to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn event_words(event: &Event) -> String {
    match event {
        Event::MessageReceived { message } => format!("received  {}", words(message)),
        Event::MessageQueued { message } => format!("queued    {}", words(message)),
        Event::MessageChanged { message } => format!("changed   {}  {:?}", message.id, message.state),
        Event::MessagesWiped { ids, .. } => format!("wiped     {}", ids.join(" ")),
        Event::DraftWiped { chat } => format!("draft     {chat}"),
        Event::ChatChanged { chat } => format!("chat      {}", chat.id),
        Event::StatusChanged { status } => format!("relays    {:?}", status.connection),
    }
}
