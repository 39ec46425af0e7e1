//! Others' notifications, read from a real broker and delivered to receivers that check what comes: ton.events' own local test at
//! the real program, which is also killed; encryption and passwords; and what is produced while nobody reads, or cannot be read.

mod cipher;
mod doorman;
mod program;
mod provider;
mod raw;
mod relayed;
