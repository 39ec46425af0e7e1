//! Firebase Cloud Messaging's HTTP v1 API as far as a message to one device takes it, and the grant of OAuth 2 that it wants
//! (RFC 7523: a JWT that a service account's key signed, RS256).
//!
//! What signs is the caller's; here is what is signed.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::words::{Words, confirm};

/// Where Google takes messages.
pub const API_URL: &str = "https://fcm.googleapis.com";
/// How long a grant is asked for, in seconds: the longest there is.
pub const GRANT_S: u64 = 3_600;
/// The longest registration token, in bytes. Google's are shorter than 300.
pub const TOKEN_BYTES_MAX: usize = 1_024;
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long Google keeps a message for a phone that is off, in seconds.
const KEPT_S: u64 = 86_400;
/// How much of a message of Google's is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The key file of a service account, as Google's console gives it out.
#[derive(Clone, Deserialize)]
pub struct ServiceAccount {
    /// The project whose messages these are.
    pub project_id: String,
    /// Which of the account's keys it is.
    pub private_key_id: String,
    /// The key, PKCS #8 in PEM.
    pub private_key: String,
    /// The account.
    pub client_email: String,
    /// Where a grant is to be had.
    pub token_uri: String,
}

/// What was granted.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Granted {
    /// What a request bears.
    pub access_token: String,
    /// For how long, in seconds.
    pub expires_in: u64,
}

/// What an answer to a message means for it and for the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Google has it.
    Sent,
    /// Not now.
    Later(String),
    /// What the request bears is not taken any more.
    NotGranted(String),
    /// There is no such device, or no more, or it is another project's.
    NoDevice(String),
    /// Google does not take this message.
    BadMessage(String),
    /// It is the project or the server that something is wrong with.
    Trouble(String),
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granted").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

impl ServiceAccount {
    /// What is to be signed for a grant from `now_s` on, in seconds since 1970.
    pub fn to_be_signed(&self, now_s: u64) -> String {
        let head = json!({ "alg": "RS256", "typ": "JWT", "kid": self.private_key_id });
        let claims = json!({
            "iss": self.client_email,
            "scope": SCOPE,
            "aud": self.token_uri,
            "iat": now_s,
            "exp": now_s + GRANT_S,
        });
        let encode = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
        format!("{}.{}", encode(&head), encode(&claims))
    }

    /// The path that messages are posted to.
    pub fn path(&self) -> String {
        let project: String = form_urlencoded::byte_serialize(self.project_id.as_bytes()).collect();
        format!("v1/projects/{project}/messages:send")
    }
}

/// The form that asks for a grant: what was to be signed, and the signature over it.
pub fn grant_form(to_be_signed: &str, signature: &[u8]) -> String {
    let assertion = format!("{to_be_signed}.{}", BASE64URL_NOPAD.encode(signature));
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", GRANT_TYPE).append_pair("assertion", &assertion).finish()
}

/// Reads the answer to it; the error is for a person.
pub fn granted(status: u16, body: &[u8]) -> Result<Granted, String> {
    if status == 200 {
        let granted = serde_json::from_slice::<Granted>(body).map_err(|error| error.to_string())?;
        let is_sound = granted.access_token.bytes().all(|byte| byte.is_ascii_graphic());
        return if is_sound { Ok(granted) } else { Err("the grant cannot be put into a header".to_owned()) };
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refused {
        error: String,
        error_description: String,
    }
    let Refused { error, error_description } = serde_json::from_slice(body).unwrap_or_default();
    Err(one_line(&format!("no grant, status {status}: {error} {error_description}")))
}

/// Whether a text may be a device's registration token.
pub fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(fits)
}

/// The message that tells a device something. Its data are for the app; what is told of the same deposit takes the place of what
/// was told of it before.
pub fn message(token: &str, words: &Words) -> Vec<u8> {
    let mut data = json!({ "id": words.id, "event_type": words.topic, "about": words.about });
    if let Some((_, code)) = words.facts.iter().find(|(name, _)| *name == confirm::CODE) {
        data["code"] = json!(code);
    }
    if let Some(link) = &words.link {
        data["link"] = json!(link.url);
    }
    if let Some(leave) = &words.leave {
        data["leave"] = json!(leave);
    }
    let android = json!({ "priority": "HIGH", "ttl": format!("{KEPT_S}s"), "notification": { "tag": words.about } });
    let notification = json!({ "title": words.subject, "body": words.sentence });
    let message = json!({ "token": token, "notification": notification, "data": data, "android": android });
    serde_json::to_vec(&json!({ "message": message })).expect("texts are always JSON")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    error: RawError,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawError {
    message: String,
    status: String,
    details: Vec<Value>,
}

impl RawError {
    /// Firebase's own word, which says more than the status.
    fn code(&self) -> &str {
        self.details.iter().find_map(|detail| detail["errorCode"].as_str()).unwrap_or(&self.status)
    }

    /// Whether it is the token that is wrong, and not what is told.
    fn is_of_the_token(&self) -> bool {
        let violations = self.details.iter().filter_map(|detail| detail["fieldViolations"].as_array()).flatten();
        let mut fields = violations.filter_map(|violation| violation["field"].as_str());
        fields.any(|field| field == "message.token") || self.message.contains("registration token")
    }
}

/// Reads the answer to a message.
pub fn answer(status: u16, body: &[u8]) -> Answer {
    let Raw { error } = serde_json::from_slice(body).unwrap_or_default();
    let why = one_line(&format!("status {status} {} {}", error.code(), error.message));
    match (status, error.code()) {
        (200, _) => Answer::Sent,
        (401, _) => Answer::NotGranted(why),
        (404, "UNREGISTERED") => Answer::NoDevice(why),
        (400, _) if error.is_of_the_token() => Answer::NoDevice(why),
        // Not Firebase's: whoever stands between says nothing of the message.
        (400, "") => Answer::Trouble(why),
        (400, _) => Answer::BadMessage(why),
        (429 | 503, _) => Answer::Later(why),
        _ => Answer::Trouble(why),
    }
}

fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().filter(|letter| !letter.is_control()).take(MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
