//! How the console shows what is the same everywhere: times, counts, amounts, and states, which no colour says alone.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use millrace_actors::supervision::State;
use millrace_model::desk::Switch;

/// How something stands, for the eye; the word says it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Well,
    /// On its way.
    Busy,
    /// Somebody should look.
    Ailing,
    /// It does not work.
    Broken,
    /// Nothing to say.
    Quiet,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Busy => "busy",
            Self::Ailing => "ailing",
            Self::Broken => "broken",
            Self::Quiet => "quiet",
        }
    }

    /// A shape of its own for each.
    const fn sign(self) -> &'static str {
        match self {
            Self::Well => "●",
            Self::Busy => "◐",
            Self::Ailing => "▲",
            Self::Broken => "✕",
            Self::Quiet => "○",
        }
    }

    /// Of a part's state.
    pub(super) fn of_part(state: State, is_well: bool) -> Self {
        match state {
            State::Running if is_well => Self::Well,
            State::Running | State::Halted | State::BackingOff { .. } => Self::Ailing,
            State::Starting | State::Waiting => Self::Busy,
            State::Down => Self::Broken,
            State::Stopped => Self::Quiet,
        }
    }

    /// Of where a deposit stands.
    pub(super) fn of_deposit(status: &str) -> Self {
        match status {
            "done" => Self::Well,
            "held" | "refund_due" | "quarantined" => Self::Ailing,
            "unreadable" => Self::Broken,
            _ => Self::Busy,
        }
    }
}

/// A word with its sign.
pub(super) fn mark(tone: Tone, word: &str) -> Markup {
    html! { span class={ "mark " (tone.class()) } { span aria-hidden="true" { (tone.sign()) } " " (word) } }
}

/// Where a deposit stands, in words.
pub(super) fn status(status: &str) -> Markup {
    mark(Tone::of_deposit(status), &status.replace('_', " "))
}

/// Why something stands where it does: the word, with blanks as in prose, and what belongs to it as it is.
pub(super) fn reason(text: &str) -> String {
    match text.split_once(": ") {
        Some((word, rest)) => format!("{}: {rest}", word.replace('_', " ")),
        None => text.replace('_', " "),
    }
}

/// What a switch turns on and off, within a sentence.
pub(super) const fn switch(switch: Switch) -> &'static str {
    match switch {
        Switch::Binds => "deposit addresses",
        Switch::Purchases => "purchases",
        Switch::Sends => "payouts",
    }
}

/// The same at the beginning of one.
pub(super) fn first_upper(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// A moment, as the time since; exactly when one points at it. The script lets it go on.
pub(super) fn moment(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)) title=(exactly(at)) { (ago(now - at)) }
    }
}

/// A moment to the millisecond.
pub(super) fn exactly(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// The time since, or until, in its largest unit.
pub(super) fn ago(since: TimeDelta) -> String {
    match since.num_seconds() {
        ..-1 => format!("in {}", span(-since)),
        -1..1 => "now".to_owned(),
        _ => format!("{} ago", span(since)),
    }
}

/// A span in its largest unit, two below the tenfold of it.
pub(super) fn span(time: TimeDelta) -> String {
    let seconds = time.num_seconds();
    match seconds {
        ..1 => format!("{} ms", time.num_milliseconds()),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A count with its thousands apart.
pub(super) fn count(number: u64) -> String {
    apart(&number.to_string())
}

/// Digits with their thousands apart.
fn apart(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // Narrow, and no place to break a line.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// An amount with its unit.
pub(super) fn amount(text: &str, coin: &str) -> Markup {
    html! { (number(text)) " " span.unit { (coin) } }
}

/// An amount whose unit goes without saying, the thousands of its whole part apart.
pub(super) fn number(text: &str) -> Markup {
    let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    html! { span.num { (sign) (apart(whole)) (fraction) } }
}

/// One thing or several of them.
pub(super) fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { several })
}

/// An id or a hash in short, whole for whoever points at it or copies it.
pub(super) fn short(text: &str) -> Markup {
    const SHOWN_CHARS: usize = 10;
    match text.char_indices().nth(SHOWN_CHARS + 2) {
        Some(_) => {
            let head: String = text.chars().take(SHOWN_CHARS).collect();
            html! { code title=(text) { (head) "…" } }
        }
        None => html! { code { (text) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        for (ms, text) in [
            (7, "now"),
            (1_500, "1 s ago"),
            (59_999, "59 s ago"),
            (61_000, "1 min ago"),
            (3_661_000, "1 h 01 min ago"),
            (200_000_000, "2 d ago"),
            (-5_000, "in 5 s"),
        ] {
            assert_eq!(ago(TimeDelta::milliseconds(ms)), text);
        }
    }

    #[test]
    fn a_reason_is_prose_up_to_what_somebody_said() {
        for (text, shown) in [
            ("above_maximum", "above maximum"),
            ("paid_before: a_b", "paid before: a_b"),
            ("operator: ask_him: why", "operator: ask_him: why"),
        ] {
            assert_eq!(reason(text), shown);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1\u{202f}000"), (12_345_678, "12\u{202f}345\u{202f}678")]
        {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn amounts_keep_every_digit() {
        for (text, shown) in [
            ("0.05000000", "0.05000000"),
            ("-3999975.000001", "-3\u{202f}999\u{202f}975.000001"),
            ("-12", "-12"),
            ("–", "–"),
        ] {
            assert_eq!(number(text).into_string(), format!(r#"<span class="num">{shown}</span>"#));
        }
    }

    #[test]
    fn what_is_long_is_cut_and_kept_whole_beside() {
        assert_eq!(short("abc").into_string(), "<code>abc</code>");
        let whole = "0123456789abcdef";
        assert_eq!(short(whole).into_string(), r#"<code title="0123456789abcdef">0123456789…</code>"#);
    }
}
