//! The verbs that change what opens a profile.

use mayfly_core::{Engine, Passphrase};
use serde::Serialize;

use crate::{
    args::{Args, PassphraseVerb},
    output::{Failure, print},
    verbs::read_passphrase,
};

/// What opens the profile now.
#[derive(Serialize)]
struct AccessView {
    has_passphrase: bool,
}

/// Changes the passphrase; `present` is the one that opened the profile.
///
/// # Errors
/// `passphrase_required` if a line is missing; those of the engine.
pub async fn change(
    args: &Args,
    engine: &Engine,
    verb: PassphraseVerb,
    present: Option<Passphrase>,
) -> Result<(), Failure> {
    // Where there is none, the engine says so, whatever it is given.
    let present = present.unwrap_or_else(|| Passphrase::from(String::new()));
    let words = match verb {
        PassphraseVerb::Set => {
            engine.set_passphrase(read(args)?).await?;
            "The passphrase is set. Nobody can bring it back if it is lost."
        }
        PassphraseVerb::Change => {
            engine.change_passphrase(present, read(args)?).await?;
            "The passphrase is changed. One for duress, if there was one, has to be set again."
        }
        PassphraseVerb::Remove => {
            engine.remove_passphrase(present).await?;
            "The passphrase is removed: whoever has this computer has the profile."
        }
        PassphraseVerb::Duress { off } => {
            let duress = if off { None } else { Some(read(args)?) };
            engine.set_duress(present, duress).await?;
            if off { "There is no passphrase for duress." } else { "The passphrase for duress is set." }
        }
    };
    print(args.json, &AccessView { has_passphrase: engine.profile().has_passphrase }, words)
}

fn read(args: &Args) -> Result<Passphrase, Failure> {
    if args.passphrase_stdin {
        return read_passphrase();
    }
    Err(Failure::new("passphrase_required", "Passphrases are read from standard input: use --passphrase-stdin."))
}
