//! Telling notifications by a job: a process that is started every few minutes, tells its sinks what came since, and ends.
//!
//! It has no files. What is told it reads from a desk over HTTP ([`feed`]); where each sink is it keeps in a database, SQLite
//! or PostgreSQL ([`store`]). A sink has a place and a lease of its own, so whatever happens at one neither holds back nor
//! repeats what the others are told, and two runs at once share the work instead of doing it twice. What follows from an
//! attempt is decided without effects ([`progress`]); [`run`] puts them together.
//!
//! The sinks are those of [`crate::delivery::sinks`]: a receiver is told the same by the desk and by a job.

pub mod feed;
pub mod progress;
pub mod run;
pub mod store;
pub mod summary;
mod turn;
