//! Every no that a client can get, with its machine-readable prefix (NIP-01).

/// A refusal. `Display` is what is sent: a prefix that programs read, then a sentence part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("invalid: this is not a message that NIP-01 or NIP-42 knows")]
    NotAMessage,
    #[error("invalid: messages are text, not binary")]
    Binary,
    #[error("invalid: this message is larger than the relay reads")]
    MessageTooLarge,
    #[error("invalid: the event is larger than this relay takes")]
    EventTooLarge,
    #[error("invalid: the event has more tags than this relay takes")]
    TooManyTags,
    #[error("blocked: this relay does not take events of this kind")]
    Kind,
    #[error("invalid: the event needs exactly one expiration tag")]
    NoExpiration,
    #[error("invalid: the event has expired")]
    Expired,
    #[error("invalid: the expiration lies too far ahead")]
    LivesTooLong,
    #[error("invalid: created_at lies too far in the past")]
    TooOld,
    #[error("invalid: created_at lies too far in the future")]
    TooNew,
    #[error("invalid: the event needs exactly one h tag")]
    NoRoute,
    #[error("invalid: the event needs exactly one p tag with a public key")]
    NoAddressee,
    #[error("invalid: the event needs exactly one d tag")]
    NoAddress,
    #[error("invalid: a commit has exactly one s tag")]
    ManySlots,
    #[error("invalid: a deletion names events by e or a tags, and not too many")]
    NothingNamed,
    #[error("blocked: only its own key or its addressee may delete an event")]
    NotYours,
    #[error("blocked: a commit stays until it expires")]
    CommitStays,
    #[error("blocked: this event was deleted")]
    Deleted,
    #[error("blocked: another commit holds this slot")]
    SlotTaken,
    #[error("duplicate: a newer event holds this address")]
    Superseded,
    #[error("duplicate: already have this event")]
    Duplicate,
    #[error("blocked: this relay is full")]
    Full,
    #[error("error: this relay cannot erase at the moment, so it takes nothing new")]
    CannotErase,
    #[error("rate-limited: slow down")]
    TooFast,
    #[error("invalid: the authentication names another relay")]
    OtherRelay,
    #[error("invalid: a query names its kinds, and only kinds of this relay")]
    QueryKinds,
    #[error("invalid: gift wraps are asked for alone, by one p value")]
    QueryWraps,
    #[error("invalid: key packages are asked for alone, by author and d value")]
    QueryAddresses,
    #[error("invalid: a query names exact h or s values")]
    QueryRoutes,
    #[error("invalid: a query may hold only kinds, tag values, since, until and limit")]
    QueryShape,
    #[error("invalid: the query has too many filters or values")]
    QueryTooLarge,
    #[error("blocked: this relay does not count")]
    Count,
    #[error("blocked: this relay does not reconcile")]
    Reconcile,
}
