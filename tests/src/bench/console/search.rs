//! The console of a desk with a million deposits, asked over HTTP by somebody who has logged in: searches, filters and pages of the
//! list, and every other page.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use http::{StatusCode, header};

use super::known::{Known, Name};
use crate::bench::Figure;
use crate::bench::http::{Answer, Connection};
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
    let calm = calm(&desk).await?;
    let mut operator = desk.console_connection().await?;
    let mut lists = Vec::new();
    for (page, expected) in searches(known) {
        lists.push(time(&mut operator, &page, &expected).await?);
    }
    for page in filters(known) {
        lists.push(time(&mut operator, &page, &is_shown).await?);
    }
    let mut pages = Vec::new();
    for page in other_pages(known) {
        pages.push(time(&mut operator, &page, &is_shown).await?);
    }
    // Opened only now: one that nobody uses for long is closed.
    pages.push(time(&mut desk.public().await?, &regulars_own(known), &is_shown).await?);
    lists.sort_by(|one, other| other.p99_ms.total_cmp(&one.p99_ms));
    pages.sort_by(|one, other| other.worst_ms.total_cmp(&one.worst_ms));
    Ok(vec![
        figure("console_search_1m_ms", lists[0].p99_ms, &lists, (known, calm, "p99 of the slowest; bar 50")),
        figure("console_page_1m_ms", pages[0].worst_ms, &pages, (known, calm, "the slowest answer; bar 200")),
    ])
}

fn figure(name: &'static str, value: f64, timed: &[Timed], (known, calm, says): (&Known, Calm, &str)) -> Figure {
    let slowest: Vec<_> = timed.iter().take(TOLD).map(ToString::to_string).collect();
    let worst = timed.iter().map(|timed| timed.worst_ms).fold(0.0, f64::max);
    Figure {
        name,
        value,
        unit: "ms",
        note: format!(
            "{says}{}; {} kinds, {ASKED} of each, worst of all {worst:.1}, {} deposits, log at {}; as p99 (p50, worst): {}",
            calm.note(),
            timed.len(),
            known.deposits,
            known.head,
            slowest.join(", "),
        ),
    }
}

/// Whether the desk had done what it does after a start.
#[derive(Debug, Clone, Copy)]
enum Calm {
    Reached,
    /// It always has something to do, and is measured doing it.
    NotReached,
}

impl Calm {
    const fn note(self) -> &'static str {
        match self {
            Self::Reached => "",
            Self::NotReached => "; the desk was NOT calm, it was at work of its own",
        }
    }
}

/// Waits until it has.
async fn calm(desk: &RealDesk) -> anyhow::Result<Calm> {
    let calmed = async {
        loop {
            let before = desk.processor_time()?;
            tokio::time::sleep(CALM).await;
            if (desk.processor_time()? - before).as_secs_f64() < CALM_SHARE * CALM.as_secs_f64() {
                return Ok(Calm::Reached);
            }
        }
    };
    tokio::time::timeout(CALM_WITHIN, calmed).await.unwrap_or(Ok(Calm::NotReached))
}

/// A page, with what changes from one time to the next.
type Page<'a> = (String, Box<dyn Fn(usize) -> String + 'a>);

/// Whether this is the answer that belongs to the number.
type Expected<'a> = Box<dyn Fn(usize, &Answer) -> bool + 'a>;

/// A page, or where to find it.
fn is_shown(_: usize, answer: &Answer) -> bool {
    answer.status.is_success() || answer.status == StatusCode::SEE_OTHER
}

/// Where an answer leads to, if it leads anywhere.
fn leads_to(answer: &Answer) -> Option<&str> {
    let to = answer.headers.get(header::LOCATION).filter(|_| answer.status == StatusCode::SEE_OTHER);
    to.and_then(|to| to.to_str().ok())
}

/// The deposit, the list of its customer, or several of which it is one: of very many only the newest are listed.
fn is_found(answer: &Answer, name: &Name) -> bool {
    match leads_to(answer) {
        Some(to) => to == format!("/console/deposits/{}", name.deposit) || to == list_of(&name.text),
        None => answer.status.is_success() && says(answer, " deposits found"),
    }
}

fn is_nothing(_: usize, answer: &Answer) -> bool {
    answer.status.is_success() && says(answer, "Nothing here is")
}

fn says(answer: &Answer, text: &str) -> bool {
    String::from_utf8_lossy(&answer.body).contains(text)
}

/// The list of a customer's deposits.
fn list_of(customer: &str) -> String {
    format!("/console/deposits?target={customer}")
}

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

async fn time(
    connection: &mut Connection,
    (page, path): &Page<'_>,
    is_expected: &dyn Fn(usize, &Answer) -> bool,
) -> anyhow::Result<Timed> {
    let mut took = Vec::with_capacity(ASKED);
    for number in 0..ASKED {
        let path = path(number);
        let answer = connection.get(&path).await?;
        let is_expected = is_expected(number, &answer);
        ensure!(is_expected, "{path}: {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
        took.push(answer.took.as_secs_f64() * 1e3);
    }
    took.sort_by(f64::total_cmp);
    Ok(Timed { page: page.clone(), p50_ms: took[ASKED / 2], p99_ms: took[ASKED * 99 / 100], worst_ms: took[ASKED - 1] })
}

fn fixed(path: String) -> Page<'static> {
    (path.clone(), Box::new(move |_| path.clone()))
}

fn searches(known: &Known) -> Vec<(Page<'_>, Expected<'_>)> {
    let mut searches: Vec<_> = [
        ("id", &known.ids),
        ("address", &known.addresses),
        ("an address that is nobody's", &known.nobodys),
        ("customer", &known.targets),
        ("the deposit's transaction", &known.deposit_txids),
        ("the payout's transaction", &known.payout_txids),
        ("the refund's transaction", &known.refund_txids),
        ("order", &known.orders),
        ("the exchange's number", &known.order_numbers),
    ]
    .into_iter()
    .filter(|(_, names)| !names.is_empty())
    .map(|(kind, names)| search_by(kind, names))
    .collect();
    let regular = list_of(&known.regular.0);
    let is_regular: Expected<'_> = Box::new(move |_, answer| leads_to(answer) == Some(&regular));
    searches.push((search("the regular", |_| known.regular.0.clone()), is_regular));
    searches.extend(
        [
            search("an unused address of the regular", |_| known.unused.clone()),
            search("a part of an id", |n| known.ids[n % known.ids.len()].text[..13].to_owned()),
            search("what nothing is called", |n| format!("nothing+is+called+{n}")),
            search("a transaction that is none", |n| format!("{n:064x}")),
        ]
        .map(|page| (page, Box::new(is_nothing) as Expected<'_>)),
    );
    searches
}

/// Deposits by names of a kind, each of which is to be found.
fn search_by<'a>(kind: &str, names: &'a [Name]) -> (Page<'a>, Expected<'a>) {
    let name = |number: usize| &names[number % names.len()];
    (search(kind, move |n| name(n).text.clone()), Box::new(move |n, answer| is_found(answer, name(n))))
}

fn search<'a>(kind: &str, text: impl Fn(usize) -> String + 'a) -> Page<'a> {
    (format!("search by {kind}"), Box::new(move |n| format!("/console/deposits?q={}", text(n))))
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
    let id = |number: usize| known.ids[number % known.ids.len()].text.as_str();
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
