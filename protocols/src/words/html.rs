//! The same as HTML: one small document without scripts, pictures or anything that is fetched.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::Words;

const STYLE: &str = "font-family:sans-serif;line-height:1.5;color:#222;max-width:40em";

/// The whole of a mail.
pub(super) fn document(words: &Words) -> String {
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title></head>\n<body style=\"{STYLE}\">\n<p>{}</p>\n",
        escape(&words.subject),
        escape(&words.sentence)
    );
    if !words.facts.is_empty() {
        html.push_str("<table>\n");
        for (name, value) in &words.facts {
            let _ = writeln!(html, "<tr><th align=\"left\">{}</th><td>{}</td></tr>", escape(name), escape(value));
        }
        html.push_str("</table>\n");
    }
    if let Some(link) = &words.link {
        let _ = writeln!(html, "<p><a href=\"{}\">{}</a></p>", escape(&link.url), escape(link.label));
    }
    if let Some(leave) = &words.leave {
        let _ = writeln!(html, "<p><small><a href=\"{}\">Hear no more of this</a></small></p>", escape(leave));
    }
    html.push_str("</body></html>\n");
    html
}

/// Text as it may stand between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}
