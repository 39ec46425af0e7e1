//! Transactions that spend from the hot wallet and are no payouts: sweeps that an operator declared, or somebody else has the key.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Hash32;
use crate::money::{Amount, Sky};

/// A transaction that took coins from the hot wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Its name.
    pub txid: Hash32,
    /// The Skycoin block that holds it.
    pub block_seq: u64,
    /// How much it took.
    pub coins: Amount<Sky>,
}

impl fmt::Display for Spend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { txid, block_seq, coins } = self;
        write!(f, "transaction {txid} in block {block_seq} took {coins} SKY")
    }
}

/// What the log knows of spends that are no payouts.
///
/// A declared sweep covers transactions that take no more than was declared, those first that come first. Of what a
/// transaction took that nothing covered, a sweep that is declared afterwards is the account, and it covers nothing new.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spends {
    /// Up to this block every spend has its payout, its sweep or its halt.
    matched_to: Option<u64>,
    /// Declared as swept, and not seen to leave.
    due: u64,
    /// Taken by stray spends, and not declared since.
    unaccounted: u64,
    /// Those that are no payouts and need not be asked about any more.
    known: BTreeSet<Hash32>,
}

impl Spends {
    /// Up to which block every spend was matched; `None` before the first look.
    pub fn matched_to(&self) -> Option<u64> {
        self.matched_to
    }

    /// Whether this transaction was taken for a sweep, or the desk was halted for it.
    pub fn is_known(&self, txid: Hash32) -> bool {
        self.known.contains(&txid)
    }

    /// Whether what was declared as swept covers a transaction that takes so much.
    pub fn covers(&self, coins: Amount<Sky>) -> bool {
        coins.units() <= self.due
    }

    /// Whether there is nothing to say.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn declare(&mut self, coins: Amount<Sky>) {
        let account = self.unaccounted.min(coins.units());
        self.unaccounted -= account;
        self.due = self.due.saturating_add(coins.units() - account);
    }

    pub(crate) fn sweep(&mut self, spend: &Spend) {
        self.due = self.due.saturating_sub(spend.coins.units());
        self.known.insert(spend.txid);
    }

    pub(crate) fn halt(&mut self, strays: &[Spend]) {
        for spend in strays {
            if self.known.insert(spend.txid) {
                self.unaccounted = self.unaccounted.saturating_add(spend.coins.units());
            }
        }
    }

    /// What was declared as swept before anybody looked was made before, too.
    pub(crate) fn match_to(&mut self, block_seq: u64) {
        if self.matched_to.replace(block_seq).is_none() {
            self.due = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{
        Coins, Desk, Event, HaltCause, Halted, Place, SpendsMatched, SweepSeen, TransferDeclared, TransferKind,
    };

    fn spend(number: u8, coins: &str) -> Spend {
        Spend { txid: Hash32([number; 32]), block_seq: 7, coins: coins.parse().unwrap() }
    }

    fn declared(place: Place, kind: TransferKind, coins: &str) -> Event {
        TransferDeclared { kind, place, coins: Coins::Sky(coins.parse().unwrap()), note: String::new() }.into()
    }

    fn swept(coins: &str) -> Event {
        declared(Place::HotWallet, TransferKind::Sweep, coins)
    }

    fn halted(strays: Vec<Spend>) -> Event {
        Halted { cause: HaltCause::StraySpends { spends: strays } }.into()
    }

    fn after(events: &[Event]) -> Spends {
        events.iter().fold(Desk::default(), |desk, event| desk.evolve(event)).spends().clone()
    }

    fn begun() -> Event {
        SpendsMatched { block_seq: 5 }.into()
    }

    fn covers(spends: &Spends, coins: &str) -> bool {
        spends.covers(coins.parse().unwrap())
    }

    #[test]
    fn a_declared_sweep_covers_what_takes_no_more_than_it_and_each_coin_once() {
        let elsewhere = declared(Place::Exchange, TransferKind::Sweep, "9");
        let refill = declared(Place::HotWallet, TransferKind::Refill, "9");
        let mut events = vec![begun(), elsewhere, refill, swept("5"), swept("2")];
        let spends = after(&events);
        assert!(covers(&spends, "7") && !covers(&spends, "7.000001"));
        events.push(SweepSeen { spend: spend(1, "4") }.into());
        let spends = after(&events);
        assert!(spends.is_known(Hash32([1; 32])) && covers(&spends, "3") && !covers(&spends, "4"));
    }

    /// O5: whoever declares what a stray spend took covers nothing that comes after it.
    #[test]
    fn what_accounts_for_a_stray_spend_covers_no_other() {
        let mut events = vec![begun(), halted(vec![spend(1, "3"), spend(2, "1")]), halted(vec![spend(1, "3")])];
        assert!(after(&events).is_known(Hash32([2; 32])));
        events.push(swept("3.5"));
        assert!(!covers(&after(&events), "0.000001"));
        events.push(swept("2.5"));
        assert!(covers(&after(&events), "2") && !covers(&after(&events), "2.000001"));
    }

    #[test]
    fn what_was_swept_before_anybody_looked_covers_nothing() {
        let spends = after(&[swept("5"), begun(), swept("1"), SpendsMatched { block_seq: 300 }.into()]);
        assert_eq!((spends.matched_to(), covers(&spends, "1"), covers(&spends, "2")), (Some(300), true, false));
    }

    #[test]
    fn a_halt_names_the_transactions_and_is_stored_so() {
        let event = halted(vec![spend(1, "3")]);
        let Event::Halted(halted) = &event else { panic!("made as one") };
        let name = "01".repeat(32);
        let text = serde_json::to_string(halted).unwrap();
        let stored =
            format!(r#"{{"cause":"stray_spends","spends":[{{"txid":"{name}","block_seq":7,"coins":"3.000000"}}]}}"#);
        assert_eq!(text, stored);
        assert_eq!(&serde_json::from_str::<Halted>(&text).unwrap(), halted);
        let said = format!(
            "transactions that are no payouts spent from the hot wallet; transaction {name} in block 7 took 3.000000 SKY; \
             where the log is damaged, such a transaction may be a payout that it has lost"
        );
        assert_eq!(halted.cause.to_string(), said);
    }
}
