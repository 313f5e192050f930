//! The verbs that change what opens a profile.

use mayfly_core::{Engine, Passphrase, ProfilePlace};

use crate::{
    args::{Args, PassphraseVerb, Switch},
    output::{Failure, print},
    verbs::read_passphrase,
};

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
        PassphraseVerb::LockAfter { time } => {
            engine.set_lock_after(time.0).await?;
            if time.0.is_some() {
                "The window locks once nobody has been at it for so long."
            } else {
                "The window locks when it is told to."
            }
        }
        PassphraseVerb::Limit { failures } => {
            engine.set_erase_after(failures.0).await?;
            if failures.0.is_some() {
                "That many wrong passphrases in a row destroy the profile."
            } else {
                "Wrong passphrases cost time, and nothing else."
            }
        }
        PassphraseVerb::Duress { off } => {
            let duress = if off { None } else { Some(read(args)?) };
            engine.set_duress(present, duress).await?;
            if off { "There is no passphrase for duress." } else { "The passphrase for duress is set." }
        }
    };
    tell(args, engine, words)
}

/// Ties the profile to the keyring, or unties it.
///
/// # Errors
/// Those of the engine.
pub async fn switch_keyring(args: &Args, engine: &Engine, switch: Switch) -> Result<(), Failure> {
    engine.use_keyring(switch == Switch::On).await?;
    let words = match switch {
        Switch::On => "The profile opens only with the keyring of this login now.",
        Switch::Off => "The profile opens without the keyring now.",
    };
    tell(args, engine, words)
}

/// Ties the profile to the TPM, or unties it.
///
/// # Errors
/// Those of the engine.
pub async fn switch_tpm(args: &Args, engine: &Engine, switch: Switch) -> Result<(), Failure> {
    engine.use_tpm(switch == Switch::On).await?;
    let words = match switch {
        Switch::On => "The profile opens only with the TPM of this machine now.",
        Switch::Off => "The profile opens without the TPM now.",
    };
    tell(args, engine, words)
}

/// Destroys the profile, whoever has it open.
///
/// # Errors
/// Those of the engine.
pub async fn panic(args: &Args) -> Result<(), Failure> {
    let place = ProfilePlace::for_dir(&args.profile);
    if !Engine::exists(&place) {
        return Err(mayfly_core::Error::ProfileMissing.into());
    }
    Engine::panic_at(&place).await?;
    print(args.json, &serde_json::json!({ "destroyed": true }), "The profile is destroyed. Nothing opens it again.")
}

/// Destroys the profile, which nobody has open, and removes every file of it.
///
/// # Errors
/// Those of the engine.
pub async fn erase(args: &Args) -> Result<(), Failure> {
    let place = ProfilePlace::for_dir(&args.profile);
    if !place.dir.exists() && !place.share_dir.exists() {
        return Err(mayfly_core::Error::ProfileMissing.into());
    }
    Engine::erase_at(&place).await?;
    print(args.json, &serde_json::json!({ "erased": true }), "The profile is destroyed, and its files are removed.")
}

fn tell(args: &Args, engine: &Engine, words: &str) -> Result<(), Failure> {
    print(args.json, &engine.security(), words)
}

fn read(args: &Args) -> Result<Passphrase, Failure> {
    if args.passphrase_stdin {
        return read_passphrase();
    }
    Err(Failure::new("passphrase_required", "Passphrases are read from standard input: use --passphrase-stdin."))
}
