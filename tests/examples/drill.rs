//! The drill as a program; `tests/drill` builds what it needs and runs it. (An example, so that no ordinary build carries it.)

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use millrace_tests::drill::{self, Kind, Plan, Progress, Report};

/// How many kills the long drill has, how many events are in each log before the first, and how many desks it has.
const LONG: (u32, usize, u32) = (10_000, 100_000, 4);
const SHORT: (u32, usize, u32) = (100, 0, 1);
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
    /// 10000 kills of four desks, with 100000 events in each log before the first.
    #[arg(long)]
    long: bool,
    /// So many desks side by side, each with a sandbox of its own, share the kills: a drill waits more than it computes.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=16))]
    desks: Option<u32>,
    /// About how many kills; of everything else as much as goes with them.
    #[arg(long)]
    kills: Option<u32>,
    /// About how many events are in the log before the first kill.
    #[arg(long)]
    events: Option<usize>,
    /// The seed of a run before.
    #[arg(long)]
    seed: Option<u64>,
    /// Only these kinds: kill, core, call, stop, second, power, full, readonly, eio, clock, peers.
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
    /// One for each desk.
    fn plans(&self) -> Vec<Plan> {
        let (kills, events, desks) = if self.long { LONG } else { SHORT };
        let (kills, desks) = (self.kills.unwrap_or(kills), self.desks.unwrap_or(desks));
        let seed = self.seed.unwrap_or_else(rand::random);
        let seeds = (0..desks).map(|desk| seed.wrapping_add(u64::from(desk)));
        seeds.map(|seed| self.plan(seed, kills.div_ceil(desks), self.events.unwrap_or(events))).collect()
    }

    fn plan(&self, seed: u64, kills: u32, events: usize) -> Plan {
        let mut plan = Plan { events, ..Plan::with_kills(seed, kills) };
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
    let plans = Arguments::parse().plans();
    let seed = plans[0].seed;
    eprintln!("seed {seed}");
    let terminal = std::io::stderr().is_terminal();
    let shown = Mutex::new(Shown {
        began: Instant::now(),
        last: Instant::now(),
        terminal,
        desks: vec![Progress::default(); plans.len()],
        ended: false,
    });
    let reports = side_by_side(&plans, &shown);
    if terminal {
        eprintln!();
    }
    match reports {
        Ok(reports) => {
            println!("{}", reports.into_iter().fold(Report::default(), Report::and));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            eprintln!("VIOLATION: {violation:#}\nagain: tests/drill --seed {seed} with the same arguments");
            ExitCode::FAILURE
        }
    }
}

/// Every drill in a thread of its own; the first violation ends them all.
fn side_by_side(plans: &[Plan], shown: &Mutex<Shown>) -> Result<Vec<Report>> {
    let show = || shown.lock().unwrap_or_else(PoisonError::into_inner);
    let first_violation = OnceLock::new();
    let reports: Vec<_> = thread::scope(|threads| {
        let one = |(desk, plan)| {
            let report = drill::run(plan, |progress| show().show(desk, progress));
            let report = report.with_context(|| format!("seed {}", plan.seed));
            show().ended |= report.is_err();
            report.map_err(|violation| drop(first_violation.set(violation))).ok()
        };
        let running: Vec<_> = plans.iter().enumerate().map(|it| threads.spawn(move || one(it))).collect();
        running.into_iter().map(|thread| thread.join().ok().flatten()).collect()
    });
    match first_violation.into_inner() {
        Some(violation) => Err(violation),
        None => reports.into_iter().map(|report| report.context("a drill ended badly")).collect(),
    }
}

/// How far it is, for people.
struct Shown {
    began: Instant,
    last: Instant,
    terminal: bool,
    desks: Vec<Progress>,
    /// After a violation.
    ended: bool,
}

impl Shown {
    fn show(&mut self, desk: usize, progress: Progress) -> Result<()> {
        ensure!(!self.ended, "ended by another desk's violation");
        self.desks[desk] = progress;
        if !self.terminal && self.last.elapsed() < LINE_EVERY {
            return Ok(());
        }
        self.last = Instant::now();
        let sum = |what: fn(&Progress) -> u64| self.desks.iter().map(what).sum::<u64>();
        let (done, of) = (sum(|it| it.done as u64), sum(|it| it.of as u64));
        let (kills, deposits) = (sum(|it| it.kills.into()), sum(|it| it.deposits));
        let a_minute = kills * 60 / self.began.elapsed().as_secs().max(1);
        let line = format!("{done} of {of} troubles, {kills} kills ({a_minute} a minute), {deposits} deposits");
        if self.terminal {
            eprint!("\r{line}  ");
            let _ = std::io::stderr().flush();
        } else {
            eprintln!("{line}");
        }
        Ok(())
    }
}
