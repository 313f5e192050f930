//! `./dev demo`: two people on a screen each invite each other and chat with a 10-second timer; pictures of both windows
//! before and after, and a search for what they said in everything that was written.
#![allow(clippy::print_stdout)]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use mayfly_tests::{
    forensics::{Canaries, Canary, PageCipher, Report, Scanner, leak},
    process::{Home, Program, program},
    two_windows::{begin, deadline, meet, say, set_message_timer, two, until_gone},
    window::{Desk, Result, Window},
};

/// How long one of the programs may take to end.
const LIMIT: Duration = Duration::from_secs(20);
/// How long words may stay after the deadline, which is shown in whole seconds.
const GONE: Duration = Duration::from_secs(13);

#[tokio::main]
async fn main() -> ExitCode {
    match play().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("The demonstration broke off: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays it; whether nothing was found.
async fn play() -> Result<bool> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder)?;
    let desks = [Desk::new(false)?, Desk::new(false)?];
    println!("Two windows open, on screens of their own.");
    let windows = two([&desks[0], &desks[1]]).await?;
    let [mara, jonas] = &windows;
    tokio::try_join!(begin(mara, "Mara Keller"), begin(jonas, "Jonas Lindqvist"))?;
    meet(mara, jonas, ("Mara Keller", "Jonas Lindqvist")).await?;
    println!("They have met. They talk, with 10 seconds for what must not stay.");
    let mut canaries = Canaries::new();
    let secrets = [canaries.make("what Mara said")?, canaries.make("what Jonas said")?];
    talk(&windows, &secrets).await?;
    pictures(&windows, &folder, "before").await?;
    // The later of the two deadlines is that of the later message.
    let at = deadline(mara, &secrets[1].text()).await?.ok_or("the timer of the last message does not run")?;
    println!("Both windows show it; it dies at {}.", at.format("%H:%M:%S"));
    for window in &windows {
        for secret in &secrets {
            until_gone(window, &secret.text(), GONE).await?;
        }
    }
    tokio::time::sleep(Duration::from_millis(600)).await;
    pictures(&windows, &folder, "after").await?;
    println!("It is gone from both windows.");
    let [mara, jonas] = windows;
    tokio::try_join!(mara.close(), jonas.close())?;
    let verdict = search(&desks, &secrets, &mut canaries, &folder)?;
    println!("Pictures and report: {}", folder.display());
    Ok(verdict)
}

async fn talk(windows: &[Window; 2], secrets: &[Canary; 2]) -> Result<()> {
    let [mara, jonas] = windows;
    say(mara, "I have read the draft. Two things, then it can go.").await?;
    jonas.until_shows("Two things").await?;
    say(jonas, "Go on, I am listening.").await?;
    mara.until_shows("Go on").await?;
    set_message_timer(mara, 10, "after_send").await?;
    set_message_timer(jonas, 10, "after_send").await?;
    let [code, answer] = secrets;
    say(mara, &format!("The words for the door: {}.", code.text())).await?;
    jonas.until_shows(&code.text()).await?;
    say(jonas, &format!("Thank you. And for the cellar: {}.", answer.text())).await?;
    mara.until_shows(&answer.text()).await?;
    // Time for the ticks to arrive, so that the pictures show a conversation at rest.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    Ok(())
}

async fn pictures(windows: &[Window; 2], folder: &Path, when: &str) -> Result<()> {
    for (window, name) in windows.iter().zip(["mara", "jonas"]) {
        window.picture(&folder.join(format!("{name}-{when}.png"))).await?;
    }
    Ok(())
}

/// Searches everything both apps wrote, the databases page by page with their keys in hand.
fn search(desks: &[Desk; 2], secrets: &[Canary; 2], canaries: &mut Canaries, folder: &Path) -> Result<bool> {
    let control = canaries.make("planted leak")?;
    let mut all = secrets.to_vec();
    all.push(control.clone());
    let scanner = Scanner::new(&all)?;
    let mut report = Report::default();
    for desk in desks {
        // A search that cannot see a leak may not say that there is none.
        let planted = desk.home.runtime_dir().join("mayfly-webview");
        std::fs::create_dir_all(&planted)?;
        leak::plant_in_webview(&planted, &control)?;
        report.add(scanner.tree(desk.home.root())?);
        let profile = desk.home.data_dir().join("mayfly").join("profile");
        report.add(scanner.database(&profile.join("vault.db"), &cipher(&desk.home, &profile)?)?);
    }
    let found = report.labels();
    let is_whole = report.unreadable.is_empty() && report.pages.authentic > 0;
    let saw_the_leak = found.contains("planted leak") && is_whole;
    let is_clean = found.len() == 1 && saw_the_leak;
    let verdict = match (saw_the_leak, is_clean) {
        (false, _) => {
            "The search could not read everything, or did not see the leak that was planted for it; it proves nothing."
        }
        (true, true) => "Nothing of what was said is left. The leak that was planted for the search was found.",
        (true, false) => "Something of what was said is left: see the report.",
    };
    std::fs::write(folder.join("report.txt"), format!("{verdict}\n\n{report:#?}\n"))?;
    println!("{verdict}");
    Ok(is_clean)
}

/// The key of a closed profile's database, from the command line built for attackers.
fn cipher(home: &Home, profile: &Path) -> Result<PageCipher> {
    let mut command = home.command(program("mayfly-cli")?);
    command.arg("--profile").arg(profile).args(["--json", "vault", "key"]);
    let ended = Program::run(command, "", LIMIT)?;
    let line = ended.stdout.first().ok_or_else(|| ended.stderr.join("; "))?;
    let key: serde_json::Value = serde_json::from_str(line)?;
    let field = |name: &str| key.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
    Ok(PageCipher::from_hex(&field("key"), &field("salt"))?)
}

fn folder() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache.ok_or("there is no home for the pictures")?.join("mayfly").join("demo"))
}
