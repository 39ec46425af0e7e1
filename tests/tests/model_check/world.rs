//! One state of the desk and the world around it, and what can happen to it next.

use millrace_model::deposit::{Outcome, Stage};

use super::buying::{PATIENCE_MS, READ_MS, Request};
use super::chain::{Chain, Place, Report};
use super::desk::{Breach, Life, Task};
use super::exchange::{Exchange, FILL};
use super::wallet::{INPUTS, Input, Node, Spent};

/// How often each thing may go wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// All workers end and begin anew.
    pub crashes: u8,
    /// A request is lost, or is answered too late and acted upon whenever it arrives.
    pub losses: u8,
    /// A request arrives once more.
    pub duplicates: u8,
    /// A block leaves a chain, or a waiting transaction a node.
    pub reorganisations: u8,
    /// What was read of the deposit's chain is told once more.
    pub detections: u8,
    /// An order is not filled before the buyer loses patience.
    pub impatience: u8,
    /// The exchange refuses an order.
    pub refusals: u8,
    /// Somebody else spends an output of the wallet.
    pub strangers: u8,
    /// An operator holds the deposit, or releases it.
    pub operator: u8,
}

impl Faults {
    /// The same bound but for what the text names; nothing when it names what there is not.
    pub fn with(mut self, text: &str) -> Option<Self> {
        for part in text.split(',') {
            let (name, times) = part.split_once('=')?;
            let fault = match name {
                "crashes" => &mut self.crashes,
                "losses" => &mut self.losses,
                "duplicates" => &mut self.duplicates,
                "reorganisations" => &mut self.reorganisations,
                "detections" => &mut self.detections,
                "impatience" => &mut self.impatience,
                "refusals" => &mut self.refusals,
                "strangers" => &mut self.strangers,
                "operator" => &mut self.operator,
                _ => return None,
            };
            *fault = times.parse().ok()?;
        }
        Some(self)
    }
}

/// What is done otherwise than the desk does it, so that the checker has something to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twist {
    /// Nothing.
    None,
    /// The bytes are sent before they are in the log.
    SendsBeforeTheLog,
    /// After an unknown outcome the payout is taken for failed, and other bytes are signed.
    SignsAnewAfterUnknown,
    /// After an unknown outcome the order is taken for refused, and the next has a new id.
    NewIdAfterUnknown,
    /// A deposit that is reported again is another deposit.
    DetectsTwice,
    /// The scanner does not wait for depth.
    MaturesInTheFirstBlock,
    /// The exchange takes an id again.
    ExchangeForgetsIds,
    /// After an unknown outcome the sender waits for an answer that never comes.
    SenderGivesUp,
    /// What the network repeats of an order arrives after the exchange's refusal was heard.
    RepeatsAfterRefusal,
}

/// A request on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Which deposit it is for.
    pub whose: usize,
    /// What it asks for.
    pub what: What,
    /// Whether somebody waits for the answer.
    pub is_heard: bool,
    /// Whether the network made it of another.
    pub is_copy: bool,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum What {
    /// Take the payout of this output.
    Inject(Input),
    /// Something for the exchange.
    Trade(Request),
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// What may still go wrong.
    pub left: Faults,
    /// The deposit's chain.
    pub chain: Chain,
    /// What the scanner has read: of which deposit, and what.
    pub scanner: Option<(usize, Report)>,
    /// The deposits in the log.
    pub lives: Vec<Life>,
    /// Requests on their way.
    pub wire: Vec<Sent>,
    /// The Skycoin node.
    pub node: Node,
    /// The exchange.
    pub exchange: Exchange,
    /// What must never happen, and has.
    pub breach: Option<Breach>,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The scanner reads the chain.
    Scan(usize),
    /// The scanner tells the log what it read.
    Tell,
    /// The same, and will tell it again.
    TellAndRepeat,
    /// A new Bitcoin block.
    GrowChain,
    /// A reorganisation of the Bitcoin chain, one of several.
    ReorganiseChain(usize),
    /// The decider decides.
    Decide(usize),
    /// The buyer takes a step, so late.
    Buy(usize, u64),
    /// The wallet signs a payout that spends this output.
    Sign(usize, Input),
    /// The sender takes its next step.
    Send(usize),
    /// A request arrives.
    Deliver(usize),
    /// An order arrives and is refused.
    Refuse(usize),
    /// A request never arrives, and nobody answers.
    Lose(usize),
    /// A request takes longer than anybody waits.
    Delay(usize),
    /// A request will arrive twice.
    Duplicate(usize),
    /// Half of what a deposit buys is filled in an order.
    Fill(u64),
    /// A new Skycoin block with what spends this output, or on top of it.
    GrowNode(Input),
    /// The node forgets, or its chain is reorganised; one of several.
    ReorganiseNode(Input, usize),
    /// Somebody else spends an output.
    Rob(Input),
    /// All workers begin anew.
    Crash,
    /// An operator stops the deposit.
    Hold(usize),
    /// An operator lets the deposit go on.
    Release(usize),
}

impl World {
    /// A deposit's transaction has just been sent, and nobody knows of it.
    pub fn start(faults: Faults) -> Self {
        Self {
            left: faults,
            chain: Chain::START,
            scanner: None,
            lives: vec![],
            wire: vec![],
            node: Node::START,
            exchange: Exchange::default(),
            breach: None,
        }
    }

    /// What must never be, if it is.
    pub fn violation(&self) -> Option<Breach> {
        if self.breach.is_some() {
            return self.breach;
        }
        if self.node.payouts() > 1 {
            return Some("two payouts of one deposit");
        }
        if self.exchange.bought() > 2 * FILL {
            return Some("more bought than the deposit pays for");
        }
        None
    }

    /// Whether a deposit has come to an end that needs nobody any more.
    pub fn is_ended(&self) -> bool {
        let gone = self.chain.place == Place::Gone;
        self.lives.iter().all(|life| match &life.deposit.stage {
            Stage::Done(Outcome::Paid) => self.node.payouts() == 1,
            Stage::Done(Outcome::Vanished) => gone && self.node.payouts() == 0 && self.exchange.bought() == 0,
            // What was bought for it is told to the last coin.
            Stage::Done(Outcome::WrittenOff { .. }) => {
                gone && self.node.payouts() == 0 && self.exchange.bought() == life.bought()
            }
            // An order that the exchange never admitted to is for a person to look for.
            Stage::Held { .. } => gone && self.node.payouts() == 0 && life.has_order(),
            _ => false,
        }) && (gone || !self.lives.is_empty())
    }

    /// What goes on without anything going wrong; the world first, so that nobody asks it the same for ever.
    pub fn regular(&self, actions: &mut Vec<Action>) {
        actions.extend(self.exchange.open().into_iter().map(Action::Fill));
        actions.push(Action::GrowChain);
        actions.extend(INPUTS.map(Action::GrowNode));
        actions.extend((0..self.wire.len()).map(Action::Deliver));
        match self.scanner {
            Some(_) => actions.push(Action::Tell),
            None => actions.extend((0..self.lives.len().max(1)).map(Action::Scan)),
        }
        for (at, life) in self.lives.iter().enumerate() {
            match (&life.deposit.stage, life.signed()) {
                (Stage::WaitDecide, _) => actions.push(Action::Decide(at)),
                (Stage::WaitSend, None) if life.sender.task == Task::None => {
                    actions.extend(self.spendable().map(|input| Action::Sign(at, input)));
                }
                _ => {}
            }
            if life.concerns_buyer() {
                actions.extend([0, READ_MS].map(|now_ms| Action::Buy(at, now_ms)));
            }
            actions.push(Action::Send(at));
        }
    }

    /// What goes wrong, as often as it still may.
    pub fn faulty(&self, actions: &mut Vec<Action>) {
        let left = &self.left;
        if left.detections > 0 && self.scanner.is_some() {
            actions.push(Action::TellAndRepeat);
        }
        if left.reorganisations > 0 {
            actions.extend((0..self.chain.reorganised().len()).map(Action::ReorganiseChain));
            for input in INPUTS {
                let ways = 0..self.node.reorganised(input).len();
                actions.extend(ways.map(|way| Action::ReorganiseNode(input, way)));
            }
        }
        if left.strangers > 0 {
            // The other one is left, so that there is something to pay with.
            actions.push(Action::Rob(Input::One));
        }
        if left.crashes > 0 {
            actions.push(Action::Crash);
        }
        self.faulty_requests(actions);
        for (at, life) in self.lives.iter().enumerate() {
            if left.impatience > 0 && life.concerns_buyer() {
                actions.push(Action::Buy(at, PATIENCE_MS));
            }
            if left.operator > 0 {
                actions.push(if life.is_held() { Action::Release(at) } else { Action::Hold(at) });
            }
        }
    }

    fn faulty_requests(&self, actions: &mut Vec<Action>) {
        for (at, sent) in self.wire.iter().enumerate() {
            if self.left.losses > 0 && sent.is_heard {
                actions.extend([Action::Lose(at), Action::Delay(at)]);
            }
            if self.left.duplicates > 0 && !sent.is_copy {
                actions.push(Action::Duplicate(at));
            }
            if self.left.refusals > 0 && matches!(sent.what, What::Trade(Request::Place(_))) {
                actions.push(Action::Refuse(at));
            }
        }
    }

    /// The wallet takes the first of what it can spend; which one that is changes under its hands.
    fn spendable(&self) -> Option<Input> {
        let reserved: Vec<_> = self.lives.iter().filter_map(Life::signed).collect();
        let is_free = move |input: &Input| self.node.spent(*input) == Spent::Not && !reserved.contains(input);
        INPUTS.into_iter().find(is_free)
    }

    /// Whether the network may still deliver a copy of this request.
    pub fn has_copy_of(&self, sent: &Sent) -> bool {
        self.wire.iter().any(|other| other.is_copy && other.what == sent.what)
    }
}
