//! `./dev bench`: figures, each beside a peer or a limit that is measured in the same run, and the bars between them.
//!
//! Milliseconds alone say how fast a machine is. So each figure is a ratio: to what the same disk, the same database
//! without a vault, or the same relay without an app takes in the same moment. The bars stand in `bars.rs`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // What is measured is printed, that is all this program does.

mod bars;
mod chat;
mod figure;
mod plain;
mod signal;
mod stopwatch;
mod vault;

use std::{collections::BTreeSet, error::Error, process::ExitCode};

use figure::Figure;

/// What measuring gives; an error of any kind ends the run.
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const AREAS: [&str; 4] = ["vault", "media", "chat", "app"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, areas): (Vec<&str>, Vec<&str>) = arguments.iter().map(String::as_str).partition(|a| a.starts_with('-'));
    let unknown = flags.iter().find(|flag| **flag != "--json").or(areas.iter().find(|area| !AREAS.contains(area)));
    if let Some(unknown) = unknown {
        eprintln!("There is no {unknown} to measure. Use: bench [vault|media|chat|app] [--json]");
        return ExitCode::from(2);
    }
    let areas = if areas.is_empty() { AREAS.to_vec() } else { areas };
    match run(&areas, !flags.is_empty()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("It could not be measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; whether every bar holds.
fn run(areas: &[&str], is_json: bool) -> Outcome<bool> {
    if cfg!(debug_assertions) {
        eprintln!("This is a debug build: its figures mean nothing. `./dev bench` builds the right one.");
    }
    if !is_json {
        println!("{}", figure::HEAD);
    }
    let mut do_all_hold = true;
    let mut measured = BTreeSet::new();
    let mut print = |figure: &Figure| {
        do_all_hold &= figure.holds();
        measured.insert(figure.name());
        println!("{}", if is_json { figure.json() } else { figure.row() });
    };
    for area in areas {
        match *area {
            "vault" => vault::measure(&mut print)?,
            "chat" => chat::measure(&mut print)?,
            later => eprintln!("{later}: comes with the part of Mayfly that it measures."),
        }
    }
    // A bar under a name that no figure has would never fall.
    let is_whole = AREAS.iter().all(|area| areas.contains(area));
    for bar in bars::BARS.iter().filter(|bar| is_whole && !measured.contains(bar.figure)) {
        eprintln!("There is a bar for {}, which was not measured.", bar.figure);
        do_all_hold = false;
    }
    Ok(do_all_hold)
}
