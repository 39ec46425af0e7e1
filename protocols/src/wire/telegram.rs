//! Telegram's Bot API as far as a message to a chat takes it: `sendMessage` (Bot API 9), and what its answers mean.
//!
//! The text is sent without a parse mode, so nothing in it is markup.

use serde::Deserialize;
use serde_json::json;

/// The longest text of a message, in characters (Bot API, `sendMessage`).
pub const TEXT_CHARS_MAX: usize = 4_096;
/// The longest name of a channel, in bytes, without its `@`.
const NAME_BYTES_MAX: usize = 32;
/// Shorter names are not given out.
const NAME_BYTES_MIN: usize = 4;
/// How much of a description is kept, in characters.
const DESCRIPTION_CHARS_MAX: usize = 300;

/// A chat: a person, a group, or a public channel by its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Chat {
    /// By its number; that of a group is below zero.
    Id(i64),
    /// A channel by its name, without the `@`.
    Channel(String),
}

/// What an answer means for the message and for the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Telegram has it.
    Sent,
    /// Too much was asked for.
    Later {
        /// For how long the bot is to say nothing, in seconds.
        retry_after_s: Option<u64>,
        /// What Telegram says of it.
        why: String,
    },
    /// There is no such chat, or its owner does not want the bot.
    NoChat(String),
    /// Telegram does not take this text.
    BadMessage(String),
    /// It is the bot that is not known, or the server that fails.
    Trouble(String),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    ok: bool,
    description: String,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

impl Chat {
    /// Whether it is one person's chat with the bot, as far as its number tells.
    pub fn is_of_a_person(&self) -> bool {
        matches!(self, Self::Id(id) if *id > 0)
    }

    /// Reads a number, or a channel's name that begins with `@`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix('@') {
            let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                && (NAME_BYTES_MIN..=NAME_BYTES_MAX).contains(&name.len());
            return is_name.then(|| Self::Channel(name.to_owned()));
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_number).map(Self::Id)
    }
}

/// The body of `sendMessage`. What is too long is cut.
pub fn send_message(chat: &Chat, text: &str) -> Vec<u8> {
    let chat = match chat {
        Chat::Id(id) => json!(id),
        Chat::Channel(name) => json!(format!("@{name}")),
    };
    let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let body = json!({ "chat_id": chat, "text": text, "link_preview_options": { "is_disabled": true } });
    serde_json::to_vec(&body).expect("texts and numbers are always JSON")
}

/// Reads an answer.
pub fn answer(status: u16, body: &[u8]) -> Answer {
    let raw: Raw = serde_json::from_slice(body).unwrap_or_default();
    let why = match raw.description.is_empty() {
        true => format!("status {status}"),
        false => raw.description.chars().filter(|letter| !letter.is_control()).take(DESCRIPTION_CHARS_MAX).collect(),
    };
    match status {
        200 if raw.ok => Answer::Sent,
        // Not Telegram's: whoever stands between says nothing of the chat.
        400 | 403 if raw.description.is_empty() => Answer::Trouble(why),
        429 => Answer::Later { retry_after_s: raw.parameters.retry_after, why },
        // Blocked, kicked, or the account is gone.
        403 => Answer::NoChat(why),
        400 if raw.parameters.migrate_to_chat_id.is_some() || is_of_the_chat(&why) => Answer::NoChat(why),
        400 | 413 => Answer::BadMessage(why),
        // 401 and 404 are of the bot's token.
        _ => Answer::Trouble(why),
    }
}

/// What Telegram says of a chat that cannot be written to; there are no codes for it.
fn is_of_the_chat(description: &str) -> bool {
    let said = description.to_ascii_lowercase();
    let of_the_chat = [
        "chat not found",
        "peer_id_invalid",
        "user not found",
        "user is deactivated",
        "have no rights to send",
        "not enough rights",
        "chat_write_forbidden",
        "upgraded to a supergroup",
        "bot can't initiate conversation",
        "chat_restricted",
    ];
    of_the_chat.iter().any(|known| said.contains(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_a_number_or_a_name() {
        assert!(Chat::Id(42).is_of_a_person() && !Chat::Id(-42).is_of_a_person());
        assert_eq!(Chat::parse("42"), Some(Chat::Id(42)));
        assert_eq!(Chat::parse("-1001234567890"), Some(Chat::Id(-1_001_234_567_890)));
        assert_eq!(Chat::parse("@desk_news"), Some(Chat::Channel("desk_news".to_owned())));
        for wrong in
            ["", "-", "@", "@abc", "@1abcd", "@a b c d", "+42", "0", "042", "4.2", "99999999999999999999", "x/y"]
        {
            assert_eq!(Chat::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_message_is_plain_text_of_bounded_length() {
        let body: serde_json::Value =
            serde_json::from_slice(&send_message(&Chat::Id(-5), &"ä<b>".repeat(2_000))).unwrap();
        assert_eq!(body["chat_id"], json!(-5));
        assert_eq!(body["text"].as_str().unwrap().chars().count(), TEXT_CHARS_MAX);
        assert!(body.get("parse_mode").is_none());
        let body: serde_json::Value =
            serde_json::from_slice(&send_message(&Chat::Channel("desk".to_owned()), "x")).unwrap();
        assert_eq!(body["chat_id"], json!("@desk"));
    }

    #[test]
    fn each_answer_has_its_meaning() {
        let said = |status, description: &str, parameters: serde_json::Value| {
            let body =
                json!({ "ok": false, "error_code": status, "description": description, "parameters": parameters });
            answer(status, body.to_string().as_bytes())
        };
        assert_eq!(answer(200, br#"{"ok":true,"result":{"message_id":1}}"#), Answer::Sent);
        let later = said(429, "Too Many Requests: retry after 7", json!({ "retry_after": 7 }));
        assert!(matches!(later, Answer::Later { retry_after_s: Some(7), .. }), "{later:?}");
        let blocked = said(403, "Forbidden: bot was blocked by the user", json!({}));
        assert_eq!(blocked, Answer::NoChat("Forbidden: bot was blocked by the user".to_owned()));
        assert!(matches!(said(400, "Bad Request: chat not found", json!({})), Answer::NoChat(_)));
        let moved = said(400, "Bad Request: group chat was upgraded", json!({ "migrate_to_chat_id": -100 }));
        assert!(matches!(moved, Answer::NoChat(_)));
        assert!(matches!(said(400, "Bad Request: message text is empty", json!({})), Answer::BadMessage(_)));
        assert!(matches!(said(401, "Unauthorized", json!({})), Answer::Trouble(_)));
    }

    #[test]
    fn what_is_no_answer_of_telegram_is_trouble() {
        for (status, body) in [(200, "OK"), (200, r#"{"ok":false}"#), (403, "<html>"), (400, ""), (404, ""), (302, "")]
        {
            assert_eq!(answer(status, body.as_bytes()), Answer::Trouble(format!("status {status}")), "{body}");
        }
    }
}
