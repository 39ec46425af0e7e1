//! The operator's mail server as the configuration names it: `smtps://user:password@host:465`, or `smtp://…` with STARTTLS.

use std::fmt;

use reqwest::Url;

/// What is written without a port, when it is encrypted from the first byte (RFC 8314).
const PORT_TLS: u16 = 465;
/// And when it is not: submission (RFC 6409).
const PORT_STARTTLS: u16 = 587;

/// A mail server that takes what the desk has to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, which its certificate is for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Who the desk is to it.
    pub account: Option<Account>,
    /// Certificates in PEM that vouch for it, besides the system's.
    pub authority: Option<String>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte.
    Tls,
    /// After STARTTLS; nothing is said to a server that cannot.
    StartTls,
    /// After STARTTLS where the server can, else not: the sandbox and this machine.
    IfOffered,
}

/// A name and its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Whether a server is spoken to in clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InClear {
    /// Never.
    Refused,
    /// In the sandbox, where everything is this machine.
    Allowed,
}

/// The address is none of a mail server. Says nothing of what is in it, since a password may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// Of another form.
    #[error("expected an address such as smtps://user:password@host:465, or smtp://… for a server with STARTTLS")]
    Form,
    /// A name without password, or the other way round.
    #[error("a mail server's account is a user and a password")]
    Account,
    /// A name or password that is no text.
    #[error("user and password have to be percent-encoded UTF-8")]
    Encoding,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

impl Server {
    /// Reads its address.
    pub fn parse(text: &str, in_clear: InClear) -> Result<Self, NoServer> {
        let url = Url::parse(text.trim()).map_err(|_| NoServer::Form)?;
        let (encryption, port) = match (url.scheme(), in_clear) {
            ("smtps", _) => (Encryption::Tls, PORT_TLS),
            ("smtp", InClear::Refused) => (Encryption::StartTls, PORT_STARTTLS),
            ("smtp", InClear::Allowed) => (Encryption::IfOffered, PORT_STARTTLS),
            _ => return Err(NoServer::Form),
        };
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(NoServer::Form)?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !is_bare {
            return Err(NoServer::Form);
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { host, port: url.port().unwrap_or(port), encryption, account: account(&url)?, authority: None })
    }
}

fn account(url: &Url) -> Result<Option<Account>, NoServer> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(NoServer::Account),
        (user, Some(password)) => Ok(Some(Account { user: decoded(user)?, password: decoded(password)? })),
    }
}

fn decoded(text: &str) -> Result<String, NoServer> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| NoServer::Encoding)?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_where_how_and_who() {
        let server = Server::parse("smtps://desk%40example.org:p%3Ass@mail.example.org", InClear::Refused).unwrap();
        assert_eq!((server.host.as_str(), server.port), ("mail.example.org", 465));
        assert_eq!(server.encryption, Encryption::Tls);
        let account = server.account.clone().unwrap();
        assert_eq!((account.user.as_str(), account.password.as_str()), ("desk@example.org", "p:ss"));
        assert!(!format!("{server:?} {account:?}").contains("ss\""));
        let submission = Server::parse("smtp://mail.example.org", InClear::Refused).unwrap();
        assert_eq!((submission.port, submission.encryption, submission.account), (587, Encryption::StartTls, None));
        let sandbox = Server::parse("smtp://127.0.0.1:2525", InClear::Allowed).unwrap();
        assert_eq!((sandbox.port, sandbox.encryption), (2525, Encryption::IfOffered));
        assert_eq!(Server::parse("smtps://[::1]:465", InClear::Refused).unwrap().host, "::1");
    }

    #[test]
    fn what_is_none_is_refused_without_being_said_again() {
        for text in ["", "mail.example.org", "http://mail.example.org", "smtps://", "smtps://h/path", "smtp://h?tls=no"]
        {
            assert_eq!(Server::parse(text, InClear::Refused), Err(NoServer::Form), "{text}");
        }
        for text in ["smtps://user@h", "smtps://:secret@h"] {
            let error = Server::parse(text, InClear::Refused).unwrap_err();
            assert_eq!(error, NoServer::Account);
            assert!(!error.to_string().contains("secret"));
        }
        assert_eq!(Server::parse("smtps://u:%ff@h", InClear::Refused), Err(NoServer::Encoding));
    }
}
