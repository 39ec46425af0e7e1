//! The operator's bearer token: made at the first start, kept in a file only its owner can read.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::bounded_file::read_text;
use crate::config::Secret;

/// 256 random bits.
const TOKEN_BYTES: usize = 32;
/// Somebody may put a token of his own into the file; it must not be one that can be guessed.
const TOKEN_CHARS_MIN: usize = 32;
const TOKEN_CHARS_MAX: usize = 512;
/// A token, and white space somebody left around it.
const FILE_BYTES_MAX: u64 = 4096;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("the operator's token {path}: {cause}")]
    File {
        /// The token's file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Others than the owner can read the file.
    #[error("{0} can be read by others; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// The file's content is no token.
    #[error("{0} holds no token of 32 to 512 letters, digits, - or _; remove it and start the desk again")]
    Malformed(PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for the operator's token")]
    Random,
}

/// A token. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Secret);

impl Token {
    /// The token in the file; a new one is made when there is no file.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        match Self::load(path) {
            Err(TokenError::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Self::create(path),
            loaded => loaded,
        }
    }

    /// The token in the file.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let failed = |cause| TokenError::File { path: path.to_owned(), cause };
        let text = read_text(path, FILE_BYTES_MAX).map_err(failed)?;
        if fs::metadata(path).map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Exposed(path.to_owned()));
        }
        let text = text.trim();
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !plain || !(TOKEN_CHARS_MIN..=TOKEN_CHARS_MAX).contains(&text.len()) {
            return Err(TokenError::Malformed(path.to_owned()));
        }
        Ok(Self(Secret::new(text)))
    }

    /// Writes beside the file and renames, so that no crash leaves half a token.
    fn create(path: &Path) -> Result<Self, TokenError> {
        let mut random = [0; TOKEN_BYTES];
        let source = rustls::crypto::ring::default_provider().secure_random;
        source.fill(&mut random).map_err(|_| TokenError::Random)?;
        let text = hex::encode(random);
        let write = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let beside = path.with_extension("token.new");
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(format!("{text}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)
        };
        write().map_err(|cause| TokenError::File { path: path.to_owned(), cause })?;
        Self::load(path)
    }

    /// Its text, for a client that makes the header itself.
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// The value of an `Authorization` header with this token.
    pub fn header(&self) -> HeaderValue {
        let text = format!("Bearer {}", self.0.reveal());
        let mut value = HeaderValue::from_str(&text).expect("a token is letters, digits, - and _");
        value.set_sensitive(true);
        value
    }

    /// Whether a request carries this token; takes as long for a wrong one as for the right one.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
        given.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && bool::from(token.ct_eq(self.0.reveal().as_bytes()))
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([secret])")
    }
}

/// Middleware: 401 `unauthorized` unless the request carries the token.
pub async fn require(State(token): State<Arc<Token>>, request: Request, next: Next) -> Response {
    if token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let message =
        "Send the operator's token as Authorization: Bearer …; it stands in operator.token in the data folder.";
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/operator.token");
        let made = Token::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Token::load_or_create(&path).unwrap(), made);
        assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 64);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert_eq!(format!("{made:?} {:?}", made.header()), "Token([secret]) Sensitive");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Token::load(&path), Err(TokenError::Exposed(_))));
    }

    #[test]
    fn a_file_that_holds_no_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for text in ["", "short", &"spaces in it ".repeat(5), &"x".repeat(513)] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Token::load_or_create(&path), Err(TokenError::Malformed(_))), "{text}");
        }
    }

    #[tokio::test]
    async fn only_the_exact_token_opens_the_door() {
        let folder = tempfile::tempdir().unwrap();
        let token = Arc::new(Token::load_or_create(&folder.path().join("token")).unwrap());
        let right = token.header();
        let text = right.to_str().unwrap().to_owned();
        let layer = middleware::from_fn_with_state(token, require);
        let router = Router::new().route("/", get(|| async {})).layer(layer);
        for (given, status) in [
            (Some(text.clone()), 200),
            (Some(text.replace("Bearer", "bearer")), 200),
            (Some(text[..text.len() - 1].to_owned()), 401),
            (Some(format!("{text}0")), 401),
            (Some("Bearer ".to_owned()), 401),
            (Some("B".to_owned()), 401),
            (None, 401),
        ] {
            let mut request = Request::get("/").body(Body::empty()).unwrap();
            if let Some(given) = &given {
                request.headers_mut().insert(AUTHORIZATION, given.parse().unwrap());
            }
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{given:?}");
            assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        }
    }
}
