//! What may come in and what may be asked, as pure rules over one event or one filter.

use nostr::{Alphabet, Event, Filter, Kind, PublicKey, SingleLetterTag};

use crate::limits::Limits;
use crate::refusal::Refusal;

/// A message, proposal or commit of a chat.
pub(crate) const MESSAGE: u16 = 7420;
/// A typing sign: handed on, never stored.
pub(crate) const TYPING: u16 = 27420;
/// A gift wrap, readable only by its addressee.
pub(crate) const WRAP: u16 = 1059;
/// The key package of a standing invitation.
pub(crate) const KEY_PACKAGE: u16 = 37420;
/// A deletion: acted on, never stored.
pub(crate) const DELETION: u16 = 5;

/// Longest value of a tag by which events are filed.
const VALUE_BYTES: usize = 128;

/// Under what a stored event is filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filing {
    pub(crate) kind: u16,
    /// The `h`, `p` or `d` value, as the kind has it.
    pub(crate) route: String,
    /// The `s` value of a commit; one living commit each.
    pub(crate) slot: Option<String>,
    /// Second at which the event is gone.
    pub(crate) expires_at: u64,
}

/// What becomes of an event that the rules let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Admitted {
    Stored(Filing),
    Fleeting,
    Deletion,
}

/// Decides about an event by itself: kind, times, tags. Whether a slot is free, an id deleted or
/// the signature right is asked elsewhere.
pub(crate) fn admit(event: &Event, now_s: u64, limits: &Limits) -> Result<Admitted, Refusal> {
    if event.tags.len() > limits.tags {
        return Err(Refusal::TooManyTags);
    }
    let kind = event.kind.as_u16();
    let route = match kind {
        MESSAGE | TYPING => one_value(event, "h").ok_or(Refusal::NoRoute)?,
        WRAP => one_value(event, "p").filter(|value| is_public_key(value)).ok_or(Refusal::NoAddressee)?,
        KEY_PACKAGE => one_value(event, "d").ok_or(Refusal::NoAddress)?,
        DELETION => "",
        _ => return Err(Refusal::Kind),
    };
    check_created_at(event, now_s, limits)?;
    match kind {
        DELETION => check_deletion(event, limits).map(|()| Admitted::Deletion),
        TYPING => Ok(Admitted::Fleeting),
        _ => Ok(Admitted::Stored(Filing {
            kind,
            route: route.to_owned(),
            slot: slot(event, kind)?,
            expires_at: expires_at(event, now_s, limits)?,
        })),
    }
}

/// How many events a client pays for with this one: a deletion costs as many as it names.
pub(crate) fn cost(event: &Event) -> usize {
    if event.kind.as_u16() == DELETION { values(event, "e").count().max(1) } else { 1 }
}

/// Decides about one filter of a query. A filter names its kinds and exact values, so that nobody
/// can look through the store; gift wraps stand alone, so that the rule for reading them
/// (`LocalRelay`'s `auth_dm`, which looks at filters that name kind 1059) cannot be walked around.
pub(crate) fn admit_filter(filter: &Filter, limits: &Limits) -> Result<(), Refusal> {
    let kinds = filter.kinds.as_ref().filter(|kinds| !kinds.is_empty());
    let kinds = kinds.ok_or(Refusal::QueryKinds)?;
    let known = |kind: &Kind| matches!(kind.as_u16(), MESSAGE | TYPING | WRAP | KEY_PACKAGE);
    if !kinds.iter().all(known) {
        return Err(Refusal::QueryKinds);
    }
    let values: usize = filter.generic_tags.values().map(std::collections::BTreeSet::len).sum();
    let authors = filter.authors.as_ref().map_or(0, std::collections::BTreeSet::len);
    if values.saturating_add(authors) > limits.values {
        return Err(Refusal::QueryTooLarge);
    }
    if filter.ids.is_some() || filter.search.is_some() {
        return Err(Refusal::QueryShape);
    }
    let names = |kind: u16| kinds.contains(&Kind::from(kind));
    let only = |kind: u16| kinds.len() == 1 && names(kind);
    if names(WRAP) {
        let fits = only(WRAP) && authors == 0 && tags_are(filter, &[Alphabet::P]);
        return fits.then_some(()).ok_or(Refusal::QueryWraps);
    }
    if names(KEY_PACKAGE) {
        let fits = only(KEY_PACKAGE) && authors > 0 && tags_are(filter, &[Alphabet::D]);
        return fits.then_some(()).ok_or(Refusal::QueryAddresses);
    }
    if filter.authors.is_some() {
        return Err(Refusal::QueryShape);
    }
    let fits = tags_are(filter, &[Alphabet::H])
        || tags_are(filter, &[Alphabet::S])
        || tags_are(filter, &[Alphabet::H, Alphabet::S]);
    fits.then_some(()).ok_or(Refusal::QueryRoutes)
}

/// The values of one tag that a filter asks for.
pub(crate) fn asked(filter: &Filter, letter: Alphabet) -> impl Iterator<Item = &String> {
    filter.generic_tags.get(&SingleLetterTag::lowercase(letter)).into_iter().flatten()
}

/// All values of the tag `name`.
pub(crate) fn values<'a>(event: &'a Event, name: &'a str) -> impl Iterator<Item = &'a str> {
    event.tags.iter().filter_map(move |tag| match tag.as_slice() {
        [tag_name, value, ..] if tag_name == name => Some(value.as_str()),
        _ => None,
    })
}

/// The value of the tag `name` if the event has that tag once, with a value of sensible length.
fn one_value<'a>(event: &'a Event, name: &'a str) -> Option<&'a str> {
    let mut all = event.tags.iter().filter(|tag| {
        let named = tag.as_slice().first();
        named.is_some_and(|tag_name| tag_name == name)
    });
    let value = all.next()?.as_slice().get(1)?;
    let fits = all.next().is_none() && !value.is_empty() && value.len() <= VALUE_BYTES;
    fits.then_some(value.as_str())
}

fn has_tag(event: &Event, name: &str) -> bool {
    let is_named = |tag: &nostr::Tag| tag.as_slice().first().is_some_and(|found| found == name);
    event.tags.iter().any(is_named)
}

fn is_public_key(value: &str) -> bool {
    // Only the lower-case form is what a reader asks for.
    PublicKey::from_hex(value).is_ok_and(|key| key.to_hex() == value)
}

fn slot(event: &Event, kind: u16) -> Result<Option<String>, Refusal> {
    if kind != MESSAGE || !has_tag(event, "s") {
        return Ok(None);
    }
    let value = one_value(event, "s").ok_or(Refusal::ManySlots)?;
    Ok(Some(value.to_owned()))
}

fn check_created_at(event: &Event, now_s: u64, limits: &Limits) -> Result<(), Refusal> {
    let created_at = event.created_at.as_secs();
    if created_at > now_s.saturating_add(limits.future_s) {
        return Err(Refusal::TooNew);
    }
    if created_at < now_s.saturating_sub(limits.past_s) {
        return Err(Refusal::TooOld);
    }
    Ok(())
}

fn expires_at(event: &Event, now_s: u64, limits: &Limits) -> Result<u64, Refusal> {
    let value = one_value(event, "expiration").ok_or(Refusal::NoExpiration)?;
    let expires_at: u64 = value.parse().map_err(|_| Refusal::NoExpiration)?;
    if expires_at <= now_s {
        return Err(Refusal::Expired);
    }
    if expires_at > now_s.saturating_add(limits.life_s) {
        return Err(Refusal::LivesTooLong);
    }
    Ok(expires_at)
}

fn check_deletion(event: &Event, limits: &Limits) -> Result<(), Refusal> {
    let named = values(event, "e").count() + values(event, "a").count();
    let fits = named > 0 && named <= limits.deletions;
    fits.then_some(()).ok_or(Refusal::NothingNamed)
}

/// Whether the filter's tags are exactly these, each with a value.
fn tags_are(filter: &Filter, letters: &[Alphabet]) -> bool {
    filter.generic_tags.len() == letters.len() && letters.iter().all(|letter| asked(filter, *letter).next().is_some())
}
