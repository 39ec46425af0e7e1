//! Benchmarks. Each is a function that measures one thing and says what it was compared with; ratios are taken in one
//! run, turn by turn, because machines are shared and their speed drifts.

mod append;
mod bind_http;
mod console;
pub(crate) mod customers;
mod deliveries;
pub(crate) mod full_desk;
mod http;
mod kept_log;
mod live_rebuild;
mod moment;
mod outside;
mod passthrough;
mod pipeline;
mod real;
mod rebuild;
mod replay;
mod timed;

use std::process::ExitCode;

pub use deliveries::kills;

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

/// Figures that come from one run.
struct Benchmark {
    /// Their names, and what they are.
    figures: &'static [(&'static str, &'static str)],
    run: fn() -> anyhow::Result<Vec<Figure>>,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        figures: &[
            ("append_ratio", "durable appends of 256 writers through the store actor against raw SQLite"),
            ("append_ratio_1", "the same with one writer"),
        ],
        run: append::run,
    },
    Benchmark {
        figures: &[("pipeline_direct", "deposits from their block to their confirmed payout, ports in memory")],
        run: pipeline::direct,
    },
    Benchmark {
        figures: &[
            ("bind_rate", "addresses given out to 64 clients"),
            ("bind_rate_100k", "the same with 100 000 bound"),
        ],
        run: pipeline::bind,
    },
    Benchmark {
        figures: &[
            ("bind_rate_http", "addresses given out to 64 clients by the real program over HTTP"),
            ("bind_rate_http_100k", "the same with 100 000 bound"),
        ],
        run: bind_http::run,
    },
    Benchmark {
        figures: &[(
            "pipeline_passthrough",
            "deposits from their block to their confirmed payout, bought in the sandbox's order book over HTTP",
        )],
        run: passthrough::run,
    },
    Benchmark {
        figures: &[("rebuild_all", "events a second, all projections made anew from a million of them")],
        run: rebuild::run,
    },
    Benchmark {
        figures: &[(
            "rebuild_live_loss",
            "what a desk under the load of pipeline_direct loses of it while all projections are made anew",
        )],
        run: live_rebuild::run,
    },
    Benchmark {
        figures: &[
            ("start_100k_ms", "the program's start to ready with 100 000 finished deposits"),
            ("rss_100k_mib", "its resident memory"),
            ("health_100k_ms", "p99 of its /api/health"),
            ("page_100k_ms", "p99 of the slowest of its status and list pages"),
        ],
        run: full_desk::run,
    },
    Benchmark {
        figures: &[
            (
                "console_paint_ms",
                "the slowest first paint of a page of the console or the customer's page, in Chromium",
            ),
            ("console_weight_kb", "the heaviest of them, with all that it fetches"),
        ],
        run: console::paint,
    },
    Benchmark {
        figures: &[
            (
                "console_live_gap_ms",
                "the longest that an open console makes no frame while 1 000 events a second are stored",
            ),
            ("console_live_behind_ms", "the longest until an event is shown there"),
            ("console_live_cpu_ratio", "what the desk uses of the processors for them, against nobody looking"),
        ],
        run: console::live,
    },
    Benchmark {
        figures: &[
            (
                "console_search_1m_ms",
                "p99 of the slowest search, filter or page of a list among a million deposits, drawn once",
            ),
            ("console_page_1m_ms", "the slowest answer of any page of the console on that desk"),
        ],
        run: console::search,
    },
    Benchmark {
        figures: &[
            ("replay_fold", "a million events read, decoded and folded into rows by one thread"),
            ("replay_fold_2", "the same, read and decoded by two threads"),
            ("replay_lens", "the same million read by one thread for a view that needs a few fields"),
        ],
        run: replay::run,
    },
    Benchmark {
        figures: &[
            ("state_at_version_ms", "p99 of a deposit of the million events at one of its versions"),
            (
                "desk_at_position_ms",
                "the slowest of two hundred looks at the whole desk, each at a position of the million",
            ),
        ],
        run: moment::run,
    },
    Benchmark {
        figures: &[("verify_rate", "what `millrace verify` proves of the million, and the chain of hashes alone")],
        run: moment::verify,
    },
    Benchmark {
        figures: &[
            ("deliveries", "signed notifications delivered to 100 endpoints, every attempt durably logged"),
            ("deliveries_ratio", "the same against a raw HTTP client that posts bodies signed beforehand"),
        ],
        run: deliveries::rate,
    },
    Benchmark {
        figures: &[("delivery_cpu_us", "the processors' time of a delivery to 10 endpoints, its row included")],
        run: deliveries::cpu,
    },
    Benchmark {
        figures: &[
            ("deliveries_slow10_loss", "what 90 endpoints lose while 10 others never answer"),
            ("deliveries_slow10_p99_ms", "p99 from publication to first byte at those 90"),
        ],
        run: deliveries::slow,
    },
    Benchmark {
        figures: &[("notify_p99_ms", "p99 from publication to first byte, 1 000 a second")],
        run: deliveries::notify,
    },
    Benchmark {
        figures: &[("pending_1m_rss_mib", "resident memory of an engine that owes a million retries")],
        run: deliveries::pending,
    },
    Benchmark {
        figures: &[
            ("delivery_kill_unlogged", "sends without a row after 20 kills in full flow"),
            ("delivery_kill_never_sent", "notifications that never came after those kills"),
            ("delivery_kill_first_s", "the slowest first delivery after a kill"),
        ],
        run: deliveries::kill,
    },
];

impl Benchmark {
    fn has(&self, name: &str) -> bool {
        self.figures.iter().any(|(figure, _)| *figure == name)
    }
}

/// Runs what is named, figures of one run together; without names lists what there is.
pub fn main(names: impl Iterator<Item = String>) -> ExitCode {
    let names: Vec<_> = names.collect();
    if let Some(ended) = deliveries::part(&names) {
        return ended.map_or_else(
            |error| {
                eprintln!("error: {error:#}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    if names.is_empty() {
        for (name, about) in BENCHMARKS.iter().flat_map(|benchmark| benchmark.figures) {
            println!("{name:<24} {about}");
        }
        return ExitCode::SUCCESS;
    }
    if let Some(unknown) = names.iter().find(|name| !BENCHMARKS.iter().any(|benchmark| benchmark.has(name))) {
        eprintln!("error: there is no benchmark {unknown}");
        return ExitCode::from(64);
    }
    for benchmark in BENCHMARKS.iter().filter(|benchmark| names.iter().any(|name| benchmark.has(name))) {
        match (benchmark.run)() {
            Ok(figures) => figures.iter().filter(|figure| names.iter().any(|name| name == figure.name)).for_each(print),
            Err(error) => {
                eprintln!("error: {}: {error:#}", benchmark.figures[0].0);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn print(figure: &Figure) {
    println!("{}", serde_json::to_string(figure).expect("a figure has text keys"));
}
