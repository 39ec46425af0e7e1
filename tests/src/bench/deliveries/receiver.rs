//! Receivers as a process of their own: as many endpoints as there are paths, read by hand so that they cost little.
//!
//! `POST /e/NUMBER` is answered with 204 and counted, `POST /hang/NUMBER` is read and never answered. `GET /stats` tells what
//! came since the last `GET /reset`, `GET /counts` how often each notification came to each endpoint.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

const NO_CONTENT: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// What came.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(super) struct Stats {
    /// How many notifications, those that hang not among them.
    pub count: u64,
    /// When the first came, in microseconds since 1970.
    pub first_us: u64,
    /// From when it was published to when its first byte was read; 0 where nothing says when it was published.
    pub p50_us: u64,
    pub p99_us: u64,
    /// Time of the processors so far, in microseconds.
    pub cpu_us: u64,
}

#[derive(Default)]
struct Seen {
    count: u64,
    first_us: u64,
    took_us: Vec<u64>,
    counts: HashMap<(u64, u128), u32>,
}

/// Serves until it is killed; prints its address first.
pub(super) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let seen = Rc::clone(&seen);
            // A sender that is killed breaks its connections.
            connections.spawn_local(async move { drop(serve(stream, &seen).await) });
            while connections.try_join_next().is_some() {}
        }
    })
}

#[allow(clippy::disallowed_methods, reason = "two processes compare their clocks")]
pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(0)
}

async fn serve(mut stream: TcpStream, seen: &RefCell<Seen>) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(8_192);
    loop {
        let (head, total) = loop {
            if let Some(found) = request(&buffer)? {
                break found;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let text = std::str::from_utf8(&buffer[..head])?;
        let path = text.split(' ').nth(1).context("a request has a path")?;
        let answer = match path.strip_prefix("/e/") {
            Some(endpoint) => {
                seen.borrow_mut().note(endpoint.parse()?, text, &buffer[head..total])?;
                None
            }
            None if path.starts_with("/hang/") => return std::future::pending().await,
            None => Some(asked(path, seen)?),
        };
        buffer.drain(..total);
        match answer {
            None => stream.write_all(NO_CONTENT).await?,
            Some(body) => {
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }
}

/// Where the head of a whole request ends, and where its body does.
fn request(buffer: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let length = header(std::str::from_utf8(&buffer[..end])?, "content-length").map_or(Ok(0), str::parse::<usize>)?;
    let (head, total) = (end + 4, end + 4 + length);
    Ok((buffer.len() >= total).then_some((head, total)))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn asked(path: &str, seen: &RefCell<Seen>) -> anyhow::Result<String> {
    let mut seen = seen.borrow_mut();
    match path {
        "/reset" => {
            *seen = Seen::default();
            Ok(String::new())
        }
        "/counts" => {
            let mut text = String::new();
            for ((endpoint, position), count) in &seen.counts {
                writeln!(text, "{endpoint} {position} {count}")?;
            }
            Ok(text)
        }
        _ => Ok(serde_json::to_string(&seen.stats())?),
    }
}

impl Seen {
    fn note(&mut self, endpoint: u64, head: &str, body: &[u8]) -> anyhow::Result<()> {
        let now_us = now_us();
        if self.count == 0 {
            self.first_us = now_us;
        }
        self.count += 1;
        let published_us = super::source::published_us(body);
        if published_us > 0 {
            self.took_us.push(now_us.saturating_sub(published_us));
        } else if let Some(id) = header(head, "webhook-id").and_then(|id| id.parse::<uuid::Uuid>().ok()) {
            *self.counts.entry((endpoint, id.as_u128())).or_default() += 1;
        }
        Ok(())
    }

    fn stats(&mut self) -> Stats {
        self.took_us.sort_unstable();
        let at = |share: f64| {
            let last = self.took_us.len().saturating_sub(1);
            self.took_us.get((last as f64 * share) as usize).copied().unwrap_or(0)
        };
        let cpu_us = u64::try_from(super::super::timed::used().as_micros()).unwrap_or(0);
        Stats { count: self.count, first_us: self.first_us, p50_us: at(0.5), p99_us: at(0.99), cpu_us }
    }
}
