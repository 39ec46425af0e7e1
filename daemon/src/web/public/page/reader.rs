//! Who reads a page: in which language, at what moment, and by which address.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use http::header::{CONTENT_LANGUAGE, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method};
use maud::{Markup, html};
use millrace_model::money::{Amount, Coin};

use super::super::Desk;
use super::super::words::{Language, Words};

/// Somebody who reads a page.
pub(in crate::web::public) struct Reader {
    pub(super) language: Language,
    pub(in crate::web::public) words: &'static Words,
    pub(super) now: DateTime<Utc>,
    /// Whether the address itself says the language, so that the choice is to be kept.
    chosen: Option<Language>,
    /// Where this page is found again, without the language.
    here: String,
}

impl FromRequestParts<Arc<Desk>> for Reader {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        let (chosen, others): (Vec<_>, Vec<_>) =
            form_urlencoded::parse(query.as_bytes()).partition(|(name, _)| name == "lang");
        let chosen = chosen.first().map(|(_, tag)| &**tag).filter(|tag| tag.len() <= 16);
        let language = Language::of(chosen, &parts.headers);
        let here = if parts.method == Method::GET { parts.uri.path() } else { "/" };
        let mut again = form_urlencoded::Serializer::for_suffix(format!("{here}?"), here.len() + 1);
        again.extend_pairs(others.into_iter().filter(|_| parts.method == Method::GET));
        Ok(Self {
            language,
            words: language.words(),
            now: desk.quotes.clock.now(),
            chosen: chosen.filter(|tag| tag.starts_with(language.tag())).map(|_| language),
            here: again.finish(),
        })
    }
}

impl Reader {
    /// A number as it is written in this language.
    pub(super) fn number(&self, number: impl ToString) -> String {
        (self.words.number)(&number.to_string())
    }

    /// The same without zeros at its end, for running text.
    pub(super) fn short<C: Coin>(&self, amount: Amount<C>) -> String {
        self.number(amount.to_decimal().normalize())
    }

    /// When something was: how long ago, and exactly for who asks.
    pub(super) fn time(&self, at: DateTime<Utc>) -> Markup {
        let exact = (self.words.moment)(at);
        html! {
            time datetime=(at.to_rfc3339()) title=(exact) data-ago { (self.words.ago(at, self.now)) }
        }
    }

    /// The same page in each language.
    pub(super) fn languages(&self) -> Markup {
        let link = |language: Language| {
            let joint = if self.here.ends_with('?') { "" } else { "&" };
            format!("{}{joint}lang={}", self.here, language.tag())
        };
        html! {
            nav .languages aria-label=(self.words.languages) {
                @for language in Language::ALL {
                    a href=(link(language)) lang=(language.html()) hreflang=(language.html())
                        aria-current=[(language == self.language).then_some("true")] { (language.own_name()) }
                }
            }
        }
    }

    /// A part of a page, which is told its language by the page and chooses nothing.
    pub(super) fn part(&self, part: Markup) -> Response {
        let mut response = part.into_response();
        response.headers_mut().insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.language.html()));
        response
    }

    /// A page of this language; a choice is kept.
    pub(in crate::web::public) fn answer(&self, page: Markup) -> Response {
        let mut response = self.part(page);
        let headers = response.headers_mut();
        if let Some(cookie) = self.chosen.and_then(|language| HeaderValue::try_from(language.cookie()).ok()) {
            headers.insert(SET_COOKIE, cookie);
        }
        response
    }
}
