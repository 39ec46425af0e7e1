//! Benchmarks. Each is a function that measures one thing and says what it was compared with; ratios are taken in one
//! run, turn by turn, because machines are shared and their speed drifts.

mod append;
mod outside;
mod pipeline;

use std::process::ExitCode;

use serde::Serialize;

/// A measured figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    /// The benchmark's name.
    pub name: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it was compared with, and what else was seen.
    pub note: String,
}

type Benchmark = fn() -> anyhow::Result<Vec<Figure>>;

const BENCHMARKS: &[(&str, &str, Benchmark)] = &[
    ("append_ratio", "durable appends through the store actor against raw SQLite", append::run),
    ("pipeline_direct", "deposits from their block to their confirmed payout, ports in memory", pipeline::direct),
    ("bind_rate", "addresses given out to 64 clients, empty and with 100 000 bound", pipeline::bind),
];

/// Runs what is named; without names lists what there is.
pub fn main(names: impl Iterator<Item = String>) -> ExitCode {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        for (name, about, _) in BENCHMARKS {
            println!("{name:<24} {about}");
        }
        return ExitCode::SUCCESS;
    }
    for name in &names {
        let Some((_, _, run)) = BENCHMARKS.iter().find(|(known, _, _)| known == name) else {
            eprintln!("error: there is no benchmark {name}");
            return ExitCode::from(64);
        };
        match run() {
            Ok(figures) => figures.iter().for_each(|figure| {
                println!("{}", serde_json::to_string(figure).expect("a figure has text keys"));
            }),
            Err(error) => {
                eprintln!("error: {name}: {error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
