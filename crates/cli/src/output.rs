//! What is printed.

use std::{
    io::{Write as _, stderr, stdout},
    process::ExitCode,
};

use serde::Serialize;

/// Why a verb failed.
#[derive(Debug, Serialize)]
pub struct Failure {
    code: String,
    message: String,
    /// Seconds until it makes sense to try again.
    #[serde(skip_serializing_if = "Option::is_none")]
    wait_s: Option<u64>,
}

impl Failure {
    /// A failure of this shell's own.
    pub fn new(code: &str, message: &str) -> Self {
        Self { code: code.to_owned(), message: message.to_owned(), wait_s: None }
    }

    /// The machine gave no threads.
    pub fn runtime() -> Self {
        Self::new("runtime_failed", "The program could not start its threads. Close some others and try again.")
    }

    /// Whoever reads our output went away.
    pub fn is_pipe_closed(&self) -> bool {
        self.code == "pipe_closed"
    }
}

impl From<mayfly_core::Error> for Failure {
    fn from(error: mayfly_core::Error) -> Self {
        Self { code: error.code().to_owned(), message: error.to_string(), wait_s: error.wait_s() }
    }
}

/// Prints one object, as JSON or in words.
///
/// # Errors
/// `pipe_closed` if nobody reads.
pub fn print(json: bool, object: &impl Serialize, words: &str) -> Result<(), Failure> {
    let line = if json {
        serde_json::to_string(object).map_err(|_| Failure::new("output_failed", "The answer could not be written."))?
    } else {
        words.to_owned()
    };
    // In one piece with its end: what comes in two stays in the buffer of standard output until something overwrites it.
    let line = line + "\n";
    let mut out = stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(|_| Failure::new("pipe_closed", "Nobody reads."))
}

/// Tells why it failed; the exit code is 1.
pub fn fail(json: bool, failure: &Failure) -> ExitCode {
    if failure.is_pipe_closed() {
        return ExitCode::SUCCESS;
    }
    let line = match serde_json::to_string(failure) {
        Ok(line) if json => line,
        _ => failure.message.clone(),
    };
    let _ = writeln!(stderr().lock(), "{line}");
    ExitCode::FAILURE
}

/// A build that can hand out keys says so before anything else.
pub fn announce_forensics() {
    #[cfg(feature = "forensics")]
    {
        let _ = writeln!(stderr().lock(), "mayfly-cli: this is a build for attacking the files; it can hand out keys.");
    }
}
