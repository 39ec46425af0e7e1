//! Where a reader of the history is: opaque to him, and of use with the log that gave it alone.
//!
//! A version (one byte), the position of the last notification that was looked at (eight, the highest first) and the first
//! eight bytes of its id, as base64url without padding. The id follows from what it names, so a log that was put back and came
//! to something else at that position is told from the one that gave the cursor.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_model::ids::Position;
use uuid::Uuid;

const VERSION: u8 = 1;
const BYTES: usize = 17;
/// What a cursor looks like; nothing stands for the beginning.
pub(super) const PATTERN: &str = "^([A-Za-z0-9_-]{23})?$";

/// A place in the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The last notification's.
    pub(super) position: Position,
    id: [u8; 8],
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this desk")]
pub(super) struct NotACursor;

impl Cursor {
    /// Before everything.
    pub(super) const BEGINNING: Self = Self { position: 0, id: [0; 8] };

    /// After a notification.
    pub(super) fn after(position: Position, id: Uuid) -> Self {
        Self { position, id: start(id) }
    }

    /// Whether it stands after this one.
    pub(super) fn is_after(self, id: Uuid) -> bool {
        self.id == start(id)
    }

    /// Reads one; nothing but an empty text stands for the beginning.
    pub(super) fn parse(text: &str) -> Result<Self, NotACursor> {
        if text.is_empty() {
            return Ok(Self::BEGINNING);
        }
        let mut bytes = [0; BYTES];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(BYTES) if bytes[0] == VERSION => {}
            _ => return Err(NotACursor),
        }
        let (position, id) = bytes[1..].split_at(8);
        let position = Position::from_be_bytes(position.try_into().expect("eight of sixteen bytes"));
        let id = id.try_into().expect("the other eight");
        if i64::try_from(position).is_err() { Err(NotACursor) } else { Ok(Self { position, id }) }
    }

    /// The text.
    pub(super) fn text(self) -> String {
        let mut bytes = [VERSION; BYTES];
        bytes[1..9].copy_from_slice(&self.position.to_be_bytes());
        bytes[9..].copy_from_slice(&self.id);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn start(id: Uuid) -> [u8; 8] {
    id.as_bytes()[..8].try_into().expect("an id has sixteen bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_from_its_text(position in 0..=i64::MAX as u64, id: u128) {
            let cursor = Cursor::after(position, Uuid::from_u128(id));
            prop_assert_eq!(Cursor::parse(&cursor.text()), Ok(cursor));
            prop_assert_eq!(cursor.text().len(), 23);
            prop_assert!(cursor.is_after(Uuid::from_u128(id)) && !cursor.is_after(Uuid::from_u128(!id)));
        }

        #[test]
        fn any_other_text_is_none(text in ".{1,64}") {
            if let Ok(cursor) = Cursor::parse(&text) {
                prop_assert_eq!(cursor.text(), text);
            }
        }
    }

    #[test]
    fn the_beginning_is_an_empty_text_or_its_own() {
        assert_eq!(Cursor::parse(""), Ok(Cursor::BEGINNING));
        assert_eq!(Cursor::parse(&Cursor::BEGINNING.text()), Ok(Cursor::BEGINNING));
        let newer = format!("Ag{}", &Cursor::BEGINNING.text()[2..]);
        let before_all = Cursor { position: u64::MAX, ..Cursor::BEGINNING }.text();
        for wrong in ["0", &newer, &before_all, &Cursor::BEGINNING.text()[1..], "A==", "AQ AAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(Cursor::parse(wrong), Err(NotACursor), "{wrong}");
        }
    }
}
