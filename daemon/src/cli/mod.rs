//! The command line: what can be asked of the `millrace` program, and how it answers.
//!
//! `deposits`, `deposit`, `ledger`, `parts`, `halt`, `resume`, `switch`, `declare`, `events` and `backup` ask the running desk through
//! its operator API; they never open its database. `why`, `replay`, `diff`, `redecide`, `verify` and `export` read a
//! log's files, and work without a desk; `import` makes one, and `compact` makes one smaller. `forget` writes to the file of the
//! customers' keys alone, `operators` to that of the operators' accounts. `rebuild` asks the running desk, and does it itself where none
//! runs. `notify` is a job of its own, which reads a desk anywhere. Exit codes: 0 done, 1 failed, 64 not understood, 78 the
//! configuration is wrong (as in `sysexits.h`); of `notify` also 69 unavailable and 75 not all done yet.

mod backup;
mod brakes;
mod check;
mod client;
mod compact;
mod declare;
mod deposits;
mod diff;
mod events;
mod exit;
mod export;
mod forget;
mod import;
mod ledger;
mod log_file;
mod notify;
mod operators;
mod parts;
mod rebuild;
mod redecide;
mod replay;
mod start;
#[cfg(test)]
mod testing;
mod verify;
mod webhooks;
mod why;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use crate::sandbox::cli::SandboxArgs;
pub use exit::{Exit, Usage};
pub use start::main;

/// Millrace, a self-healing coin desk: takes bitcoin deposits and pays out skycoin.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, arg_required_else_help = false, after_help = EXAMPLES)]
pub struct Cli {
    /// The configuration file; without one the desk runs in the sandbox.
    #[arg(long, global = true, env = "MILLRACE_CONFIG", value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// What to do; `run` when left out.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  millrace                                     run the desk in the sandbox
  millrace --config desk.toml check-config     see what a configuration comes to
  millrace deposits --status held              what waits for an operator
  millrace events --follow --json              everything that happens, as it happens
  millrace verify --log copy.db                prove a backup
  millrace why DEPOSIT                         what happened to it, and why
  millrace export --deposit ID --redact        take it home without what tells of a person

Every setting can also come from the environment: MILLRACE_SECTION__KEY, see millrace.example.toml.
Exit codes: 0 done, 1 failed, 64 command line not understood, 78 configuration refused.";

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the desk until it is stopped (SIGINT or SIGTERM).
    Run,
    /// The desk behind the front, which starts it.
    #[command(hide = true)]
    Core,
    /// Run or control the sandbox: stand-ins for nodes and exchange.
    Sandbox(SandboxArgs),
    /// Check the configuration and show what takes effect, without secrets.
    #[command(after_help = "Each line names where its value comes from: default, FILE:LINE or a variable.")]
    CheckConfig,
    /// List deposits, newest first.
    Deposits(deposits::List),
    /// One deposit.
    #[command(subcommand)]
    Deposit(deposits::One),
    /// Print what stands on the ledger's accounts.
    Ledger(ledger::Ledger),
    /// List the desk's parts and what they are doing.
    Parts(parts::List),
    /// Stop orders and payouts at once; everything else goes on.
    Halt(brakes::Why),
    /// Let orders and payouts go out again.
    Resume(brakes::Why),
    /// Turn new addresses, orders or payouts on or off.
    Switch(brakes::Turn),
    /// Declare coins that move without a customer: an opening balance, a refill or a sweep.
    #[command(after_help = declare::EXAMPLES)]
    Declare(declare::Transfer),
    /// Print the log's events, oldest first.
    #[command(after_help = events::EXAMPLES)]
    Events(events::Events),
    /// Tell what happened to a deposit and why, in sentences.
    #[command(after_help = why::NOTES)]
    Why(why::Why),
    /// Step through the events of a stream, with the state before and after each.
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Replay),
    /// Hold two moments of the whole desk against each other.
    #[command(after_help = diff::NOTES)]
    Diff(diff::Diff),
    /// Decide recorded commands again with the rules of this version, and tell what comes out otherwise.
    #[command(after_help = redecide::NOTES)]
    Redecide(redecide::Redecide),
    /// Copy the running desk's log into a new file.
    #[command(after_help = backup::NOTES)]
    Backup(backup::Backup),
    /// Write a log, or one deposit of it, down as JSON Lines.
    #[command(after_help = export::NOTES)]
    Export(export::Export),
    /// Forget a customer: destroy the key of what operators said of him.
    #[command(after_help = forget::NOTES)]
    Forget(forget::Forget),
    /// Make a log of an export, for a look in the sandbox.
    #[command(after_help = import::NOTES)]
    Import(import::Import),
    /// Pack what is old of a stopped desk's log, and give back the room.
    #[command(after_help = compact::NOTES)]
    Compact(compact::Compact),
    /// Make projections, what pages and APIs show, anew from the log.
    #[command(after_help = rebuild::NOTES)]
    Rebuild(rebuild::Rebuild),
    /// Tell others what happens: webhooks, and what was sent to them.
    #[command(subcommand, after_help = webhooks::NOTES)]
    Webhooks(webhooks::Webhooks),
    /// Who may log in to the console.
    #[command(subcommand, after_help = operators::NOTES)]
    Operators(operators::Operators),
    /// Tell sinks what is new and end: for cron, timers and scheduled functions.
    #[command(after_help = notify::NOTES)]
    Notify(notify::Notify),
    /// Prove a log: hashes, streams, ledger, head file and views.
    #[command(after_help = verify::NOTES)]
    Verify(verify::Verify),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    #[command(after_help = "Example: millrace completions bash > /etc/bash_completion.d/millrace")]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}
