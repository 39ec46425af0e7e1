//! The desk's faces: configuration, command line, pages and APIs, and the sandbox that stands in for the outside world.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bounded_file;
pub mod cli;
pub mod config;
pub mod escape;
pub mod front;
mod listeners;
mod lock;
pub mod logging;
mod new_file;
pub mod quote;
pub mod run;
pub mod sandbox;
mod signals;
pub mod web;
