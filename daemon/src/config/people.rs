//! `[notify.mail]`, `[notify.telegram]` and `[notify.fcm]`: the ways by which people are told.

use std::path::{Path, PathBuf};

use millrace_actors::delivery::sinks::destination::Kind;
use millrace_actors::delivery::sinks::fcm::Fcm;
use millrace_actors::delivery::sinks::mail::server::{InClear, Server};
use millrace_actors::delivery::sinks::mail::{Mail, mailbox};
use millrace_actors::delivery::sinks::telegram::Telegram;
use millrace_protocols::wire::fcm::{API_URL, ServiceAccount};
use reqwest::Url;

use super::layers::Layers;
use super::secret::Secret;
use super::section::Section;
use crate::bounded_file::read_text;

/// A file of certificates, or a service account's, is not larger than this.
const FILE_BYTES_MAX: u64 = 256 * 1_024;

/// The tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// `[notify.mail]`, for subscriptions to `mailto:name@host`.
    pub mail: MailSettings,
    /// `[notify.telegram]`, for subscriptions to `telegram:chat`.
    pub telegram: TelegramSettings,
    /// `[notify.fcm]`, for subscriptions to `fcm:token`.
    pub fcm: FcmSettings,
}

/// The mail server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailSettings {
    /// Where it is and who the desk is there, from `smtp` or `smtp_file`: the password is in it.
    pub smtp: Option<Secret>,
    /// Who writes.
    pub from: Option<String>,
    /// PEM file of certificates that vouch for the server besides the system's.
    pub authority: Option<PathBuf>,
}

/// The bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelegramSettings {
    /// Its token, from `token` or `token_file`.
    pub token: Option<Secret>,
    /// Where the Bot API is.
    pub api_url: Url,
}

/// The project at Firebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FcmSettings {
    /// The key file of its service account.
    pub service_account: Option<PathBuf>,
    /// Where messages are posted.
    pub api_url: Url,
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key} {sentence}", section = .kind.section())]
pub struct Wrong {
    /// In whose table.
    pub kind: Kind,
    /// Which.
    pub key: &'static str,
    /// What is wrong with it.
    pub sentence: String,
}

impl People {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        Self {
            mail: MailSettings::read(layers),
            telegram: TelegramSettings::read(layers),
            fcm: FcmSettings::read(layers),
        }
    }
}

impl MailSettings {
    fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, Kind::Mail.section());
        Self {
            smtp: section.secret("smtp", "smtp_file"),
            from: section.optional("from"),
            authority: section.path("authority", None),
        }
    }

    /// What writes letters, if it is configured.
    pub fn teller(&self, in_clear: InClear) -> Result<Option<Mail>, Wrong> {
        let wrong = |key, sentence: String| Wrong { kind: Kind::Mail, key, sentence };
        let Some(smtp) = &self.smtp else {
            return match self.from {
                Some(_) => Err(wrong("from", "is given without notify.mail.smtp".to_owned())),
                None => Ok(None),
            };
        };
        let server = Server::parse(smtp.reveal(), in_clear);
        let mut server = server.map_err(|error| wrong("smtp", format!("is no mail server: {error}")))?;
        let missing = || wrong("from", "is missing: letters need a sender, such as \"desk@example.org\"".to_owned());
        let from = mailbox(self.from.as_deref().ok_or_else(missing)?);
        let from = from.map_err(|error| wrong("from", format!("is refused: {error}")))?;
        if let Some(path) = &self.authority {
            server.authority = Some(read(path).map_err(|sentence| wrong("authority", sentence))?);
        }
        Ok(Some(Mail::new(server, from)))
    }
}

impl TelegramSettings {
    fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, Kind::Telegram.section());
        Self {
            token: section.secret("token", "token_file"),
            api_url: section.value("api_url", url("https://api.telegram.org/")),
        }
    }

    /// What writes to chats, if it is configured.
    pub fn teller(&self) -> Result<Option<Telegram>, Wrong> {
        let wrong = |key, sentence| Wrong { kind: Kind::Telegram, key, sentence };
        let Some(token) = &self.token else { return Ok(None) };
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-');
        if !token.reveal().bytes().all(fits) {
            return Err(wrong("token", "is no bot's token".to_owned()));
        }
        encrypted(&self.api_url).map_err(|sentence| wrong("api_url", sentence))?;
        let telegram = Telegram::new(self.api_url.as_str(), token.reveal());
        telegram.map(Some).map_err(|error| wrong("api_url", format!("is refused: {error}")))
    }
}

impl FcmSettings {
    fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, Kind::Push.section());
        Self { service_account: section.path("service_account", None), api_url: section.value("api_url", url(API_URL)) }
    }

    /// What writes to devices, if it is configured.
    pub fn teller(&self) -> Result<Option<Fcm>, Wrong> {
        let wrong = |key, sentence| Wrong { kind: Kind::Push, key, sentence };
        let Some(path) = &self.service_account else { return Ok(None) };
        encrypted(&self.api_url).map_err(|sentence| wrong("api_url", sentence))?;
        let account = account(path).map_err(|sentence| wrong("service_account", sentence))?;
        let fcm = Fcm::new(self.api_url.as_str(), account);
        fcm.map(Some).map_err(|error| wrong("service_account", format!("is refused: {error}")))
    }
}

fn account(path: &Path) -> Result<ServiceAccount, String> {
    // What is wrong in the file is said by its place alone: a key is in it.
    let unreadable = |error: serde_json::Error| {
        format!(
            "{} is no service account's key file (line {}, column {})",
            path.display(),
            error.line(),
            error.column()
        )
    };
    let account: ServiceAccount = serde_json::from_str(&read(path)?).map_err(unreadable)?;
    let token_uri = Url::parse(&account.token_uri).map_err(|_| format!("{} has no token_uri", path.display()))?;
    encrypted(&token_uri).map(|()| account)
}

pub(super) fn read(path: &Path) -> Result<String, String> {
    read_text(path, FILE_BYTES_MAX).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// What is sent there would otherwise be anybody's on the way.
fn encrypted(url: &Url) -> Result<(), String> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if super::rules::is_loopback(url) => Ok(()),
        _ => {
            Err(format!("sends secrets unencrypted to {}; begin it with https://", url.host_str().unwrap_or_default()))
        }
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("the default addresses are well formed")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, parse};

    fn read(text: &str) -> Result<Config, String> {
        let read = parse(Path::new("desk.toml"), text, []).map(|loaded| loaded.config);
        read.map_err(|error| {
            error.problems.iter().map(|problem| format!("{} {}\n", problem.key, problem.sentence)).collect()
        })
    }

    #[test]
    fn what_is_wrong_with_a_way_to_people_is_said_with_its_setting_and_without_its_secret() {
        let cases = [
            ("[notify.mail]\nsmtp = \"http://u:canary@h\"", "notify.mail.smtp is no mail server"),
            ("[notify.mail]\nsmtp = \"smtps://canary@h\"\nfrom = \"a@b.org\"", "a user and a password"),
            ("[notify.mail]\nsmtp = \"smtps://h\"", "notify.mail.from is missing"),
            ("[notify.mail]\nsmtp = \"smtps://h\"\nfrom = \"me\"", "is no mailbox"),
            ("[notify.mail]\nfrom = \"a@b.org\"", "is given without notify.mail.smtp"),
            ("[notify.telegram]\ntoken = \"canary/../x\"", "notify.telegram.token is no bot's token"),
            ("[notify.telegram]\ntoken = \"1:a\"\napi_url = \"http://api.example.org\"", "begin it with https://"),
            ("[notify.fcm]\nservice_account = \"none.json\"", "none.json cannot be read"),
        ];
        for (text, expected) in cases {
            let problems = read(text).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("canary"), "{text}: {problems}");
        }
    }

    #[test]
    fn a_service_accounts_file_is_looked_into_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("account.json");
        let text = format!("[notify.fcm]\nservice_account = {:?}", path.display().to_string());
        let account = |key: &str, token_uri: &str| {
            let account = serde_json::json!({
                "project_id": "p", "private_key_id": "1", "private_key": key, "client_email": "a@b", "token_uri": token_uri,
            });
            std::fs::write(&path, account.to_string()).unwrap();
        };
        for (key, uri, expected) in [
            ("canary", "https://oauth2.googleapis.com/token", "no RSA key"),
            ("canary", "http://oauth2.example.org/token", "unencrypted"),
            ("canary", "x", "no token_uri"),
        ] {
            account(key, uri);
            let problems = read(&text).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("canary"), "{problems}");
        }
        std::fs::write(&path, "{\"private_key\": \"canary\"").unwrap();
        let problems = read(&text).unwrap_err();
        assert!(problems.contains("no service account's key file") && !problems.contains("canary"), "{problems}");
    }
}
