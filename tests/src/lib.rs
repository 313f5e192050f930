//! What the stories in `stories/` stand on: the attacker's eyes, real programs, and a screen of
//! their own.
//!
//! Nothing here knows how the vault keeps its secrets from the inside. [`forensics`] reads files as
//! somebody would who took the disk and was handed the database key; [`process`] starts the programs
//! a user would start, [`cli`] talks to the one without a window; [`xvfb`] gives their windows a display that nobody else looks at.

pub mod cli;
pub mod disk_image;
pub mod faulty;
pub mod forensics;
pub mod lives;
pub mod login;
pub mod people;
pub mod process;
pub mod sabotage;
pub mod two_windows;
pub mod window;
pub mod wiretap;
pub mod xvfb;
