//! From the command line to the command.

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use millrace_actors::clock::{Clock, SystemClock};

use super::client::Client;
use super::exit::Exit;
use super::{
    Cli, Command, SandboxArgs, backup, brakes, check, declare, deposits, diff, events, import, ledger, parts, redecide,
    replay, why,
};
use crate::config::{self, Ignored, Loaded};
use crate::sandbox::cli::Command as SandboxCommand;
use crate::{front, logging, web};

/// Does what the command line says; prints `error: …` and gives the exit when that fails.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    web::tls::install_provider();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(refused) => {
            let exit = if refused.use_stderr() { Exit::Usage } else { Exit::Done };
            // Help for a reader who hung up is nobody's loss.
            let _ = refused.print();
            return exit;
        }
    };
    match start(cli) {
        Ok(()) => Exit::Done,
        Err(error) => {
            let exit = Exit::of(&error);
            if exit != Exit::Done {
                // There is nowhere left to complain to when standard error is closed.
                let _ = writeln!(io::stderr(), "error: {error:#}");
            }
            exit
        }
    }
}

fn start(cli: Cli) -> anyhow::Result<()> {
    let load = || config::load(cli.config.as_deref(), std::env::vars_os());
    let out = &mut io::stdout().lock();
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => run(load()?, cli.config.as_deref()),
        Command::Core => core(load()?),
        Command::Sandbox(SandboxArgs { command: SandboxCommand::Panic { part }, .. }) => {
            ask(parts::panic(&Client::new(&load()?.config)?, &part, out))
        }
        Command::Sandbox(arguments) => sandbox(arguments, &load()?),
        Command::CheckConfig => check::print(&load()?, out),
        Command::Deposits(list) => ask(deposits::list(&Client::new(&load()?.config)?, &list, out)),
        Command::Ledger(shown) => ask(ledger::print(&Client::new(&load()?.config)?, &shown, out)),
        Command::Deposit(deposits::One::Show(show)) => ask(deposits::show(&Client::new(&load()?.config)?, &show, out)),
        Command::Webhooks(webhooks) => ask(webhooks.run(&Client::new(&load()?.config)?, out)),
        Command::Notify(notify) => notify.run(cli.config.as_deref(), out),
        Command::Parts(list) => ask(parts::list(&Client::new(&load()?.config)?, &list, out)),
        Command::Halt(why) => ask(brakes::halt(&Client::new(&load()?.config)?, &why, out)),
        Command::Resume(why) => ask(brakes::resume(&Client::new(&load()?.config)?, &why, out)),
        Command::Declare(transfer) => ask(declare::declare(&Client::new(&load()?.config)?, &transfer, out)),
        Command::Switch(turn) => ask(brakes::turn(&Client::new(&load()?.config)?, &turn, out)),
        Command::Events(wanted) => ask(events::print(&Client::new(&load()?.config)?, &wanted, out)),
        Command::Why(wanted) => {
            let reader = wanted.source.open(|| Ok(load()?.config))?;
            let notes = wanted.keys.reading(&wanted.source, || Ok(load()?.config))?;
            why::tell((&reader, &notes), &wanted, out)
        }
        Command::Replay(wanted) => {
            let reader = wanted.source.open(|| Ok(load()?.config))?;
            let notes = wanted.keys.reading(&wanted.source, || Ok(load()?.config))?;
            replay::print((&reader, &notes), &wanted, &mut replay::Enter::when(wanted.steps()), out)
        }
        Command::Diff(wanted) => diff::print(&wanted.log.open(|| Ok(load()?.config))?, &wanted, out),
        Command::Redecide(wanted) => redecide::print(&wanted.source.open(|| Ok(load()?.config))?, &wanted, out),
        Command::Backup(backup) => ask(backup::fetch(&Client::new(&load()?.config)?, &backup, out)),
        Command::Export(export) => export.run(|| Ok(load()?.config), out),
        Command::Operators(operators) => {
            operators.run(&load()?.config, SystemClock.now(), std::io::stdin().lock(), out)
        }
        Command::Forget(forget) => forget.run(&load()?.config, SystemClock.now(), out),
        Command::Import(wanted) => import::run(&wanted, out),
        Command::Compact(compact) => compact.run(&load()?.config, out),
        Command::Rebuild(rebuild) => rebuild.run(&load()?.config, out),
        Command::Verify(verify) => verify.run(|| Ok(load()?.config), out),
        Command::Version => Ok(writeln!(out, "millrace {}", env!("CARGO_PKG_VERSION"))?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "millrace", &mut script);
            Ok(out.write_all(&script)?)
        }
    }
}

/// The desk: its front, which starts its core.
fn run(loaded: Loaded, file: Option<&Path>) -> anyhow::Result<()> {
    check::files(&loaded)?;
    logging::begin(&loaded.config.desk)?;
    for Ignored { name, why } in &loaded.ignored {
        tracing::warn!("{name} is set and has no effect: {why}");
    }
    front::run(loaded, file)
}

/// Its core.
fn core(loaded: Loaded) -> anyhow::Result<()> {
    check::files(&loaded)?;
    logging::begin(&loaded.config.desk)?;
    crate::run::core(loaded)
}

/// The sandbox as a process of its own, or a word to the one that runs.
fn sandbox(arguments: SandboxArgs, loaded: &Loaded) -> anyhow::Result<()> {
    logging::begin(&loaded.config.desk)?;
    let SandboxArgs { dir, command } = arguments;
    let dir = dir.unwrap_or_else(|| loaded.config.sandbox.dir.clone());
    // Two threads: what signs and hashes does not keep the other servers from answering.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.context("no runtime")?.block_on(crate::sandbox::cli::execute(&dir, command))
}

/// Waits for an answer of the running desk.
pub(super) fn ask(question: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    runtime.block_on(question)
}
