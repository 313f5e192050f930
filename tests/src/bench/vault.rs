//! The vault: how soon the dead are irrecoverable, what is left of them, and what it costs beside the database alone.

mod big;
mod busy;
mod dead;
mod panic;
mod state;
mod store;
mod wipes;

use crate::{Outcome, figure::Figure};
use big::Big;

/// Measures and hands out one figure after the other.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(print: &mut impl FnMut(&Figure)) -> Outcome<()> {
    wipes::of_few(print)?;
    let mut big = Big::build(print)?;
    big.read(print)?;
    wipes::of_many(print, &mut big)?;
    busy::measure(print, &big)?;
    drop(big);
    panic::measure(print)?;
    state::measure(print)?;
    dead::measure(print)
}
