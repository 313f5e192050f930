//! Texts that occur nowhere else, so that finding one means finding what was said.

use std::collections::HashSet;
use std::fmt;
use std::io;

use ring::rand::{SecureRandom, SystemRandom};

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aeio";
const WORDS: usize = 3;
const SYLLABLES: usize = 5;

/// A text to be sent and later looked for: three words of ten random letters.
///
/// Every single word counts as a find. A text that is cut at a page border, or broken up by a search
/// index, still leaves whole words behind.
///
/// `Debug` shows the label alone: a report that printed the canary would be a leak of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Canary {
    label: String,
    words: [String; WORDS],
}

impl Canary {
    /// The name under which a hit is reported, chosen by the story.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The text to put into a message, a name or a file.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }

    /// The words, each of which the scanner looks for by itself.
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canary").field("label", &self.label).finish_non_exhaustive()
    }
}

/// Hands out canaries; no word comes twice from one source.
pub struct Canaries {
    random: SystemRandom,
    given: HashSet<String>,
}

impl Canaries {
    /// A new source.
    pub fn new() -> Self {
        Self { random: SystemRandom::new(), given: HashSet::new() }
    }

    /// A canary that was never handed out before.
    ///
    /// # Errors
    ///
    /// Fails when the system's random source does.
    pub fn make(&mut self, label: impl Into<String>) -> io::Result<Canary> {
        let mut words: [String; WORDS] = Default::default();
        for word in &mut words {
            *word = self.word()?;
        }
        Ok(Canary { label: label.into(), words })
    }

    fn word(&mut self) -> io::Result<String> {
        loop {
            let mut random = [0_u8; SYLLABLES];
            self.random.fill(&mut random).map_err(|_| io::Error::other("the system gave no random bytes"))?;
            let word: String = random.iter().flat_map(|byte| syllable(*byte)).collect();
            if self.given.insert(word.clone()) {
                return Ok(word);
            }
        }
    }
}

impl Default for Canaries {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Canaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canaries").field("given", &self.given.len()).finish_non_exhaustive()
    }
}

/// Six of the eight bits name a consonant and a vowel: letters only, since those survive JSON, URLs
/// and the URL-safe base64 alphabet unchanged.
fn syllable(byte: u8) -> [char; 2] {
    let consonant = CONSONANTS.get(usize::from(byte >> 4)).copied().unwrap_or(b'b');
    let vowel = VOWELS.get(usize::from(byte & 3)).copied().unwrap_or(b'a');
    [char::from(consonant), char::from(vowel)]
}
