//! The console of a desk with a million deposits, asked over HTTP by somebody who has logged in: searches, filters and pages of the
//! list, and every other page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use http::StatusCode;

use super::known::Known;
use crate::bench::Figure;
use crate::bench::http::Connection;
use crate::bench::kept_log;
use crate::bench::real::RealDesk;

const DEPOSITS: u64 = 1_000_000;
/// How often each page is asked for, one time after the other.
const ASKED: usize = 200;
/// There is nothing at these addresses, so that nothing moves what is looked at.
const NOBODY: &str = "http://127.0.0.1:9";
const XPUB: &str =
    "tpubDC8msFGeGuwnKG9Upg7DM2b4DaRqg3CUZa5g8v2SRQ6K4NSkxUgd7HsL2XVWbVm39yBA4LAxysQAm397zwQSQoQgewGiYZqrA9DsP4zbQ1M";
const SETTINGS: &[(&str, &str)] = &[
    ("MILLRACE_BITCOIN__URL", NOBODY),
    ("MILLRACE_BITCOIN__USER", "user"),
    ("MILLRACE_BITCOIN__PASSWORD", "password"),
    ("MILLRACE_BITCOIN__NETWORK", "regtest"),
    ("MILLRACE_BITCOIN__XPUB", XPUB),
    ("MILLRACE_SKYCOIN__URL", NOBODY),
    ("MILLRACE_SKYCOIN__WALLET_ID", "desk.wlt"),
    ("MILLRACE_DESK__RATE", "500"),
    // What is old would be sealed all the while.
    ("MILLRACE_DESK__SEAL_AFTER_HOURS", "87600"),
];
/// Where deposits can stand.
const STATUSES: [&str; 9] =
    ["pending", "quarantined", "wait_decide", "wait_buy", "wait_send", "wait_confirm", "held", "refund_due", "done"];
/// A desk that was started on an old log has something to do at first.
const CALM_WITHIN: Duration = Duration::from_secs(300);
const CALM: Duration = Duration::from_secs(2);
/// Of one processor.
const CALM_SHARE: f64 = 0.15;
/// How many of the slowest are told.
const TOLD: usize = 8;

/// The desk's folder, and what is in it.
pub(super) fn prepare() -> anyhow::Result<(PathBuf, Known)> {
    let data_dir = kept_log::of_deposits(DEPOSITS)?;
    let known = Known::look(&data_dir)?;
    ensure!(known.deposits >= DEPOSITS, "there are {} deposits", known.deposits);
    Ok((data_dir, known))
}

pub(super) async fn measure(data_dir: &Path, known: &Known) -> anyhow::Result<Vec<Figure>> {
    let desk = RealDesk::start(data_dir, SETTINGS).await?;
    calm(&desk).await?;
    let (mut operator, mut public) = (desk.console_connection().await?, desk.public().await?);
    let mut lists = Vec::new();
    for page in searches(known).into_iter().chain(filters(known)) {
        lists.push(time(&mut operator, &page).await?);
    }
    let mut pages = Vec::new();
    for page in other_pages(known) {
        pages.push(time(&mut operator, &page).await?);
    }
    pages.push(time(&mut public, &regulars_own(known)).await?);
    lists.sort_by(|one, other| other.p99_ms.total_cmp(&one.p99_ms));
    pages.sort_by(|one, other| other.worst_ms.total_cmp(&one.worst_ms));
    Ok(vec![
        figure("console_search_1m_ms", lists[0].p99_ms, &lists, (known, "p99 of the slowest; bar 50")),
        figure("console_page_1m_ms", pages[0].worst_ms, &pages, (known, "the slowest answer; bar 200")),
    ])
}

fn figure(name: &'static str, value: f64, timed: &[Timed], (known, says): (&Known, &str)) -> Figure {
    let slowest: Vec<_> = timed.iter().take(TOLD).map(ToString::to_string).collect();
    let worst = timed.iter().map(|timed| timed.worst_ms).fold(0.0, f64::max);
    Figure {
        name,
        value,
        unit: "ms",
        note: format!(
            "{says}; {} kinds, {ASKED} of each, worst of all {worst:.1}, {} deposits, log at {}; as p99 (p50, worst): {}",
            timed.len(),
            known.deposits,
            known.head,
            slowest.join(", "),
        ),
    }
}

/// Waits until the desk has done what it does after a start.
async fn calm(desk: &RealDesk) -> anyhow::Result<()> {
    let calmed = async {
        loop {
            let before = desk.processor_time()?;
            tokio::time::sleep(CALM).await;
            if (desk.processor_time()? - before).as_secs_f64() < CALM_SHARE * CALM.as_secs_f64() {
                return anyhow::Ok(());
            }
        }
    };
    // One that always has something to do is measured doing it.
    tokio::time::timeout(CALM_WITHIN, calmed).await.unwrap_or(Ok(()))
}

/// A page, with what changes from one time to the next.
type Page<'a> = (String, Box<dyn Fn(usize) -> String + 'a>);

/// How long a page's answers took.
struct Timed {
    page: String,
    p50_ms: f64,
    p99_ms: f64,
    worst_ms: f64,
}

impl std::fmt::Display for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:.1} ({:.1}, {:.1})", self.page, self.p99_ms, self.p50_ms, self.worst_ms)
    }
}

async fn time(connection: &mut Connection, (page, path): &Page<'_>) -> anyhow::Result<Timed> {
    let mut took = Vec::with_capacity(ASKED);
    for number in 0..ASKED {
        let path = path(number);
        let answer = connection.get(&path).await?;
        let is_found = answer.status.is_success() || answer.status == StatusCode::SEE_OTHER;
        ensure!(is_found, "{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        took.push(answer.took.as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(Timed { page: page.clone(), p50_ms: took[ASKED / 2], p99_ms: took[ASKED * 99 / 100], worst_ms: took[ASKED - 1] })
}

fn fixed(path: String) -> Page<'static> {
    (path.clone(), Box::new(move |_| path.clone()))
}

fn searches(known: &Known) -> Vec<Page<'_>> {
    let of = |kind: &str, names: &'static dyn Fn(&Known) -> &Vec<String>| -> Page<'_> {
        let find = move |number: usize| {
            let names = names(known);
            format!("/console/deposits?q={}", names[number % names.len()])
        };
        (format!("search by {kind}"), Box::new(find))
    };
    let unused = format!("/console/deposits?q={}", known.unused);
    let regular = format!("/console/deposits?q={}", known.regular.0);
    vec![
        of("id", &|known| &known.ids),
        of("address", &|known| &known.addresses),
        of("an address that is nobody's", &|known| &known.nobodys),
        of("customer", &|known| &known.targets),
        of("the deposit's transaction", &|known| &known.deposit_txids),
        of("the payout's transaction", &|known| &known.payout_txids),
        of("the refund's transaction", &|known| &known.refund_txids),
        of("order", &|known| &known.orders),
        of("the exchange's number", &|known| &known.order_numbers),
        ("search by an unused address of the regular".to_owned(), Box::new(move |_| unused.clone())),
        ("search by the regular".to_owned(), Box::new(move |_| regular.clone())),
        (
            "search by a part of an id".to_owned(),
            Box::new(|n| format!("/console/deposits?q={}", &known.ids[n % known.ids.len()][..13])),
        ),
        (
            "search by what nothing is called".to_owned(),
            Box::new(|n| format!("/console/deposits?q=nothing+is+called+{n}")),
        ),
        ("search by a transaction that is none".to_owned(), Box::new(|n| format!("/console/deposits?q={n:064x}"))),
    ]
}

/// The list's first page, one far down and the last, of all deposits, of each status, and of the customer with most.
fn filters(known: &Known) -> Vec<Page<'_>> {
    let whose = ["", "target="].map(|field| match field {
        "" => (String::new(), "all".to_owned()),
        _ => (format!("&target={}", known.regular.0), format!("the regular's {}", known.regular.1)),
    });
    let statuses = std::iter::once((String::new(), "any".to_owned()))
        .chain(STATUSES.iter().map(|status| (format!("&status={status}"), (*status).to_owned())));
    let mut pages = Vec::new();
    for (status, says) in statuses {
        for (target, of) in &whose {
            for (place, after) in [("first", None), ("deep", Some(known.deep)), ("last", Some(known.last))] {
                let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
                let path = format!("/console/deposits?q={status}{target}{after}");
                pages.push((
                    format!("{of}, {says}, {place} page"),
                    Box::new(move |_| path.clone()) as Box<dyn Fn(usize) -> String>,
                ));
            }
        }
    }
    pages
}

fn other_pages(known: &Known) -> Vec<Page<'_>> {
    let id = |number: usize| known.ids[number % known.ids.len()].as_str();
    let anywhere = |number: usize| known.head * (number as u64 % 97 + 1) / 98;
    let mut pages: Vec<Page<'_>> = [
        "",
        "/deposits",
        "/past",
        "/log",
        "/parts",
        "/projections",
        "/notifications",
        "/money",
        "/settings",
        "/audit",
        "/account",
    ]
    .map(|path| fixed(format!("/console{path}")))
    .into();
    for span in ["hour", "day", "week"] {
        pages.push(fixed(format!("/console?span={span}")));
        pages.extend(["throughput", "waits"].map(|plot| fixed(format!("/console/pace?plot={plot}&span={span}"))));
    }
    let some: [Page<'_>; 9] = [
        fixed("/console/log?kind=Quarantined".to_owned()),
        (
            "events of a kind from anywhere".to_owned(),
            Box::new(move |n| format!("/console/log?kind=Quarantined&before={}", anywhere(n))),
        ),
        ("events of a deposit".to_owned(), Box::new(move |n| format!("/console/log?stream=deposit/{}", id(n)))),
        ("a deposit".to_owned(), Box::new(move |n| format!("/console/deposits/{}", id(n)))),
        ("a deposit before".to_owned(), Box::new(move |n| format!("/console/deposits/{}?version=1", id(n)))),
        ("a deposit's graph".to_owned(), Box::new(move |n| format!("/console/log/deposit/{}", id(n)))),
        ("an event".to_owned(), Box::new(move |n| format!("/console/log/{}", anywhere(n)))),
        ("the log from anywhere".to_owned(), Box::new(move |n| format!("/console/log?before={}", anywhere(n)))),
        ("the desk at a position".to_owned(), Box::new(move |n| format!("/console/past?position={}", anywhere(n)))),
    ];
    pages.extend(some);
    pages
}

/// What the customer with most deposits sees.
fn regulars_own(known: &Known) -> Page<'_> {
    ("the regular's own page".to_owned(), Box::new(|_| format!("/customer/{}", known.regular.0)))
}
