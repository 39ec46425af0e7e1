//! What needs more than one crate to be tested: the rules of the house, the real programs the desk is tried
//! against, and the scenarios in `tests/tests`.
//!
//! # Layout
//!
//! * [`house`] reads our own sources, so that a rule is a test and not a wish.
//! * [`desk`] is the real program in a folder of its own, [`operator`] its operator's API, [`console`] its pages, [`world`] what it deals with
//!   when it is configured as in production.
//! * [`receiver`] is somebody who is told what happens.
//! * [`command_line`] runs the program for one command.
//! * [`judge`] holds a run's log against what the outside world says happened; [`seed`] makes chance repeatable.
//! * [`drawn_log`] draws logs of any length with histories that could have happened; [`idle_events`] makes one longer.
//! * [`drill`] does to the real program what machines, disks and networks do; [`process`] and [`sandbox`] serve it.
//! * [`tampering`] does to a log what no desk does; [`golden`] has the logs of every schema.
//! * [`simulation`] lives whole lives of a desk in one thread and no time.
//! * [`peers`] starts real programs (a Bitcoin node, a browser) and takes them down again.
//!
//! `tests/run` sets everything up and runs everything; `tests/README.md` says what it needs.

pub mod bench;
pub mod command_line;
pub mod console;
pub mod desk;
pub mod drawn_log;
pub mod drill;
pub mod followed_log;
pub mod fuzz;
pub mod golden;
pub mod house;
pub mod idle_events;
pub mod job;
pub mod job_store;
pub mod judge;
pub mod operator;
pub mod peers;
pub mod ports;
pub mod process;
pub mod receiver;
pub mod sandbox;
pub mod seed;
pub mod simulation;
pub mod tampering;
pub mod world;
