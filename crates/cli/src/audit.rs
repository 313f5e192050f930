//! The verb that looks for what is left.

use std::{fmt::Write as _, path::Path};

use mayfly_core::{
    Engine, ProfilePlace,
    audit::{AuditView, FactState, Verdict},
};

use crate::{
    args::Args,
    output::{Failure, print},
};

/// Runs an audit and tells it; `plant` is a file into which the canary is written while it lives.
///
/// # Errors
/// `audit_leak` if something is left; those of the engine.
pub async fn run(args: &Args, engine: &Engine, plant: Option<&Path>) -> Result<(), Failure> {
    let place = ProfilePlace::for_dir(&args.profile);
    let mut planted = Ok(());
    let leak = |words: &str| planted = plant.map_or(Ok(()), |file| std::fs::write(file, words));
    let audit = engine.audit_while(&place, leak).await?;
    planted
        .map_err(|_| Failure::new("plant_failed", "The leak could not be planted. Name a file that can be written."))?;
    print(args.json, &audit, &words(&audit))?;
    if audit.verdict == Verdict::Leak {
        return Err(Failure::new(
            "audit_leak",
            "Something of a dead message is left, or could not be looked for: see above.",
        ));
    }
    Ok(())
}

fn words(audit: &AuditView) -> String {
    let mut text = String::new();
    for fact in &audit.facts {
        let mark = match fact.state {
            FactState::Good => "ok   ",
            FactState::Weak => "weak ",
            FactState::Unknown => "?    ",
        };
        let _ = writeln!(text, "{mark} {}", fact.words);
    }
    let canary = &audit.canary;
    for find in &canary.finds {
        let _ = writeln!(text, "LEAK  as {} in {}", find.disguise, find.file.display());
    }
    if !canary.could_be_read {
        text.push_str("LEAK  The message of the audit could not be read while it lived, so that nothing is proven.\n");
    }
    if !canary.is_gone {
        text.push_str("LEAK  The message of the audit is still there after its death.\n");
    }
    if canary.own_unreadable > 0 {
        let _ = writeln!(text, "LEAK  {} files of the profile could not be read.", canary.own_unreadable);
    }
    let verdict = match audit.verdict {
        Verdict::Clean => "Clean.",
        Verdict::Weak => "Nothing of it is left; look at what is marked weak or unknown.",
        Verdict::Leak => "Something of it is left.",
    };
    let _ = write!(text, "A message lived and died here; {} files were searched for it. {verdict}", canary.files);
    text
}
