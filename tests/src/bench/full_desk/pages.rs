//! Every page and list a customer or an operator can ask for, with how long the slow ones of them take.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use super::fill::Filled;
use crate::bench::http::Connection;
use crate::bench::real::RealDesk;

/// How often each page is asked for, one time after the other.
const ASKED: usize = 300;

/// A page, with what changes from one time to the next.
type Page<'a> = (&'static str, Box<dyn Fn(usize) -> String + 'a>);

/// How long a page's answers took.
pub(super) struct Timed {
    pub page: &'static str,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl std::fmt::Display for Timed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:.1} (p50 {:.1})", self.page, self.p99_ms, self.p50_ms)
    }
}

/// `/api/health`.
pub(super) async fn health(desk: &RealDesk) -> anyhow::Result<Timed> {
    time(&mut desk.public().await?, &("/api/health", Box::new(|_| "/api/health".to_owned()))).await
}

/// All pages, the slowest first.
pub(super) async fn all(desk: &RealDesk, filled: &Filled) -> anyhow::Result<Vec<Timed>> {
    let mut operator = desk.operator().await?;
    let known = Known::look(&mut operator).await?;
    let mut public = desk.public().await?;
    let mut timed = Vec::new();
    for page in customers_pages(filled, &known) {
        timed.push(time(&mut public, &page).await?);
    }
    for page in operators_pages(filled, &known) {
        timed.push(time(&mut operator, &page).await?);
    }
    timed.sort_by(|one, other| other.p99_ms.total_cmp(&one.p99_ms));
    Ok(timed)
}

async fn time(connection: &mut Connection, (page, path): &Page<'_>) -> anyhow::Result<Timed> {
    let mut took = Vec::with_capacity(ASKED);
    for number in 0..ASKED {
        let answer = connection.get(&path(number)).await?;
        answer.ok().with_context(|| path(number))?;
        took.push(answer.took);
    }
    took.sort_unstable();
    Ok(Timed { page, p50_ms: ms(took[ASKED / 2]), p99_ms: ms(took[ASKED * 99 / 100]) })
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// What pages are asked for by.
struct Known {
    /// Deposits from all over the log.
    ids: Vec<String>,
    head: u64,
}

impl Known {
    async fn look(operator: &mut Connection) -> anyhow::Result<Self> {
        let head = operator.get("/readyz").await?.json()?["head"].as_u64().context("a head")?;
        let mut ids = Vec::new();
        for part in 1..=20 {
            let page =
                operator.get(&format!("/operator/v1/deposits?limit=5&after={}", head * part / 20)).await?.json()?;
            let deposits = page["deposits"].as_array().context("deposits")?;
            ids.extend(deposits.iter().filter_map(|deposit| deposit["id"].as_str().map(str::to_owned)));
        }
        anyhow::ensure!(!ids.is_empty(), "the operator is shown no deposit");
        Ok(Self { ids, head })
    }

    fn id(&self, number: usize) -> &str {
        &self.ids[number % self.ids.len()]
    }

    /// Somewhere in the log, another place each time.
    fn anywhere(&self, number: usize) -> u64 {
        self.head * (number as u64 % 97 + 1) / 98
    }
}

fn fixed(path: &'static str) -> Page<'static> {
    (path, Box::new(move |_| path.to_owned()))
}

fn customers_pages<'a>(filled: &'a Filled, known: &'a Known) -> Vec<Page<'a>> {
    let one = &filled.customers[0];
    let any = |number: usize| &filled.customers[1 + number * 61 % (filled.customers.len() - 1)];
    vec![
        fixed("/"),
        fixed("/api/config"),
        fixed("/api/v1/quote?amount=0.1"),
        ("/api/status", Box::new(move |n| format!("/api/status?skyaddr={}", any(n)))),
        ("/api/status of 1000 deposits", Box::new(move |_| format!("/api/status?skyaddr={one}"))),
        ("/customer", Box::new(move |n| format!("/customer/{}", any(n)))),
        ("/customer of 1000 deposits", Box::new(move |_| format!("/customer/{one}"))),
        ("/customer?part=fragment", Box::new(move |n| format!("/customer/{}?part=fragment", any(n)))),
        ("/api/v1/customers", Box::new(move |n| format!("/api/v1/customers/{}", any(n)))),
        ("/api/v1/customers of 1000 deposits", Box::new(move |_| format!("/api/v1/customers/{one}"))),
        ("/api/v1/deposits/ID", Box::new(move |n| format!("/api/v1/deposits/{}", known.id(n)))),
    ]
}

fn operators_pages<'a>(filled: &'a Filled, known: &'a Known) -> Vec<Page<'a>> {
    let one = &filled.customers[0];
    let deep = move |path: &'static str| move |n: usize| format!("{path}{}", known.anywhere(n));
    vec![
        fixed("/readyz"),
        fixed("/metrics"),
        fixed("/operator/v1/totals"),
        fixed("/operator/v1/parts"),
        fixed("/operator/v1/switches"),
        fixed("/operator/v1/deposits?limit=200"),
        ("deposits, deep", Box::new(deep("/operator/v1/deposits?limit=200&after="))),
        ("deposits done, deep", Box::new(deep("/operator/v1/deposits?status=done&limit=200&after="))),
        fixed("/operator/v1/deposits?status=pending&limit=200"),
        fixed("/operator/v1/deposits/held?limit=200"),
        ("held, deep", Box::new(deep("/operator/v1/deposits/held?limit=200&after="))),
        fixed("/operator/v1/deposits/quarantined?limit=200"),
        fixed("/operator/v1/deposits/errored?limit=200"),
        (
            "deposits of one target, held",
            Box::new(move |_| format!("/operator/v1/deposits?target={one}&status=held&limit=200")),
        ),
        (
            "deposits of one target, pending",
            Box::new(move |_| format!("/operator/v1/deposits?target={one}&status=pending&limit=200")),
        ),
        ("errored of one target", Box::new(move |_| format!("/operator/v1/deposits/errored?target={one}&limit=200"))),
        ("/operator/v1/deposits/ID", Box::new(move |n| format!("/operator/v1/deposits/{}", known.id(n)))),
        (
            "state of a deposit at a version",
            Box::new(move |n| format!("/operator/v1/deposits/{}/state?version=1", known.id(n))),
        ),
        fixed("/operator/v1/addresses?limit=200"),
        ("addresses, deep", Box::new(deep("/operator/v1/addresses?limit=200&after="))),
        ("events, deep", Box::new(deep("/operator/v1/events?limit=200&after="))),
        ("events of a kind, deep", Box::new(deep("/operator/v1/events?kind=Held&limit=200&after="))),
        ("events of the chain", Box::new(deep("/operator/v1/events?stream=chain/btc&limit=200&after="))),
        ("events of a deposit", Box::new(move |n| format!("/operator/v1/events?stream=deposit/{}", known.id(n)))),
    ]
}

/// The totals, as the desk shows them.
pub(super) async fn totals(desk: &RealDesk) -> anyhow::Result<Value> {
    desk.operator().await?.get("/operator/v1/totals").await?.json()
}
