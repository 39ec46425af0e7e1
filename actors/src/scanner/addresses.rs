//! Which scripts are ours, and whose they are.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use bitcoin::{Network, Script, ScriptBuf};
use chrono::{DateTime, Utc};
use millrace_model::binding;
use millrace_model::deposit::Customer;
use millrace_model::event::{Event, Recorded};
use millrace_model::head::Restored;
use millrace_model::ids::{Category, Position, StreamName};
use millrace_protocols::receive::{DeriveError, address_of, parse_address};

use crate::binder::AddressSource;
use crate::brakes;
use crate::event_store::{ReadError, Reader};

/// How many addresses beyond the last one given out are watched: what arrives there was sent by mistake or by our own
/// side, and is quarantined.
const AHEAD: u32 = 1_000;
/// How many customers are kept at hand.
const CUSTOMERS_MAX: usize = 50_000;
/// How many bindings are taken in before others get their turn.
const AT_A_TIME: usize = 1_024;
/// How many of the newest bindings are looked at for the highest number; they overtake each other a little.
const NEWEST: usize = 64;

/// All scripts that pay us.
#[derive(Debug)]
pub(super) struct Addresses {
    network: Network,
    source: Arc<AddressSource>,
    ours: HashSet<ScriptBuf>,
    /// Every address below this number that is not bound was not given out, or is in `ours`.
    ahead_to: u32,
    next_index: u32,
    customers: HashMap<String, Customer>,
}

impl Addresses {
    /// Takes in every binding; also the position up to which they are complete.
    pub(super) async fn load(
        reader: &Reader,
        source: Arc<AddressSource>,
        network: Network,
    ) -> Result<(Self, Position), ReadError> {
        let (position, names) = reader.stream_names(Category::Binding)?;
        let mut addresses = Self {
            network,
            source,
            ours: HashSet::with_capacity(names.len()),
            ahead_to: 0,
            next_index: 0,
            customers: HashMap::new(),
        };
        for names in names.chunks(AT_A_TIME) {
            names.iter().for_each(|name| addresses.take_in(name));
            tokio::task::yield_now().await;
        }
        for name in &names[names.len().saturating_sub(NEWEST)..] {
            reader.stream(name, 0)?.iter().filter_map(bound).for_each(|bound| addresses.count(bound.index));
        }
        addresses.look_ahead();
        for restored in brakes::desk(reader)?.restorations() {
            addresses.lost(restored);
            tokio::task::yield_now().await;
        }
        Ok((addresses, position))
    }

    /// Takes in an address that was bound just now.
    pub(super) fn bound(&mut self, bound: &binding::Bound) {
        self.take_in(&StreamName::Binding(bound.address.as_str().into()));
        self.count(bound.index);
        self.keep(bound);
    }

    /// Watches addresses that may be somebody's whom the log has forgotten.
    pub(super) fn lost(&mut self, lost: &Restored) {
        // Beyond the end of a list there are none.
        let _ = (lost.lost_from..lost.lost_to).try_for_each(|index| self.watch(index));
    }

    /// Watches the addresses that come next.
    pub(super) fn look_ahead(&mut self) {
        let to = match self.source.size() {
            Some(size) => size,
            None => self.next_index.saturating_add(AHEAD),
        };
        // What lies below the next number was given out and is bound, unless all of a list is ours anyway.
        let from = if self.source.size().is_some() { self.ahead_to } else { self.ahead_to.max(self.next_index) };
        for index in from..to {
            if self.watch(index).is_break() {
                break;
            }
        }
        self.ahead_to = to.max(self.ahead_to);
    }

    /// Watches the address of a number; breaks off when there are no more.
    fn watch(&mut self, index: u32) -> ControlFlow<()> {
        match self.source.address(index) {
            Ok(address) => drop(self.ours.insert(address.script_pubkey())),
            Err(DeriveError::NoKey) => {}
            Err(DeriveError::Exhausted) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// The address of a script, if it is ours.
    pub(super) fn of(&self, script: &Script) -> Option<String> {
        self.ours
            .contains(script)
            .then(|| address_of(script, self.network))
            .flatten()
            .map(|address| address.to_string())
    }

    /// Whom an address of ours belongs to; `None` for one that was not given out.
    pub(super) fn customer(&mut self, reader: &Reader, address: &str) -> Result<Option<Customer>, ReadError> {
        if let Some(customer) = self.customers.get(address) {
            return Ok(Some(customer.clone()));
        }
        let events = reader.stream(&StreamName::Binding(address.into()), 0)?;
        let Some(bound) = events.iter().find_map(bound) else { return Ok(None) };
        self.keep(bound);
        Ok(Some(bound.customer.clone()))
    }

    fn take_in(&mut self, name: &StreamName) {
        let StreamName::Binding(address) = name else { return };
        match parse_address(address, self.network) {
            Ok(address) => drop(self.ours.insert(address.script_pubkey())),
            Err(error) => tracing::error!(%address, %error, "a bound address is not watched"),
        }
    }

    fn count(&mut self, index: u32) {
        self.next_index = self.next_index.max(index.saturating_add(1));
    }

    fn keep(&mut self, bound: &binding::Bound) {
        if self.customers.len() >= CUSTOMERS_MAX {
            self.customers.clear();
        }
        self.customers.insert(bound.address.clone(), bound.customer.clone());
    }
}

/// When the first address was given out, if any was.
pub(super) fn first_bound_at(reader: &Reader) -> Result<Option<DateTime<Utc>>, ReadError> {
    let (_, names) = reader.stream_names(Category::Binding)?;
    let Some(first) = names.first() else { return Ok(None) };
    Ok(reader.stream(first, 0)?.first().map(|recorded| recorded.recorded_at))
}

fn bound(recorded: &Recorded) -> Option<&binding::Bound> {
    match &recorded.event {
        Event::Binding(binding::Event::Bound(bound)) => Some(bound),
        Event::Deposit(_)
        | Event::AddressBook(_)
        | Event::Chain(_)
        | Event::Wallet(_)
        | Event::Desk(_)
        | Event::Subscription(_)
        | Event::Unreadable(_) => None,
    }
}
