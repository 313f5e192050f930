//! An audit that anybody can run: what of the dead could still be found on this machine, and a canary that lives and dies
//! here before it is looked for.
//!
//! The canary is three random words in an item of the profile's own vault, on the profile's own disk. After its death the
//! item must be gone, and its words must lie in no file that was written meanwhile.

mod canary;
mod machine;
mod search;
mod view;

use std::path::PathBuf;

use mayfly_vault::{ItemId, Life, NewItem, Urgency};
use zeroize::Zeroizing;

pub use view::{AuditView, CanaryView, FactState, FactView, FindView, Verdict};

use crate::{Engine, Error, ProfilePlace, engine::blocking, store::Kind};

/// How long the canary lives, in milliseconds.
const LIFE_MS: i64 = 2_000;
/// How often it is asked whether it is due, in milliseconds.
const STEP_MS: u64 = 100;
/// Files outside of the profile count as written meanwhile from this long before the canary on: file systems round.
const SLACK_MS: i64 = 3_000;

impl Engine {
    /// Looks at the machine, lets a canary live and die in the open profile, and looks for what is left of it. Takes some
    /// seconds. `place` is where the profile was opened.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`], [`Error::ReadOnly`]: the canary could not be written or wiped.
    pub async fn audit(&self, place: &ProfilePlace) -> Result<AuditView, Error> {
        self.audit_while(place, |_| ()).await
    }

    /// [`audit`](Self::audit), with something done with the canary's words while it lives: a leak, so that a test sees
    /// that it is found.
    ///
    /// # Errors
    /// As [`audit`](Self::audit).
    pub async fn audit_while(
        &self,
        place: &ProfilePlace,
        meanwhile: impl FnOnce(&str) + Send,
    ) -> Result<AuditView, Error> {
        let canary = self.live_and_die(place, meanwhile).await?;
        let facts = machine::facts(place, self.store().tier(), self.store().has_passphrase());
        Ok(AuditView { verdict: Verdict::of(&facts, &canary), facts, canary })
    }

    async fn live_and_die(
        &self,
        place: &ProfilePlace,
        meanwhile: impl FnOnce(&str) + Send,
    ) -> Result<CanaryView, Error> {
        let vault = self.store();
        let since = vault.clock().read().wall.plus_ms(-SLACK_MS);
        let words = canary::words()?;
        let id = ItemId::random()?;
        let due = vault.now().plus_ms(LIFE_MS);
        let body = Zeroizing::new(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        let written = body.clone();
        let insert = move |writer: &mut mayfly_vault::Writer<'_>| {
            let life = Life::Until(due);
            let kind = Kind::Audit.number();
            writer.insert(&NewItem { id, chat: None, kind, life, body: written.as_bytes() })?;
            Ok::<_, Error>(())
        };
        vault.write(Urgency::User, insert).await?;
        let opened = vault.read(|reader| reader.item(id))?.and_then(|item| item.body);
        let could_be_read = opened.is_some_and(|found| found.as_slice() == body.as_bytes());
        meanwhile(&body);
        // Deadlines lie on whole seconds, so that this is the first moment at which it has to be dead.
        while vault.now() < due.plus_ms(1_000) {
            vault.clock().wait(STEP_MS).await;
        }
        vault.wipe().await?;
        vault.settled().await?;
        let is_gone = vault.read(|reader| reader.item(id))?.is_none();
        drop(body);
        let (own, around) = (vec![place.dir.clone(), place.share_dir.clone()], machine::places_that_remember());
        let found = blocking(move || Ok(search(&words, &own, &around, since.0))).await?;
        Ok(CanaryView { could_be_read, is_gone, ..found })
    }
}

/// Looks for the words in all files of the profile, and around it in those written since.
fn search(words: &[Zeroizing<String>], own: &[PathBuf], around: &[PathBuf], since_ms: i64) -> CanaryView {
    let Some(mut search) = search::Search::new(words) else { return CanaryView::default() };
    for folder in own {
        search.folder(folder, None);
    }
    let mut view = CanaryView { own_unreadable: search.unreadable, ..CanaryView::default() };
    for folder in around {
        search.folder(folder, Some(since_ms));
    }
    view.files = search.files;
    view.bytes = search.bytes;
    view.finds = search.finds.into_iter().collect();
    view
}
