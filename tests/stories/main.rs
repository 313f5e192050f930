//! The stories: over public programs and APIs only, with real relays, real profiles and real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

mod arrangements;
mod backups;
mod clock_back;
mod command_line;
mod damage;
mod deadline;
mod destroyed;
mod disks;
mod doors;
mod drafts;
mod faults;
mod followup_windows;
mod followups;
mod kills;
mod locked_windows;
mod locks;
mod memory;
mod no_trace;
mod pages;
mod papers;
mod programs;
mod reboots;
mod sabotages;
mod scanner;
mod seals;
mod steps;
mod windows;
mod wire;
