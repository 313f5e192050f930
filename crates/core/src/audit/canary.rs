//! Words that occur nowhere else, so that finding one means finding what was said.

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::Error;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aeio";
const WORDS: usize = 3;
const SYLLABLES: usize = 8;

/// Three words of sixteen random letters; each is looked for by itself, since a page border may cut between them.
pub(super) fn words() -> Result<Vec<Zeroizing<String>>, Error> {
    (0..WORDS).map(|_| word()).collect()
}

fn word() -> Result<Zeroizing<String>, Error> {
    let mut random = Zeroizing::new([0_u8; SYLLABLES]);
    SystemRandom::new().fill(&mut *random).map_err(|_| Error::Protocol("random"))?;
    let mut word = Zeroizing::new(String::with_capacity(2 * SYLLABLES));
    for byte in random.iter() {
        word.push(CONSONANTS.get(usize::from(byte >> 4)).copied().map_or('b', char::from));
        word.push(VOWELS.get(usize::from(byte & 3)).copied().map_or('a', char::from));
    }
    Ok(word)
}
