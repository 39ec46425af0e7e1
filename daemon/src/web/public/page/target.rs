//! The address that is to be paid: asked for, and looked at while it is typed.

use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;
use maud::{Markup, html};
use millrace_protocols::wire::skycoin::address::{AddressError, SkyAddress};

use super::super::Desk;
use super::super::words::Words;

/// No address is longer; what is longer is not looked at.
pub(super) const CHARS_MAX: usize = 128;

/// What is to be said of a text that is typed as an address: that it is right, or why it is not.
pub(super) fn look_at(desk: &Desk, text: &str, words: &'static Words) -> Result<&'static str, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err(words.address_empty);
    }
    match text.parse::<SkyAddress>() {
        Ok(address) if desk.stock.own_address() == Some(address) => Err(words.address_own),
        Ok(_) => Ok(words.target_is_right),
        Err(error) => Err(why_not(text, error, words)),
    }
}

fn why_not(text: &str, error: AddressError, words: &'static Words) -> &'static str {
    if is_of_bitcoin(text) {
        return words.address_bitcoin;
    }
    match error {
        AddressError::Character => words.address_character,
        AddressError::Length => words.address_length,
        AddressError::Checksum => words.address_checksum,
        AddressError::Version(_) => words.address_version,
        AddressError::Null => words.address_null,
    }
}

/// An address of any Bitcoin network, which wallets may write behind `bitcoin:`.
fn is_of_bitcoin(text: &str) -> bool {
    let bare = text.strip_prefix("bitcoin:").unwrap_or(text);
    bare.len() <= CHARS_MAX && bare.parse::<Address<NetworkUnchecked>>().is_ok()
}

/// What stands below the field.
pub(super) fn said(of: Result<&str, &str>) -> Markup {
    match of {
        Ok(sentence) => html! { span .good data-valid="true" { (sentence) } },
        Err(sentence) => html! { span .bad data-valid="false" { (sentence) } },
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::words::Language;
    use super::*;

    #[test]
    fn each_mistake_has_its_own_sentence() {
        let words = Language::English.words();
        let right = "2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv";
        let why = |text: &str| why_not(text, text.parse::<SkyAddress>().unwrap_err(), words);
        assert_eq!(why(&right.replace('9', "0")), words.address_character);
        assert_eq!(why(&right[..30]), words.address_length);
        assert_eq!(why(&right.replace('G', "H")), words.address_checksum);
        for bitcoin in [
            "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
            "bcrt1q6z64a43mjgkcq0ul2znwneq3spghrlau9slefp",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            "bitcoin:3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        ] {
            assert_eq!(why(bitcoin), words.address_bitcoin, "{bitcoin}");
        }
    }
}
