//! Opening what was sealed, for those who show it to people.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, Payload};
use chrono::{DateTime, Utc};
use millrace_model::deposit;
use millrace_model::event::{Event, Recorded};
use millrace_model::ids::StreamName;
use millrace_model::operator::By;

use super::file::{Found, KeyFile};
use super::text::Sealed;
use super::{bound, cipher};

/// What a text comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It was never sealed: it says what it says.
    Plain,
    /// It was sealed, and said this.
    Text(String),
    /// The customer was forgotten then; nobody can open it any more.
    Forgotten(DateTime<Utc>),
    /// The key is not here.
    Sealed,
    /// The key is here and does not open it: it is not what was sealed, or does not belong here.
    Changed,
}

/// Opens texts by the keys in a file. The file is opened when the first sealed text is met, and closed with this.
pub struct Reading {
    path: Option<Arc<Path>>,
    file: OnceCell<Option<KeyFile>>,
}

impl Reading {
    pub(super) fn of(path: Arc<Path>) -> Self {
        Self { path: Some(path), file: OnceCell::new() }
    }

    /// For somebody without any keys.
    pub fn without_keys() -> Self {
        Self { path: None, file: OnceCell::new() }
    }

    /// What the text at this place comes to.
    pub fn open(&self, place: &str, text: &str) -> Opened {
        let Some(sealed) = Sealed::parse(text) else { return Opened::Plain };
        let Some(file) = self.file() else { return Opened::Sealed };
        let key = match file.find(sealed.key) {
            Ok(Some(Found::Key(key))) => key,
            Ok(Some(Found::Forgotten(at))) => return Opened::Forgotten(at),
            Ok(None) => return Opened::Sealed,
            Err(error) => {
                tracing::warn!(%error, "a sealed text cannot be opened");
                return Opened::Sealed;
            }
        };
        let payload = Payload { msg: &sealed.ciphertext, aad: &bound(&key, place) };
        let plain = cipher(&key).decrypt((&sealed.nonce).into(), payload).ok();
        plain.and_then(|plain| String::from_utf8(plain).ok()).map_or(Opened::Changed, Opened::Text)
    }

    /// The same for people: where there is no text to show, a few words in brackets say why.
    pub fn shown<'t>(&self, place: &str, text: &'t str) -> Cow<'t, str> {
        match self.open(place, text) {
            Opened::Plain => text.into(),
            Opened::Text(plain) => plain.into(),
            Opened::Forgotten(at) => format!("(forgotten on {})", at.format("%Y-%m-%d")).into(),
            Opened::Sealed => "(sealed)".into(),
            Opened::Changed => "(sealed, and not as it was written)".into(),
        }
    }

    /// An event with its note as people are to see it.
    pub fn event(&self, mut recorded: Recorded) -> Recorded {
        if let Event::Deposit(event) = &mut recorded.event
            && let Some(note) = event.note_mut()
        {
            self.show(&recorded.stream.to_string(), note);
        }
        recorded
    }

    /// The body of a command on this stream, likewise.
    pub fn body(&self, stream: &StreamName, body: String) -> String {
        let (StreamName::Deposit(_), Ok(mut command)) = (stream, serde_json::from_str::<deposit::Command>(&body))
        else {
            return body;
        };
        let Some(note) = command.note_mut() else { return body };
        self.show(&stream.to_string(), note);
        let shown = serde_json::to_string(&command).expect("commands have text keys");
        match By::of(command.name(), &body) {
            Some(by) => by.sign(command.name(), shown),
            None => shown,
        }
    }

    /// Puts in a note's place what people are to see.
    pub fn show(&self, place: &str, note: &mut String) {
        *note = self.shown(place, note).into_owned();
    }

    fn file(&self) -> Option<&KeyFile> {
        let open = |path: &Arc<Path>| match KeyFile::open(path) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "sealed texts cannot be opened");
                None
            }
        };
        self.file.get_or_init(|| self.path.as_ref().and_then(open)).as_ref()
    }
}
