//! The addresses that are ours, by the script a transaction pays.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network, Script, ScriptBuf};
use millrace_model::address_book::{self, AddressIssued};
use millrace_model::binding;
use millrace_model::deposit::Customer;
use millrace_model::event::Event;
use millrace_model::ids::{Category, Position, StreamName};

use crate::binder::AddressSource;
use crate::event_store::{ReadError, Store};

/// How many addresses beyond the last one given out are watched too: a payment to one of them is quarantined.
const GAP: u32 = 200;
/// How many events are read at once.
const PAGE_EVENTS_MAX: usize = 4_096;

/// All of them.
pub(super) struct Addresses {
    store: Store,
    source: AddressSource,
    network: Network,
    ours: HashMap<ScriptBuf, Ours>,
    position: Position,
    /// The first number that is not watched yet.
    watched: u32,
}

struct Ours {
    address: Arc<str>,
    owner: Owner,
}

/// An address of ours that a script pays.
pub(super) struct Paid {
    pub address: Arc<str>,
    /// Whose it is; `None` when it was never bound.
    pub customer: Option<Customer>,
}

enum Owner {
    /// Nobody, as far as the log is read.
    Nobody,
    /// Whoever the binding's stream names.
    Unread,
    Customer(Customer),
}

impl Addresses {
    /// Reads which addresses were given out.
    pub(super) fn load(store: Store, source: AddressSource, network: Network) -> Result<Self, ReadError> {
        let (position, names) = store.reader()?.stream_names(Category::Binding)?;
        let mut addresses = Self { store, source, network, ours: HashMap::new(), position, watched: 0 };
        let issued = u32::try_from(names.len()).unwrap_or(u32::MAX);
        addresses.watch_up_to(issued.saturating_add(GAP));
        for name in names {
            if let StreamName::Binding(address) = name {
                addresses.insert(&address, Owner::Unread);
            }
        }
        Ok(addresses)
    }

    /// Takes in what was bound since; afterwards every address bound before the call is known.
    pub(super) fn catch_up(&mut self) -> Result<(), ReadError> {
        while self.position < self.store.head() {
            let page = self.store.after(self.position, PAGE_EVENTS_MAX)?;
            let Some(last) = page.last() else { break };
            for recorded in page.events() {
                match &recorded.event {
                    Event::Binding(binding::Event::Bound(bound)) => {
                        self.insert(&bound.address, Owner::Customer(bound.customer.clone()));
                    }
                    Event::AddressBook(address_book::Event::AddressIssued(AddressIssued { index })) => {
                        self.watch_up_to(index.saturating_add(GAP));
                    }
                    Event::Deposit(_) | Event::Chain(_) | Event::Wallet(_) | Event::Desk(_) => {}
                }
            }
            self.position = last;
        }
        Ok(())
    }

    /// The address of ours that a script pays.
    pub(super) fn paid(&mut self, script: &Script) -> Result<Option<Paid>, ReadError> {
        let Some(ours) = self.ours.get_mut(script) else { return Ok(None) };
        if matches!(ours.owner, Owner::Unread) {
            let events = self.store.reader()?.stream(&StreamName::Binding(Arc::clone(&ours.address)), 0)?;
            ours.owner = events.into_iter().find_map(customer).map_or(Owner::Nobody, Owner::Customer);
        }
        let customer = match &ours.owner {
            Owner::Customer(customer) => Some(customer.clone()),
            Owner::Nobody | Owner::Unread => None,
        };
        Ok(Some(Paid { address: Arc::clone(&ours.address), customer }))
    }

    fn watch_up_to(&mut self, number: u32) {
        while self.watched < number {
            let Some(address) = self.source.address(self.watched) else { break };
            self.watched += 1;
            let ours = Ours { address: address.to_string().into(), owner: Owner::Nobody };
            self.ours.entry(address.script_pubkey()).or_insert(ours);
        }
    }

    fn insert(&mut self, address: &str, owner: Owner) {
        let parsed = address.parse::<Address<NetworkUnchecked>>().ok();
        match parsed.and_then(|parsed| parsed.require_network(self.network).ok()) {
            Some(parsed) => drop(self.ours.insert(parsed.script_pubkey(), Ours { address: address.into(), owner })),
            None => tracing::error!(address, "a bound address is not one of this network"),
        }
    }
}

fn customer(recorded: millrace_model::event::Recorded) -> Option<Customer> {
    match recorded.event {
        Event::Binding(binding::Event::Bound(bound)) => Some(bound.customer),
        _ => None,
    }
}
