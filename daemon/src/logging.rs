//! Log lines: text for people on a terminal, JSON for machines otherwise, and nothing from outside unescaped.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{self, Writer};
use tracing_subscriber::fmt::{FormatFields, MakeWriter};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Desk, LogFilter, LogFormat};
use crate::escape::Escaping;

/// Why logging could not begin: something in this process logs already.
#[derive(Debug, thiserror::Error)]
#[error("logging cannot begin: {0}")]
pub struct LoggingError(#[from] tracing_subscriber::util::TryInitError);

/// Begins logging to standard error for the rest of the process, as `desk.log` and `desk.log_format` say.
pub fn begin(desk: &Desk) -> Result<(), LoggingError> {
    let terminal = io::stderr().is_terminal();
    let human = match desk.log_format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    if human {
        human_lines(&desk.log, if terminal { Colours::Wanted } else { Colours::Off }, io::stderr).try_init()?;
    } else {
        json_lines(&desk.log, io::stderr).try_init()?;
    }
    Ok(())
}

/// Whether lines are coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// Unless the user's environment asks for none (<https://no-color.org>).
    Wanted,
    Off,
}

pub(crate) fn human_lines<W>(log: &LogFilter, colours: Colours, out: W) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(filter(log));
    let lines = match colours {
        Colours::Wanted => lines,
        Colours::Off => lines.with_ansi(false),
    };
    lines.fmt_fields(escaping_fields()).with_writer(out).finish()
}

fn json_lines<W>(log: &LogFilter, out: W) -> impl SubscriberInitExt + tracing::Subscriber
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter(log))
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(out)
        .finish()
}

fn filter(log: &LogFilter) -> EnvFilter {
    EnvFilter::new(log.as_str())
}

/// `key=value` with everything unprintable escaped; JSON does so by itself.
fn escaping_fields() -> impl for<'w> FormatFields<'w> {
    format::debug_fn(|writer: &mut Writer<'_>, field, value| match field.name() {
        "message" => write!(Escaping(writer), "{value:?}"),
        name => write!(Escaping(writer), "{name}={value:?}"),
    })
    .delimited(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    const HOSTILE: &str = "x\n2026-01-01 ERROR forged\u{1b}[2J\u{202e}";

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log() -> LogFilter {
        crate::config::Setting::from_text("info").unwrap()
    }

    fn say_it() {
        let span = tracing::info_span!("deposit", id = HOSTILE);
        let _entered = span.enter();
        tracing::info!(shown = %HOSTILE, debugged = ?HOSTILE, plain = HOSTILE, "said {HOSTILE}");
        tracing::debug!("not wanted");
    }

    #[test]
    fn a_hostile_value_cannot_forge_a_line_for_people() {
        let page = Page::default();
        let out = page.clone();
        tracing::subscriber::with_default(human_lines(&log(), Colours::Off, move || out.clone()), say_it);
        let text = page.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("said x\\n2026") && text.contains("shown=x\\n2026"), "{text}");
    }

    #[test]
    fn a_line_for_machines_is_one_json_object_with_its_deposit() {
        let page = Page::default();
        let out = page.clone();
        tracing::subscriber::with_default(json_lines(&log(), move || out.clone()), say_it);
        let text = page.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["shown"], HOSTILE);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["spans"][0]["id"], HOSTILE);
    }
}
