//! An operator's reason in his own words: every operation carries one.

use std::fmt;

/// Characters of a note at most.
pub const NOTE_CHARS_MAX: usize = 200;

/// Why a text is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Nothing in it.
    #[error("a note says why, so it cannot be empty")]
    Empty,
    /// Too much in it.
    #[error("a note has at most {NOTE_CHARS_MAX} characters")]
    TooLong,
    /// Something in it that cannot be shown.
    #[error("a note is plain text, without control characters")]
    Unprintable,
}

/// 1 to [`NOTE_CHARS_MAX`] characters without control characters, and without space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note(String);

impl Note {
    /// The text as a note.
    pub fn new(text: &str) -> Result<Self, NoteError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoteError::Empty);
        }
        if text.chars().count() > NOTE_CHARS_MAX {
            return Err(NoteError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(NoteError::Unprintable);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
