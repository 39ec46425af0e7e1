//! What is bulky of many rows, in one piece: rows are made by one thread and written by another, and memory that goes from thread to
//! thread in small pieces takes longer than what is in it.

use std::ops::Range;

use rusqlite::types::{ToSqlOutput, ValueRef};
use serde::Serialize;

/// The bytes of them all.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<u8>);

/// Where one of them is.
#[derive(Debug, Clone)]
pub(super) struct Piece(Range<usize>);

impl Pieces {
    pub(super) fn add_text(&mut self, text: &str) -> Piece {
        self.add_packed(|bytes| bytes.extend_from_slice(text.as_bytes()))
    }

    pub(super) fn add_document(&mut self, document: &impl Serialize) -> Result<Piece, serde_json::Error> {
        let begin = self.0.len();
        serde_json::to_writer(&mut self.0, document)?;
        Ok(Piece(begin..self.0.len()))
    }

    /// Adds what is appended.
    pub(super) fn add_packed(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Piece {
        let begin = self.0.len();
        append(&mut self.0);
        Piece(begin..self.0.len())
    }

    /// A piece that is text.
    pub(super) fn text(&self, piece: &Piece) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Text(&self.0[piece.0.clone()]))
    }

    /// A piece that is bytes.
    pub(super) fn blob(&self, piece: &Piece) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(ValueRef::Blob(&self.0[piece.0.clone()]))
    }
}
