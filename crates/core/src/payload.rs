//! What stands inside an MLS message: typed, versioned, in CBOR (RFC 8949); docs/wire.md, "Payload".
//!
//! Decoding never panics and refuses what it does not know: a peer's newer version is dropped, not guessed at.

use serde::{Deserialize, Serialize};

use crate::{
    Error,
    contract::Move,
    expiry,
    view::{Timer, TimerMode},
};

const VERSION: u8 = 1;
/// The longest text of one message, in characters.
pub const MAX_TEXT_CHARS: usize = 16_000;
/// The longest sign under a message, in bytes of UTF-8: the longest emoji of a family fit.
pub const MAX_REACTION_BYTES: usize = 64;
/// The most message ids that one receipt names.
pub const MAX_RECEIPT_IDS: usize = 1_000;

/// A message's own name, 16 random bytes drawn by its sender; unique together with the sender's identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PayloadId(#[serde(with = "serde_bytes")] pub [u8; 16]);

/// A message by the name it has everywhere: who wrote it, and that device's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageName {
    /// The writer's identity key (Ed25519).
    #[serde(with = "serde_bytes")]
    pub author: [u8; 32],
    /// The payload's name.
    pub id: PayloadId,
}

/// One payload.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Format version, 1.
    v: u8,
    /// The payload's name.
    pub id: PayloadId,
    /// When the sender pressed Send, in Unix milliseconds.
    pub sent_at_ms: i64,
    /// The timer this payload lives by.
    pub timer: WireTimer,
    /// What it says.
    pub body: Body,
}

impl std::fmt::Debug for Payload {
    /// Says nothing of what is inside.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Payload").finish_non_exhaustive()
    }
}

/// A timer as it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireTimer {
    /// 0 after sending, 1 after reading.
    mode: u8,
    /// Seconds; 0 is off.
    ttl_s: u32,
}

impl From<Timer> for WireTimer {
    fn from(timer: Timer) -> Self {
        let mode = match timer.mode {
            TimerMode::AfterSend => 0,
            TimerMode::AfterRead => 1,
        };
        Self { mode, ttl_s: timer.ttl_s.unwrap_or(0) }
    }
}

impl TryFrom<WireTimer> for Timer {
    type Error = Error;

    fn try_from(wire: WireTimer) -> Result<Self, Error> {
        let mode = match wire.mode {
            0 => TimerMode::AfterSend,
            1 => TimerMode::AfterRead,
            _ => return Err(Error::TimerInvalid),
        };
        expiry::check(Self { mode, ttl_s: (wire.ttl_s > 0).then_some(wire.ttl_s) })
    }
}

/// What a payload says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The first word of somebody who joined: the name contacts see.
    Hello {
        /// The name.
        name: String,
    },
    /// Words.
    Text {
        /// The words.
        text: String,
        /// The message that they answer. Its words are not in here: they are shown for as long as it lives itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<MessageName>,
    },
    /// A sign under a message; each person has one at most under each.
    Reaction {
        /// The message.
        message: MessageName,
        /// The sign, an emoji; empty takes back the one before.
        emoji: String,
    },
    /// Other words for a message of the sender of this one.
    Edit {
        /// The message.
        message: PayloadId,
        /// Its words from now on.
        text: String,
    },
    /// A message of the sender of this one is to be destroyed everywhere.
    Delete {
        /// The message.
        message: PayloadId,
    },
    /// Delivery and read receipts, for payloads of the receiver of this one. No times.
    Receipts {
        /// Payloads that are stored on the device.
        delivered: Vec<PayloadId>,
        /// Payloads that were read there.
        read: Vec<PayloadId>,
    },
    /// The chat's timer becomes a stricter one, at once.
    TimerChange {
        /// The new timer.
        timer: WireTimer,
    },
    /// A weaker timer is asked for.
    TimerProposal {
        /// Its maker's number for it.
        number: u32,
        /// The era that accepting it would begin: the present one + 1.
        era: u32,
        /// The timer asked for.
        timer: WireTimer,
    },
    /// The answer to a proposal.
    TimerAnswer {
        /// The proposal's number.
        number: u32,
        /// Whether it holds from now on.
        accept: bool,
    },
}

impl From<Move> for Body {
    fn from(ours: Move) -> Self {
        match ours {
            Move::Change(timer) => Self::TimerChange { timer: timer.into() },
            Move::Propose { number, era, timer } => Self::TimerProposal { number, era, timer: timer.into() },
            Move::Answer { number, accept } => Self::TimerAnswer { number, accept },
        }
    }
}

impl Body {
    /// The move in a timer payload; `None` for payloads of other kinds.
    ///
    /// # Errors
    /// [`Error::TimerInvalid`] if a timer in it is none.
    pub(crate) fn timer_move(&self) -> Result<Option<Move>, Error> {
        Ok(Some(match self {
            Self::TimerChange { timer } => Move::Change(Timer::try_from(*timer)?),
            Self::TimerProposal { number, era, timer } => {
                Move::Propose { number: *number, era: *era, timer: Timer::try_from(*timer)? }
            }
            Self::TimerAnswer { number, accept } => Move::Answer { number: *number, accept: *accept },
            Self::Hello { .. }
            | Self::Text { .. }
            | Self::Reaction { .. }
            | Self::Edit { .. }
            | Self::Delete { .. }
            | Self::Receipts { .. } => return Ok(None),
        }))
    }
}

impl std::fmt::Debug for Body {
    /// Names the kind, never the content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Hello { .. } => "Hello",
            Self::Text { .. } => "Text",
            Self::Reaction { .. } => "Reaction",
            Self::Edit { .. } => "Edit",
            Self::Delete { .. } => "Delete",
            Self::Receipts { .. } => "Receipts",
            Self::TimerChange { .. } => "TimerChange",
            Self::TimerProposal { .. } => "TimerProposal",
            Self::TimerAnswer { .. } => "TimerAnswer",
        })
    }
}

impl Payload {
    /// A payload that is about to be sent.
    pub fn new(id: PayloadId, sent_at_ms: i64, timer: Timer, body: Body) -> Self {
        Self { v: VERSION, id, sent_at_ms, timer: timer.into(), body }
    }

    /// The bytes that MLS protects.
    ///
    /// # Errors
    /// [`Error::Protocol`] if it does not encode, which no value of this type does.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes).map_err(|_| Error::Protocol("payload"))?;
        Ok(bytes)
    }

    /// Reads what a peer sent.
    ///
    /// # Errors
    /// [`Error::Protocol`] for bytes that are no payload of this version, and for one beyond its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let refused = Error::Protocol("payload");
        let mut rest = bytes;
        let payload: Self = ciborium::from_reader(&mut rest).map_err(|_| refused.clone())?;
        let is_within_limits = match &payload.body {
            Body::Hello { name } => name.chars().count() <= 64,
            Body::Text { text, .. } | Body::Edit { text, .. } => {
                !text.trim().is_empty() && text.chars().count() <= MAX_TEXT_CHARS
            }
            Body::Reaction { emoji, .. } => is_reaction(emoji),
            Body::Receipts { delivered, read } => delivered.len() <= MAX_RECEIPT_IDS && read.len() <= MAX_RECEIPT_IDS,
            Body::Delete { .. } | Body::TimerChange { .. } | Body::TimerProposal { .. } | Body::TimerAnswer { .. } => {
                true
            }
        };
        if payload.v != VERSION || !rest.is_empty() || !is_within_limits || Timer::try_from(payload.timer).is_err() {
            return Err(refused);
        }
        Ok(payload)
    }
}

/// Whether this can stand under a message: one sign, or nothing.
pub(crate) fn is_reaction(emoji: &str) -> bool {
    // No word hides in a sign: what a keyboard types is below the first block of symbols, but for the key caps' digits.
    let is_sign =
        |c: char| u32::from(c) >= 0x203c || matches!(c, '#' | '*' | '0'..='9' | '\u{a9}' | '\u{ae}' | '\u{200d}');
    emoji.len() <= MAX_REACTION_BYTES && emoji.chars().all(is_sign)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use proptest::prelude::*;

    use super::*;
    use crate::expiry::DEFAULT_TIMER;

    fn bodies() -> impl Strategy<Value = Body> {
        let ids = || proptest::collection::vec(any::<[u8; 16]>().prop_map(PayloadId), 0..20);
        let timer = WireTimer::from(DEFAULT_TIMER);
        prop_oneof![
            ".{0,64}".prop_map(|name| Body::Hello { name }),
            ("[a-zäß]{1,300}", any::<Option<[u8; 16]>>()).prop_map(|(text, to)| {
                let reply_to = to.map(|id| MessageName { author: [9; 32], id: PayloadId(id) });
                Body::Text { text, reply_to }
            }),
            any::<[u8; 16]>().prop_map(|id| {
                let message = MessageName { author: [1; 32], id: PayloadId(id) };
                Body::Reaction { message, emoji: "👍🏽".into() }
            }),
            (any::<[u8; 16]>(), "[a-zäß]{1,300}").prop_map(|(id, text)| Body::Edit { message: PayloadId(id), text }),
            any::<[u8; 16]>().prop_map(|id| Body::Delete { message: PayloadId(id) }),
            (ids(), ids()).prop_map(|(delivered, read)| Body::Receipts { delivered, read }),
            Just(Body::TimerChange { timer }),
            any::<u32>().prop_map(move |era| Body::TimerProposal { number: era, era, timer }),
            (any::<u32>(), any::<bool>()).prop_map(|(number, accept)| Body::TimerAnswer { number, accept }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(id in any::<[u8; 16]>(), at in any::<i64>(), body in bodies()) {
            let payload = Payload::new(PayloadId(id), at, DEFAULT_TIMER, body);
            let bytes = payload.encode().unwrap();
            prop_assert_eq!(Payload::decode(&bytes).unwrap(), payload);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Payload::decode(&bytes);
        }

        #[test]
        fn a_damaged_payload_never_panics(body in bodies(), at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = Payload::new(PayloadId([7; 16]), 1, DEFAULT_TIMER, body).encode().unwrap();
            let index = at.index(bytes.len());
            bytes[index] = to;
            let _ = Payload::decode(&bytes);
        }
    }

    #[test]
    fn a_newer_version_trailing_bytes_and_a_timer_of_two_years_are_refused() {
        let good = Payload::new(PayloadId([1; 16]), 1, DEFAULT_TIMER, Body::Text { text: "x".into(), reply_to: None });
        let newer = Payload { v: 2, ..good.clone() };
        assert!(Payload::decode(&newer.encode().unwrap()).is_err());
        let long = Payload { timer: WireTimer { mode: 0, ttl_s: 2 * expiry::MAX_TTL_S }, ..good.clone() };
        assert!(Payload::decode(&long.encode().unwrap()).is_err());
        let mut trailing = good.encode().unwrap();
        trailing.push(0);
        assert!(Payload::decode(&trailing).is_err());
    }

    fn text(text: &str) -> Body {
        Body::Text { text: text.into(), reply_to: None }
    }

    #[test]
    fn signs_are_signs_and_carry_no_words() {
        for sign in ["", "👍", "❤️", "👨‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "©", "‼️"]
        {
            assert!(is_reaction(sign), "{sign}");
        }
        for words in ["yes", "👍 ok", "\n", "é", "http://a"] {
            assert!(!is_reaction(words), "{words}");
        }
        assert!(!is_reaction(&"👍".repeat(17)));
    }

    #[test]
    fn the_bytes_of_wire_version_1_stay_as_they_are() {
        let payload = Payload::new(PayloadId([0xAB; 16]), 1_800_000_000_000, DEFAULT_TIMER, text("hi"));
        let hex = hex::encode(payload.encode().unwrap());
        insta::assert_snapshot!("payload_text_v1", hex);
    }
}
