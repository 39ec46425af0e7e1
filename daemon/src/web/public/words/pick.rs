//! Which language somebody reads.

use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, COOKIE};

use super::{Words, en, ru, zh};

/// The cookie that keeps a choice.
const COOKIE_NAME: &str = "lang";

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
    /// Russian.
    Russian,
}

impl Language {
    /// All of them, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::English, Self::Chinese, Self::Russian];

    /// Its tag, as `lang` attributes and `?lang=` have it.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh",
            Self::Russian => "ru",
        }
    }

    /// Its tag with the script, where that matters.
    pub const fn html(self) -> &'static str {
        match self {
            Self::Chinese => "zh-Hans",
            Self::English | Self::Russian => self.tag(),
        }
    }

    /// What its readers call it.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Chinese => "中文",
            Self::Russian => "Русский",
        }
    }

    /// Its sentences.
    pub const fn words(self) -> &'static Words {
        match self {
            Self::English => &en::WORDS,
            Self::Chinese => &zh::WORDS,
            Self::Russian => &ru::WORDS,
        }
    }

    /// The language that was chosen, or else is asked for; English when it is none of ours.
    pub fn of(chosen: Option<&str>, headers: &HeaderMap) -> Self {
        let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let kept = cookies.flat_map(|text| text.split(';')).find_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            (name == COOKIE_NAME).then(|| Self::tagged(value))?
        });
        let asked = || headers.get(ACCEPT_LANGUAGE)?.to_str().ok().and_then(Self::preferred);
        chosen.and_then(Self::tagged).or(kept).or_else(asked).unwrap_or(Self::English)
    }

    /// What keeps the choice for a year, on this desk alone.
    pub fn cookie(self) -> String {
        format!("{COOKIE_NAME}={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly", self.tag())
    }

    /// A language by its tag, whatever region or script stands behind it.
    fn tagged(text: &str) -> Option<Self> {
        let first = text.split(['-', '_']).next()?;
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(first))
    }

    /// The one of ours that weighs most in `Accept-Language` (RFC 9110, 12.5.4); of two that weigh the same, the first.
    fn preferred(text: &str) -> Option<Self> {
        let weighed = text.split(',').filter_map(|range| {
            let mut parts = range.trim().split(';');
            let language = Self::tagged(parts.next()?.trim())?;
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(Some(1000), thousandths)?;
            (weight > 0).then_some((language, weight))
        });
        weighed.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(language, _)| language)
    }
}

/// `0`, `1`, or a fraction with up to three decimals, in thousandths.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = format!("{:0<3}", decimals.get(..3).unwrap_or(decimals));
    Some((whole.parse::<u32>().ok()?.min(1) * 1000 + decimals.parse::<u32>().ok()?).min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chosen: Option<&str>, cookie: Option<&'static str>, asked: Option<&'static str>) -> Language {
        let mut headers = HeaderMap::new();
        for (name, value) in [(COOKIE, cookie), (ACCEPT_LANGUAGE, asked)] {
            value.map(|value| headers.insert(name, value.parse().unwrap()));
        }
        Language::of(chosen, &headers)
    }

    #[test]
    fn a_choice_goes_before_the_cookie_and_the_cookie_before_what_the_browser_asks() {
        assert_eq!(of(Some("zh"), Some("lang=ru"), Some("en")), Language::Chinese);
        assert_eq!(of(Some("xx"), Some("a=b; lang=ru"), Some("en")), Language::Russian);
        assert_eq!(of(None, Some("lang=xx"), Some("zh-TW,zh;q=0.9")), Language::Chinese);
        assert_eq!(of(None, None, None), Language::English);
    }

    #[test]
    fn what_weighs_most_is_spoken() {
        for (asked, spoken) in [
            ("de,fr;q=0.8", Language::English),
            ("de, ru;q=0.5, en;q=0.4", Language::Russian),
            ("en;q=0.4, zh-Hans-CN;q=0.45", Language::Chinese),
            ("ru;q=0, en;q=0.1", Language::English),
            ("ru;q=x, zh", Language::Chinese),
            (";;,=", Language::English),
        ] {
            assert_eq!(of(None, None, Some(asked)), spoken, "{asked}");
        }
    }
}
