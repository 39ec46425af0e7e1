//! The grant that a message bears: asked for with an assertion that the service account's key signed, and kept until shortly
//! before it ends.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use millrace_protocols::wire::fcm::{ServiceAccount, grant_form, granted};
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;

use super::super::people::Came;
use super::super::telegram::unanswered;
use crate::http::{Http, Limits, SetUpError};

/// A grant is not used in its last minutes, in seconds.
const MARGIN_S: u64 = 300;
/// What whoever grants is given.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(8),
    at_once_max: 1,
    answer_bytes_max: 64 * 1_024,
};

/// Why nothing can be asked for in a service account's name.
#[derive(Debug, thiserror::Error)]
pub enum NoAccount {
    /// No key, or not one that signs.
    #[error("the service account's private key is no RSA key in PKCS #8: {0}")]
    Key(String),
    /// An address that is none.
    #[error(transparent)]
    Address(#[from] SetUpError),
}

pub(super) struct Grants {
    http: Http,
    account: ServiceAccount,
    key: RsaKeyPair,
    /// Held while one is asked for, so that it is asked for once.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    bearer: HeaderValue,
    until_s: u64,
}

impl Grants {
    pub(super) fn new(account: ServiceAccount) -> Result<Self, NoAccount> {
        let pem = PrivatePkcs8KeyDer::from_pem_slice(account.private_key.as_bytes());
        let der = pem.map_err(|error| NoAccount::Key(error.to_string()))?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|error| NoAccount::Key(error.to_string()))?;
        Ok(Self { http: Http::new(&account.token_uri, LIMITS)?, account, key, kept: Mutex::default() })
    }

    /// What the header says. Dropped in between, nothing is kept.
    pub(super) async fn grant(&self, now_s: u64) -> Result<HeaderValue, Came> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept.as_ref().filter(|kept| now_s < kept.until_s) {
            return Ok(kept.bearer.clone());
        }
        let new = self.ask(now_s).await?;
        let bearer = new.bearer.clone();
        *kept = Some(new);
        Ok(bearer)
    }

    /// This one is not taken any more.
    pub(super) async fn forget(&self, bearer: &HeaderValue) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|kept| kept.bearer == *bearer) {
            *kept = None;
        }
    }

    async fn ask(&self, now_s: u64) -> Result<Kept, Came> {
        let to_be_signed = self.account.to_be_signed(now_s);
        let form = grant_form(&to_be_signed, &self.sign(to_be_signed.as_bytes())?);
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.http.request(Method::POST, "").header(CONTENT_TYPE, kind).body(form);
        let reply = self.http.send(request).await.map_err(|error| unanswered(&error))?;
        let granted = granted(reply.status.as_u16(), &reply.body).map_err(|why| Came::later(None, why))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", granted.access_token));
        let mut bearer = bearer.map_err(|_| Came::later(None, "the grant cannot be put into a header"))?;
        bearer.set_sensitive(true);
        Ok(Kept { bearer, until_s: now_s + granted.expires_in.saturating_sub(MARGIN_S) })
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Came> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature);
        signed.map(|()| signature).map_err(|_| Came::later(None, "the service account's key does not sign"))
    }
}
