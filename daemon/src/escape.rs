//! Text from outside made safe for logs and terminals: nothing in it can end a line, move a cursor or turn the
//! reading direction.

use std::fmt::{self, Display, Write};

/// Shows `text` with every control and direction character written as an escape.
pub fn escaped(text: &str) -> impl Display + '_ {
    fmt::from_fn(move |f| Escaping(f).write_str(text))
}

/// A writer that escapes what passes through it.
pub struct Escaping<W>(pub W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, bad)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", bad.escape_default())?;
            rest = &rest[at + bad.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Control characters, line and paragraph separators, and the marks that change the reading direction.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most `chars_max` characters of `text`, escaped, with `…` where it was cut.
pub fn excerpt(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => escaped(text).to_string(),
        Some((end, _)) => format!("{}…", escaped(&text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_passes_and_the_rest_stays() {
        let shown = escaped("a\nb\u{1b}[31m\r\u{9b}2J\u{202e}é\u{7f}").to_string();
        assert_eq!(shown, "a\\nb\\u{1b}[31m\\r\\u{9b}2J\\u{202e}é\\u{7f}");
    }

    #[test]
    fn an_excerpt_is_cut_between_characters() {
        assert_eq!(excerpt("ééé", 2), "éé…");
        assert_eq!(excerpt("é\n", 2), "é\\n");
    }
}
