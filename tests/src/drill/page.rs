//! A customer who looks at the page all the time, and says how long it ever took.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::plan::Kind;

const LOOK_EVERY: Duration = Duration::from_millis(15);
/// So long one look may take before it is given up: longer than the promise, to know by how much it is broken.
const GIVES_UP_AFTER: Duration = Duration::from_secs(10);

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    /// Where the page is, while it has to answer.
    page: Option<String>,
    /// Counts the changes of that: a look amid one says nothing.
    changes: u64,
    looks: u64,
    /// How many of them found that there is no desk at the moment, and were told so.
    told: u64,
    worst: Duration,
    /// What the desk suffers from, or suffered from last; and what it was at the slowest look.
    amid: (Option<Kind>, Option<Kind>),
    broken: Option<String>,
}

/// The customer.
#[derive(Debug)]
pub(super) struct Page {
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

/// What the customer says in the end.
#[derive(Debug, Clone, Copy)]
pub struct Looks {
    /// How many.
    pub looks: u64,
    /// How many were answered with the truth that there is no desk at the moment.
    pub told: u64,
    /// The slowest.
    pub worst: Duration,
    /// And the trouble it was in or after.
    pub amid: Option<Kind>,
}

impl Looks {
    /// Of two customers.
    pub(super) fn and(self, other: Self) -> Self {
        let slower = if other.worst > self.worst { other } else { self };
        Self { looks: self.looks + other.looks, told: self.told + other.told, ..slower }
    }
}

impl Page {
    /// The page has to answer within so long.
    pub(super) fn watch(within: Duration) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(GIVES_UP_AFTER).build()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut task = JoinSet::new();
        task.spawn(look(Arc::clone(&seen), client, within));
        Ok(Self { seen, _task: task })
    }

    /// From now on the page has to answer there, or need not answer.
    pub(super) fn expect(&self, page: Option<&str>) {
        let mut seen = lock(&self.seen);
        seen.page = page.map(str::to_owned);
        seen.changes += 1;
    }

    /// What the desk suffers from now.
    pub(super) fn amid(&self, kind: Kind) {
        lock(&self.seen).amid.0 = Some(kind);
    }

    /// What is wrong, if anything ever was.
    pub(super) fn broken(&self) -> Option<String> {
        lock(&self.seen).broken.clone()
    }

    pub(super) fn looks(&self) -> Looks {
        let seen = lock(&self.seen);
        Looks { looks: seen.looks, told: seen.told, worst: seen.worst, amid: seen.amid.1 }
    }
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look(seen: Arc<Mutex<Seen>>, client: Client, within: Duration) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (page, changes) = {
            let seen = lock(&seen);
            (seen.page.clone(), seen.changes)
        };
        let Some(page) = page else { continue };
        let began = Instant::now();
        let answer = answer(&client, &page).await;
        let took = began.elapsed();
        let mut seen = lock(&seen);
        if seen.changes != changes {
            continue;
        }
        seen.looks += 1;
        if took > seen.worst {
            (seen.worst, seen.amid.1) = (took, seen.amid.0);
        }
        let problem = match answer {
            Ok(answer) if took <= within => {
                seen.told += u64::from(answer == Answer::Told);
                continue;
            }
            Ok(answer) => format!("it took {took:?} ({answer:?}; {:?})", seen.amid.0),
            Err(problem) => format!("after {took:?} ({:?}): {problem}", seen.amid.0),
        };
        seen.broken.get_or_insert(problem);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Served,
    Told,
}

/// A connection that a dying core had taken is cut; whoever comes again at once is answered, as a browser does by itself.
async fn answer(client: &Client, page: &str) -> Result<Answer, String> {
    let answer = match ask(client, page).await {
        Err(error) if !error.is_timeout() => ask(client, page).await,
        answer => answer,
    };
    match answer.map_err(|error| format!("{error:?}"))? {
        (StatusCode::OK, _) => Ok(Answer::Served),
        (StatusCode::SERVICE_UNAVAILABLE, text) if text.contains("start") => Ok(Answer::Told),
        (status, text) => Err(format!("{status}: {text}")),
    }
}

async fn ask(client: &Client, page: &str) -> reqwest::Result<(StatusCode, String)> {
    let response = client.get(page).send().await?;
    Ok((response.status(), response.text().await?))
}
