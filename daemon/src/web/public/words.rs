//! What the customer's pages say, in each of its languages: the same sentences under the same names, so that one that is missing
//! does not compile.
//!
//! A language comes from the address (`?lang=ru`), else from the cookie that a choice leaves, else from what the browser asks for.
//! The API speaks English.

mod en;
mod pick;
mod ru;
mod zh;

use chrono::{DateTime, TimeDelta, Utc};

pub use pick::Language;

/// The sentences of one language. Amounts, times and ids are put in as they are to be read.
pub struct Words {
    /// How a number is written: as the desk writes it, or with a comma and its digits in groups.
    pub number: fn(&str) -> String,
    /// How a moment is written; always UTC.
    pub moment: fn(DateTime<Utc>) -> String,
    /// So many minutes, hours or days ago; the number stands where `{}` is.
    pub just_now: &'static str,
    pub minutes_ago: &'static str,
    pub hours_ago: &'static str,
    pub days_ago: fn(u64) -> String,

    pub title: &'static str,
    pub languages: &'static str,
    pub skip: &'static str,
    pub as_of: fn(&str) -> String,

    // What it would buy.
    pub quote_title: &'static str,
    pub amount: &'static str,
    pub payout: &'static str,
    pub calculate: &'static str,
    pub pay: &'static str,
    pub get: &'static str,
    pub rate: &'static str,
    pub sky_for_one_btc: fn(&str) -> String,
    pub fixed_rate: &'static str,
    pub watched_book: fn(u64) -> String,
    pub holds: &'static str,
    pub until_changed: fn(u32) -> String,
    pub this_moment: fn(u32) -> String,
    pub fees: &'static str,
    pub no_fees: &'static str,
    pub no_exchange_fees: &'static str,
    pub cut_off: fn(&str) -> String,
    pub unspent: fn(&str) -> String,
    pub network_fee: &'static str,
    pub bounds: &'static str,
    pub from_to: fn(&str, &str) -> String,
    pub payouts_above: fn(&str) -> String,
    pub in_stock: fn(&str) -> String,
    pub on_offer: fn(&str) -> String,
    pub above_stock: &'static str,
    pub either_side: &'static str,
    pub not_a_number: &'static str,
    pub too_small: fn(&str) -> String,
    pub too_large: fn(&str) -> String,
    pub beyond_book: &'static str,
    pub no_market: &'static str,
    pub terms_fixed: fn(&str) -> String,
    pub terms_book: &'static str,
    pub confirmations_needed: fn(u32) -> String,

    // Where to.
    pub target: &'static str,
    pub target_hint: &'static str,
    pub get_address: &'static str,
    pub target_is_right: &'static str,
    pub address_empty: &'static str,
    pub address_character: &'static str,
    pub address_length: &'static str,
    pub address_checksum: &'static str,
    pub address_version: &'static str,
    pub address_null: &'static str,
    pub address_own: &'static str,
    pub address_bitcoin: &'static str,
    pub binds_disabled: &'static str,
    pub too_many_addresses: &'static str,
    pub pool_empty: &'static str,
    pub too_fast: &'static str,
    pub busy: &'static str,
    pub desk_unavailable: &'static str,
    pub unknown_customer: &'static str,
    pub views_unavailable: &'static str,

    // The customer's page.
    pub your_deposits: &'static str,
    pub paid_out_to: &'static str,
    pub send_to: &'static str,
    pub copy: &'static str,
    pub copied: &'static str,
    pub open_wallet: &'static str,
    pub qr_code_of: fn(&str) -> String,
    pub keep_link: &'static str,
    pub another_address: &'static str,
    pub earlier_addresses: &'static str,
    pub deposits: &'static str,
    pub waiting: &'static str,
    pub look_again: &'static str,
    pub stale: &'static str,
    pub last_news: &'static str,
    pub silenced: fn(&str) -> String,
    pub changed: &'static str,
    pub owed_back: &'static str,
    pub owed_back_rest: &'static str,
    pub held_next: &'static str,

    // How a step stands, for who does not see its sign.
    pub step_done: &'static str,
    pub step_now: &'static str,
    pub step_later: &'static str,
    pub step_stopped: &'static str,

    // The steps of a deposit.
    pub steps: Steps,

    // Where a deposit stands, in a sentence.
    pub status: Statuses,

    // What links in letters lead to.
    pub letters: Letters,

    // The desk.
    pub no_page: &'static str,
    pub way_home: &'static str,
    /// Payouts or purchases are switched off, or the desk is halted.
    pub stands_still: &'static str,
    pub newer_log: &'static str,
    pub newer_unknown: fn(&str) -> String,
    pub cannot_write: fn(&str) -> String,
    pub may_be_old: fn(&str) -> String,
    pub disk_full: &'static str,
    pub disk_read_only: &'static str,
    pub disk_failing: &'static str,
    pub starting_title: &'static str,
    pub starting: &'static str,
    pub restarting_title: &'static str,
    pub restarting: &'static str,
    pub failing: fn(u32) -> String,
}

/// The names of a deposit's steps, and what is said beside them.
pub struct Steps {
    pub seen: &'static str,
    pub confirmed: &'static str,
    pub confirmations: fn(u64, u64) -> String,
    pub not_mined: &'static str,
    pub decided: &'static str,
    pub at_rate: fn(&str) -> String,
    pub by_exchange: &'static str,
    pub bought: &'static str,
    pub filled: fn(&str, &str, u32) -> String,
    pub sent: &'static str,
    pub final_: &'static str,
    pub ended: &'static str,
}

/// Where a deposit stands.
pub struct Statuses {
    pub seen: &'static str,
    pub confirming: fn(u64, u64) -> String,
    pub confirming_unknown: &'static str,
    pub quarantined: &'static str,
    pub received: &'static str,
    pub buying: &'static str,
    pub sending: &'static str,
    /// In the place of those two, while that is switched off or the desk is halted.
    pub not_buying: &'static str,
    pub not_sending: &'static str,
    pub sent: &'static str,
    pub held: &'static str,
    pub below_minimum: &'static str,
    pub above_maximum: &'static str,
    pub payout_above_maximum: &'static str,
    pub orphaned: &'static str,
    pub mined_again: fn(u64, u64) -> String,
    pub mined_again_unknown: &'static str,
    pub refund_due: &'static str,
    pub paid: &'static str,
    pub refunded: &'static str,
    pub vanished: &'static str,
    pub written_off: &'static str,
    pub failed: &'static str,
}

/// The pages that links in letters lead to: to be told, or to be told no more.
pub struct Letters {
    pub confirm_title: &'static str,
    pub confirm: &'static str,
    pub confirm_button: &'static str,
    pub confirmed: &'static str,
    pub leave_title: &'static str,
    pub leave: &'static str,
    pub leave_button: &'static str,
    pub left: &'static str,
    pub done: &'static str,
    pub not_done: &'static str,
    pub unknown_code: &'static str,
    pub too_many: &'static str,
    pub refused: &'static str,
    pub unavailable: &'static str,
}

impl Words {
    /// How long before `now` this was. What lies ahead, by another clock, is now.
    pub fn ago(&self, at: DateTime<Utc>, now: DateTime<Utc>) -> String {
        let passed = (now - at).max(TimeDelta::zero());
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        match (whole(passed.num_minutes()), whole(passed.num_hours()), whole(passed.num_days())) {
            (0, ..) => self.just_now.to_owned(),
            (minutes, 0, _) => self.minutes_ago.replace("{}", &minutes.to_string()),
            (_, hours, 0) => self.hours_ago.replace("{}", &hours.to_string()),
            (.., days) => (self.days_ago)(days),
        }
    }
}

/// A number with `point` before its decimals and `group` between groups of three digits before it.
fn grouped(number: &str, point: char, group: char) -> String {
    let (whole, decimals) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut text = String::with_capacity(number.len() + 4);
    for (place, digit) in whole.chars().enumerate() {
        let left = whole.len() - place;
        if place > 0 && left % 3 == 0 && whole.len() > 4 {
            text.push(group);
        }
        text.push(digit);
    }
    if let Some(decimals) = decimals {
        text.push(point);
        text.push_str(decimals);
    }
    text
}

#[cfg(test)]
mod tests;
