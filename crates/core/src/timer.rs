//! Changing a chat's timer: the contract's moves, saved, shown and sent.

use mayfly_vault::{ChatId, Urgency, Writer};

use crate::{
    Engine, Error, chat,
    contract::{Move, Told},
    expiry,
    message::{self, store_own, store_received},
    mls::Identity,
    payload::{Body, Payload},
    profile::random,
    store::{ChatRecord, MessageRecord},
    view::{ChatView, Event, MessageKind, MessageView, Sender, Timer},
};

impl Engine {
    /// Sets a chat's timer: a stricter one at once, a weaker one as a proposal to the other side.
    ///
    /// # Errors
    /// [`Error::TimerInvalid`], [`Error::ChatMissing`].
    pub async fn set_timer(&self, chat: ChatId, timer: Timer) -> Result<ChatView, Error> {
        let identity = self.identity();
        let notice = self.store().write(Urgency::User, move |writer| set(writer, &identity, chat, timer)).await?;
        self.timer_changed(chat, notice)
    }

    /// Accepts or declines the weaker timer that the other side proposed.
    ///
    /// # Errors
    /// [`Error::ProposalMissing`], [`Error::ChatMissing`].
    pub async fn answer_timer(&self, chat: ChatId, accept: bool) -> Result<ChatView, Error> {
        let identity = self.identity();
        let notice = self.store().write(Urgency::User, move |writer| answer(writer, &identity, chat, accept)).await?;
        self.timer_changed(chat, Some(notice))
    }

    fn timer_changed(&self, chat: ChatId, notice: Option<MessageView>) -> Result<ChatView, Error> {
        let view = self.chat(chat)?;
        self.tell(notice.map(|message| Event::MessageQueued { message }));
        self.tell_chat(view.clone());
        self.wake();
        Ok(view)
    }
}

/// Sets the timer: at once if it is stricter, else as a proposal. `None` if it is the present one.
///
/// # Errors
/// [`Error::TimerInvalid`], [`Error::ChatMissing`].
pub(crate) fn set(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    timer: Timer,
) -> Result<Option<MessageView>, Error> {
    let mut record = chat::load(writer, chat)?;
    let Some(ours) = record.contract.set(expiry::check(timer)?)? else { return Ok(None) };
    let kind = match ours {
        Move::Propose { .. } => MessageKind::TimerProposed,
        Move::Change(_) | Move::Answer { .. } => MessageKind::TimerChanged,
    };
    make(writer, identity, chat, &record, ours, kind, timer).map(Some)
}

/// Accepts or declines what the other side proposed.
///
/// # Errors
/// [`Error::ProposalMissing`] if nothing of theirs waits for an answer.
pub(crate) fn answer(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    accept: bool,
) -> Result<MessageView, Error> {
    let mut record = chat::load(writer, chat)?;
    let proposed = record.contract.proposal().map_or(record.contract.timer, |(timer, _)| timer);
    let ours = record.contract.answer(accept)?;
    let (kind, timer) = if accept {
        (MessageKind::TimerChanged, record.contract.timer)
    } else {
        (MessageKind::TimerDeclined, proposed)
    };
    make(writer, identity, chat, &record, ours, kind, timer)
}

/// Takes a move of the other side. `None` if there is nothing to show.
pub(crate) fn receive(
    writer: &mut Writer<'_>,
    chat: ChatId,
    sender: &[u8; 32],
    payload: &Payload,
    theirs: Move,
) -> Result<Option<MessageView>, Error> {
    let mut record = chat::load(writer, chat)?;
    let told = record.contract.receive(theirs);
    chat::save(writer, chat, &record)?;
    let (kind, timer) = match told {
        Some(Told::Changed(timer)) => (MessageKind::TimerChanged, timer),
        Some(Told::Proposed(timer)) => (MessageKind::TimerProposed, timer),
        Some(Told::Declined(timer)) => (MessageKind::TimerDeclined, timer),
        None => return Ok(None),
    };
    store_received(writer, chat, sender, payload, kind, String::new(), Some(timer))
}

/// Saves our move, shows it to ourselves and sends it: a notice lives by the chat's timer, as everything else.
fn make(
    writer: &mut Writer<'_>,
    identity: &Identity,
    chat: ChatId,
    record: &ChatRecord,
    ours: Move,
    kind: MessageKind,
    timer: Timer,
) -> Result<MessageView, Error> {
    chat::save(writer, chat, record)?;
    let message = MessageRecord {
        payload_id: random()?,
        sender: Sender::Me,
        kind,
        text: String::new(),
        notice: Some(timer),
        timer: record.contract.timer,
        sent_at_ms: writer.now().0,
        reply_to: None,
        edited_at_ms: None,
    };
    let item = store_own(writer, identity, chat, record, &message, Body::from(ours))?;
    let item = writer.item(item)?.ok_or(Error::MessageMissing)?;
    message::view(writer, &item)
}
