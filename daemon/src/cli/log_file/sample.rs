//! A small log for the tests of those who read one: a deposit that is received, held and released, and a switch.

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use millrace_actors::customer_keys::{self, CustomerKeys, Reading};
use millrace_actors::event_store::{Append, Expected, Log, Reader, Write};
use millrace_model::deposit::{
    self, BlockRef, Customer, Detected, Held, HoldReason, Matured, Method, Mined, Released, StatusWaitDecide,
};
use millrace_model::desk::{Setting, Switch, SwitchSet};
use millrace_model::event::Event;
use millrace_model::ids::{CommandId, DepositId, Hash32, Outpoint, StreamName};
use uuid::Uuid;

pub const ID: DepositId = DepositId(Uuid::from_u128(7));

/// The log's file, in a folder of its own, and who writes it.
pub struct Sample {
    pub folder: tempfile::TempDir,
    log: Log,
}

impl Sample {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(&folder.path().join("log.db")).unwrap();
        let mut sample = Self { folder, log };
        sample.deposit("RecordSightings", 0, vec![detected().into()]);
        sample.deposit("RecordBlock", 100, vec![mined().into()]);
        let received = vec![Matured { confirmations: 2 }.into(), StatusWaitDecide {}.into()];
        sample.deposit("RecordMaturity", 1_600, received);
        let reason = HoldReason::Operator { note: "look\u{1b}[2J".to_owned() };
        sample.deposit("Hold", 61_600, vec![Held { reason }.into()]);
        sample.deposit("Release", 3_661_600, vec![Released { note: "looked".to_owned() }.into()]);
        let off = SwitchSet { switch: Switch::Sends, setting: Setting::Off, note: "tea".to_owned() };
        sample.store("SetSwitch", 4_000_000, StreamName::Desk, (0, None), vec![Event::Desk(off.into())]);
        sample
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    /// What opens its notes, which none of them needs: they stand there as they were written.
    pub fn notes(&self) -> Reading {
        CustomerKeys::at(self.folder.path().join(customer_keys::FILE)).reading()
    }

    pub fn reader(&self) -> Reader {
        Reader::look_at(&self.path()).unwrap()
    }

    fn deposit(&mut self, command: &'static str, at_ms: i64, events: Vec<deposit::Event>) {
        let head = self.log.head();
        let events = events.into_iter().map(Event::Deposit).collect();
        let cause = (head > 0).then_some(head);
        self.store(command, at_ms, StreamName::Deposit(ID), (head, cause), events);
    }

    fn store(
        &mut self,
        command: &'static str,
        at_ms: i64,
        stream: StreamName,
        (version, causation): (u64, Option<u64>),
        events: Vec<Event>,
    ) {
        let append = Append {
            command_id: CommandId::of_fact(&[command, &at_ms.to_string()]),
            command,
            body: "{}".to_owned(),
            causation,
            correlation: None,
            writes: vec![Write::new(stream, Expected::Exactly(version), events)],
        };
        let at = start() + TimeDelta::milliseconds(at_ms) + TimeDelta::microseconds(123);
        self.log.commit(vec![append], at).0.pop().unwrap().unwrap();
    }
}

/// When its first event was recorded, but for 123 microseconds.
pub fn start() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2030, 1, 1, 0, 0, 0).unwrap()
}

fn detected() -> Detected {
    Detected {
        id: ID,
        outpoint: Outpoint { txid: Hash32([1; 32]), index: 0 },
        address: "bcrt1qdeposit".to_owned(),
        amount: "0.05".parse().unwrap(),
        customer: Some(Customer { target: "2Gcustomer".to_owned(), bound_method: Method::Direct }),
        spends: vec![],
        coinbase: false,
    }
}

fn mined() -> Mined {
    Mined { block: BlockRef { height: 7, hash: Hash32([7; 32]) } }
}
