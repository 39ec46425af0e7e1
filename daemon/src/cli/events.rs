//! `millrace events`.

use std::io::Write;
use std::time::Duration;

use clap::Args;

use super::client::{Client, NoDesk};
use crate::escape::escaped;
use crate::web::shapes::{EventPage, EventRow, PAGE_ROWS_MAX};

pub(super) const EXAMPLES: &str = "\
Examples:
  millrace events --kind Held,Quarantined        what stopped, since the beginning
  millrace events --follow                       what happens from now on
  millrace events --after 1200 --json            everything after position 1200, for a program";

/// How long the desk may keep a follower waiting for the next event.
const WAIT_S: u32 = 20;
/// Between two attempts to reach a desk that is restarting.
const RECONNECT: Duration = Duration::from_secs(1);

/// Which events to print.
#[derive(Debug, Args)]
pub struct Events {
    /// Go on with what happens from now on, until interrupted; with --after, from there.
    #[arg(long)]
    follow: bool,
    /// Only events of these kinds, separated by commas.
    #[arg(long, value_name = "KIND,…")]
    kind: Option<String>,
    /// Only events of this stream.
    #[arg(long)]
    stream: Option<String>,
    /// Only events after this position of the log.
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints events, page by page.
pub async fn print(client: &Client, wanted: &Events, out: &mut impl Write) -> anyhow::Result<()> {
    let mut after = match wanted.after {
        None if wanted.follow => page(client, wanted, 0, 0).await?.head,
        after => after.unwrap_or(0),
    };
    loop {
        let page = match page(client, wanted, after, PAGE_ROWS_MAX).await {
            Err(error) if wanted.follow && is_unreachable(&error) => {
                writeln!(std::io::stderr(), "waiting: {error}")?;
                tokio::time::sleep(RECONNECT).await;
                continue;
            }
            page => page?,
        };
        for event in &page.events {
            if wanted.json { writeln!(out, "{}", serde_json::to_string(event)?)? } else { line(out, event)? }
        }
        out.flush()?;
        // A log never shrinks; an answer that goes back would make us print for ever.
        let advanced = page.next > after;
        after = after.max(page.next);
        if !wanted.follow && (!advanced || after >= page.head) {
            return Ok(());
        }
    }
}

async fn page(client: &Client, wanted: &Events, after: u64, rows: u32) -> anyhow::Result<EventPage> {
    let query = [
        ("after", Some(after.to_string())),
        ("limit", Some(rows.to_string())),
        ("kind", wanted.kind.clone()),
        ("stream", wanted.stream.clone()),
        ("wait_s", (wanted.follow && rows > 0).then(|| WAIT_S.to_string())),
    ];
    client.get("events", &query).await
}

/// Whether the desk is away, perhaps restarting, rather than of another opinion.
fn is_unreachable(error: &anyhow::Error) -> bool {
    error.is::<NoDesk>() || error.chain().any(|cause| cause.is::<reqwest::Error>())
}

/// One event as a line of text.
pub(super) fn line(out: &mut impl Write, event: &EventRow) -> anyhow::Result<()> {
    let at = event.recorded_at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    let (stream, kind, payload) = (escaped(&event.stream), escaped(&event.kind), escaped(event.payload.get()));
    Ok(writeln!(out, "{:>8}  {at}  {stream}#{}  {kind}  {payload}", event.position, event.version)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{self, Desk};

    fn wanted() -> Events {
        Events { follow: false, kind: None, stream: None, after: None, json: true }
    }

    async fn printed(desk: &Desk, wanted: &Events) -> Vec<u64> {
        let mut out = Vec::new();
        print(&desk.client(), wanted, &mut out).await.unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| serde_json::from_str::<EventRow>(line).unwrap().position).collect()
    }

    #[tokio::test]
    async fn all_events_are_printed_once_and_in_order() {
        let desk = Desk::start().await;
        assert_eq!(printed(&desk, &wanted()).await, (1..=testing::EVENTS).collect::<Vec<_>>());
        assert_eq!(printed(&desk, &Events { after: Some(testing::EVENTS - 2), ..wanted() }).await.len(), 2);
        assert_eq!(printed(&desk, &Events { after: Some(testing::EVENTS), ..wanted() }).await, Vec::<u64>::new());
    }

    #[tokio::test]
    async fn a_filter_that_finds_little_still_reaches_the_end() {
        let desk = Desk::start().await;
        let kind = Some("Held,Sent".to_owned());
        assert_eq!(printed(&desk, &Events { kind, ..wanted() }).await, [3, testing::EVENTS]);
    }

    /// A reader who hangs up after so many lines.
    struct Hasty(usize, Vec<u8>);

    impl Write for Hasty {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.extend_from_slice(bytes);
            let lines = self.1.iter().filter(|byte| **byte == b'\n').count();
            if lines >= self.0 { Err(std::io::ErrorKind::BrokenPipe.into()) } else { Ok(bytes.len()) }
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn following_begins_at_the_head_and_goes_on() {
        let desk = Desk::start().await;
        let mut out = Hasty(2, Vec::new());
        let client = desk.client();
        let wanted = Events { follow: true, ..wanted() };
        let following = print(&client, &wanted, &mut out);
        let error = tokio::time::timeout(Duration::from_secs(20), following).await.unwrap().unwrap_err();
        assert_eq!(crate::cli::Exit::of(&error), crate::cli::Exit::Done);
        let text = String::from_utf8(out.1).unwrap();
        let first = format!("{{\"position\":{},", testing::EVENTS + 1);
        assert!(text.starts_with(&first), "{text}");
    }
}
