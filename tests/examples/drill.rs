//! The drill as a program; `tests/drill` builds what it needs and runs it. (An example, so that no ordinary build carries it.)

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Parser;
use millrace_tests::drill::{self, Kind, Plan, Progress};

/// How many kills the long drill has, and how many events are in its log before the first.
const LONG: (u32, usize) = (10_000, 100_000);
const SHORT_KILLS: u32 = 100;
/// Where nobody watches, a line now and then is enough.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Does to a real desk what machines, disks and networks do, and has it judged by the sandbox's books.
#[derive(Debug, Parser)]
#[command(
    name = "tests/drill",
    after_help = "\
Exit code 0 when nothing was violated, 1 at the first violation. A run says its seed; --seed draws the same troubles again.
What this machine does not permit (power cuts need root and loop devices, the system calls strace) is named and left out."
)]
struct Arguments {
    /// 10000 kills, with 100000 events in the log before the first.
    #[arg(long)]
    long: bool,
    /// About how many kills; of everything else as much as goes with them.
    #[arg(long)]
    kills: Option<u32>,
    /// About how many events are in the log before the first kill.
    #[arg(long)]
    events: Option<usize>,
    /// The seed of a run before.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these kinds: kill, core, call, stop, second, power, full, eio, clock, peers.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    only: Vec<Kind>,
    /// So many of a kind, as in `--count power=40`.
    #[arg(long, value_name = "KIND=NUMBER", value_parser = count)]
    count: Vec<(Kind, u32)>,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| format!("no such kind: {text}"))
}

fn count(text: &str) -> Result<(Kind, u32), String> {
    let (name, number) = text.split_once('=').ok_or("it is KIND=NUMBER")?;
    Ok((kind(name)?, number.parse().map_err(|_| format!("not a number: {number}"))?))
}

impl Arguments {
    fn plan(&self) -> Plan {
        let (kills, events) = if self.long { LONG } else { (SHORT_KILLS, 0) };
        let mut plan = Plan::with_kills(self.seed.unwrap_or_else(rand::random), self.kills.unwrap_or(kills));
        plan.events = self.events.unwrap_or(events);
        if !self.only.is_empty() {
            plan.troubles.retain(|(kind, _)| self.only.contains(kind));
        }
        for (kind, count) in &self.count {
            plan.count(*kind, *count);
        }
        plan
    }
}

fn main() -> ExitCode {
    let plan = Arguments::parse().plan();
    eprintln!("seed {}", plan.seed);
    let mut shown = Shown { began: Instant::now(), last: Instant::now(), terminal: std::io::stderr().is_terminal() };
    let ended = drill::run(&plan, |progress| shown.show(progress));
    if shown.terminal {
        eprintln!();
    }
    match ended {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(violation) => {
            eprintln!("VIOLATION: {violation:#}\nagain: tests/drill --seed {} with the same arguments", plan.seed);
            ExitCode::FAILURE
        }
    }
}

/// How far it is, for people.
struct Shown {
    began: Instant,
    last: Instant,
    terminal: bool,
}

impl Shown {
    fn show(&mut self, progress: Progress) {
        if !self.terminal && self.last.elapsed() < LINE_EVERY {
            return;
        }
        self.last = Instant::now();
        let Progress { done, of, kills, deposits } = progress;
        let rate = f64::from(kills) / self.began.elapsed().as_secs_f64().max(1.0);
        let line = format!("{done} of {of} troubles, {kills} kills ({rate:.1} a second), {deposits} deposits");
        if self.terminal {
            eprint!("\r{line}  ");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
    }
}
