//! What each action makes of a world: the workers' steps as they take them, the answers of the outside world, the faults.

use millrace_model::deposit::{Command, HoldReason, Outcome, Stage};
use millrace_model::ids::Hash32;
use millrace_protocols::payout::{Answer, Phase, Step, by_name};
use millrace_protocols::purchase::{CancelReply, PlaceReply};
use millrace_protocols::wire::skycoin::rest::{Seen, Standing};

use super::buying::{self, Done, Request};
use super::chain::Report;
use super::desk::{Breach, Life, Sender, Task, Way, decision};
use super::wallet::{CONFIRMATIONS, Input};
use super::world::{Action, Sent, Twist, What, World};

/// What holds in every state of one run.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// How the desk comes by the coins.
    pub way: Way,
    /// What is done otherwise than it should be.
    pub twist: Twist,
}

impl World {
    /// The world after an action.
    pub fn after(&self, action: Action, setup: Setup) -> Self {
        let mut next = self.clone();
        if let Err(breach) = next.act(action, setup) {
            next.breach = Some(breach);
        }
        next.wire.sort_unstable_by_key(order);
        // Nobody waits for them, and the first that arrives makes the other one of no effect.
        next.wire.dedup_by(|one, other| one == other && !one.is_heard);
        next
    }

    fn act(&mut self, action: Action, setup: Setup) -> Result<(), Breach> {
        match action {
            Action::Scan(at) => self.scan(at, setup.twist),
            Action::Tell => self.tell(setup.twist)?,
            Action::TellAndRepeat => {
                self.left.detections -= 1;
                let report = self.scanner;
                self.tell(setup.twist)?;
                self.scanner = report;
            }
            Action::GrowChain => self.chain = self.chain.grown().unwrap_or(self.chain),
            Action::ReorganiseChain(way) => {
                self.left.reorganisations -= 1;
                self.chain = self.chain.reorganised()[way];
            }
            Action::Decide(at) => drop(self.lives[at].commit(&decision(setup.way))?),
            Action::Buy(at, now_ms) => self.buy(at, now_ms)?,
            Action::Sign(at, input) => self.sign(at, input, setup.twist),
            Action::Send(at) => self.send(at)?,
            Action::Deliver(at) => self.deliver(at, setup)?,
            Action::Refuse(at) => self.refuse(at, setup.twist),
            Action::Lose(at) | Action::Delay(at) => self.silence(at, action, setup)?,
            Action::Duplicate(at) => {
                self.left.duplicates -= 1;
                self.wire.push(Sent { is_heard: false, is_copy: true, ..self.wire[at].clone() });
            }
            Action::Fill(order_id) => self.exchange.fill(order_id),
            Action::GrowNode(input) => self.node = self.node.grown(input).unwrap_or(self.node),
            Action::ReorganiseNode(input, way) => {
                self.left.reorganisations -= 1;
                self.node = self.node.reorganised(input)[way];
            }
            Action::Rob(input) => {
                if let Some(robbed) = self.node.robbed(input) {
                    self.left.strangers -= 1;
                    self.node = robbed;
                }
            }
            Action::Crash => self.crash(),
            Action::Hold(at) => self.operate(at, &Command::Hold { reason: HoldReason::Operator { note: note() } })?,
            Action::Release(at) => self.operate(at, &Command::Release { note: note() })?,
        }
        Ok(())
    }

    fn scan(&mut self, at: usize, twist: Twist) {
        let deposit = self.lives.get(at).map(|life| &*life.deposit);
        let news = self.chain.news(deposit, twist == Twist::MaturesInTheFirstBlock);
        self.scanner = news.map(|news| (at, news));
    }

    fn tell(&mut self, twist: Twist) -> Result<(), Breach> {
        let Some((at, report)) = self.scanner.take() else { return Ok(()) };
        if report == Report::Detected {
            // A deposit is known by its output.
            if self.lives.is_empty() || (twist == Twist::DetectsTwice && self.lives.len() < 2) {
                self.lives.push(Life::detected(self.lives.len() as u128 + 1));
            }
            return Ok(());
        }
        match report.command(&self.lives[at].deposit) {
            Some(command) => self.commit(at, &command),
            None => Ok(()),
        }
    }

    /// Commits; what the log tells of money is held against the chain besides.
    fn commit(&mut self, at: usize, command: &Command) -> Result<(), Breach> {
        self.lives[at].commit(command)?;
        let life = &self.lives[at];
        let has_moved = life.deposit.is_committed();
        if has_moved && !self.chain.was_deep { Err("bought or paid for what was never deep enough") } else { Ok(()) }
    }

    fn operate(&mut self, at: usize, command: &Command) -> Result<(), Breach> {
        let before = self.lives[at].clone();
        self.commit(at, command)?;
        if self.lives[at] != before {
            self.left.operator = self.left.operator.saturating_sub(1);
        }
        Ok(())
    }

    fn crash(&mut self) {
        self.left.crashes -= 1;
        self.lives.iter_mut().for_each(Life::forget);
        self.wire.iter_mut().for_each(|sent| sent.is_heard = false);
        self.scanner = None;
    }

    fn buy(&mut self, at: usize, now_ms: u64) -> Result<(), Breach> {
        if self.lives[at].buyer.as_ref().is_some_and(|course| course.is_asking) {
            return Ok(());
        }
        let before = self.lives[at].clone();
        let done = buying::step(&mut self.lives[at], &self.exchange, now_ms)?;
        let has_bought = self.lives[at].deposit.is_committed() && !self.chain.was_deep;
        if has_bought {
            return Err("bought or paid for what was never deep enough");
        }
        match done {
            // Later than now and nothing to do even then: as if it had not been asked.
            Done::Waits if now_ms > 0 => self.lives[at] = before,
            Done::Waits => {}
            Done::Moved | Done::Sends(_) if now_ms == buying::PATIENCE_MS => self.left.impatience -= 1,
            Done::Moved | Done::Sends(_) => {}
        }
        if let Done::Sends(request) = done {
            self.ask(at, What::Trade(request));
        }
        Ok(())
    }

    fn ask(&mut self, whose: usize, what: What) {
        self.wire.push(Sent { whose, what, is_heard: true, is_copy: false });
    }

    fn sign(&mut self, at: usize, input: Input, twist: Twist) {
        self.lives[at].sender.task = Task::Signed(input);
        if twist == Twist::SendsBeforeTheLog {
            self.wire.push(Sent { whose: at, what: What::Inject(input), is_heard: false, is_copy: false });
        }
    }

    /// The sender's next step, found out from what it has in mind and what the log says.
    fn send(&mut self, at: usize) -> Result<(), Breach> {
        match self.lives[at].sender.task.clone() {
            Task::Signed(input) => {
                self.lives[at].sender.task = Task::None;
                self.commit(at, &Command::RecordSigned(input.signed()))
            }
            Task::Injecting(_) => Ok(()),
            Task::Step(step) => self.carry_out(at, &step),
            Task::None => match (&self.lives[at].deposit.stage, self.lives[at].signed()) {
                (Stage::WaitSend, Some(input)) => {
                    self.inject(at, input);
                    Ok(())
                }
                (Stage::WaitConfirm, Some(input)) => self.watch(at, input),
                (Stage::Done(Outcome::Paid), Some(input)) => self.watch_final(at, input),
                _ => {
                    self.lives[at].sender = Sender::FRESH;
                    Ok(())
                }
            },
        }
    }

    fn inject(&mut self, at: usize, input: Input) {
        self.lives[at].sender.task = Task::Injecting(input);
        self.ask(at, What::Inject(input));
    }

    /// Looks at a payout that a node took. Whether it is overdue is left to chance: it always may be.
    fn watch(&mut self, at: usize, input: Input) -> Result<(), Breach> {
        let seen = self.node.transaction(input);
        let in_block = is_in_block(seen.as_ref());
        if self.lives[at].sender.saw_block && !in_block {
            self.commit(at, &Command::RecordPayoutReorged)?;
        }
        let sender = &mut self.lives[at].sender;
        sender.saw_block = in_block;
        sender.task = match by_name(Phase::Overdue, seen.as_ref(), CONFIRMATIONS) {
            Step::AwaitConfirmation => Task::None,
            step => Task::Step(step),
        };
        Ok(())
    }

    fn watch_final(&mut self, at: usize, input: Input) -> Result<(), Breach> {
        self.lives[at].sender = Sender::FRESH;
        if is_in_block(self.node.transaction(input).as_ref()) {
            return Ok(());
        }
        self.commit(at, &Command::RecordPayoutReorged)
    }

    fn carry_out(&mut self, at: usize, step: &Step) -> Result<(), Breach> {
        let waits_to_be_sent = self.lives[at].deposit.stage == Stage::WaitSend;
        let task = |world: &mut Self, task| world.lives[at].sender.task = task;
        match step {
            Step::Final { .. } | Step::AwaitConfirmation if waits_to_be_sent => {
                if matches!(step, Step::AwaitConfirmation) {
                    task(self, Task::None);
                }
                self.commit(at, &Command::RecordSent)
            }
            Step::Final { block_seq, confirmations } => {
                self.lives[at].sender = Sender::FRESH;
                let (block_seq, confirmations) = (*block_seq, *confirmations);
                self.commit(at, &Command::RecordConfirmed { block_seq, confirmations })
            }
            Step::Conflict { conflicting_txid } => {
                self.lives[at].sender = Sender::FRESH;
                self.commit(at, &Command::RecordVoided { conflicting_txid: *conflicting_txid })
            }
            Step::Inject | Step::Reinject => {
                match self.lives[at].signed() {
                    Some(input) => self.inject(at, input),
                    None => task(self, Task::None),
                }
                Ok(())
            }
            Step::AwaitConfirmation | Step::Contested { .. } | Step::LookUp => {
                task(self, Task::None);
                Ok(())
            }
        }
    }

    fn deliver(&mut self, at: usize, setup: Setup) -> Result<(), Breach> {
        let sent = self.wire.remove(at);
        match &sent.what {
            What::Inject(input) => {
                let taken = self.node.inject(*input);
                if sent.is_heard {
                    self.lives[sent.whose].sender.task = self.injected(*input, taken);
                }
            }
            What::Trade(Request::Place(intent)) => {
                let is_known = setup.twist != Twist::ExchangeForgetsIds && self.exchange.has(intent);
                let reply = match is_known {
                    true => PlaceReply::CidExists,
                    false => PlaceReply::Placed { order_id: self.exchange.take(intent.clone()) },
                };
                self.answer(&sent, |course| course.placed(reply));
            }
            What::Trade(Request::Cancel(order_id)) => {
                let cancelled = self.exchange.cancel(*order_id);
                let reply = if cancelled.is_ok() { CancelReply::Accepted } else { CancelReply::Refused };
                self.answer(&sent, |course| course.cancelled(reply));
            }
        }
        Ok(())
    }

    fn answer(&mut self, sent: &Sent, reply: impl FnOnce(&mut buying::Course)) {
        if let Some(course) = self.lives[sent.whose].buyer.as_mut().filter(|_| sent.is_heard) {
            reply(course);
        }
    }

    /// What follows when the node answered to the bytes; when it did not take them, it is asked what it knows.
    fn injected(&self, input: Input, taken: Result<(), ()>) -> Task {
        let (payout, phase) = (input.payout(), Phase::Signed);
        let answer = if taken.is_ok() { Answer::Taken } else { Answer::NotTaken };
        let step = match (payout.next(phase, answer), self.node.transaction(input)) {
            (Step::LookUp, Some(seen)) => payout.next(phase, Answer::Transaction(Some(&seen))),
            (Step::LookUp, None) => payout.next(phase, Answer::History(&self.node.history())),
            (step, _) => step,
        };
        match step {
            // The node neither takes it nor knows why: later again.
            Step::Inject | Step::Reinject => Task::None,
            step => Task::Step(step),
        }
    }

    fn refuse(&mut self, at: usize, twist: Twist) {
        // A refusal answers all copies that the network makes of one request; see `RepeatsAfterRefusal`.
        if self.has_copy_of(&self.wire[at]) && twist != Twist::RepeatsAfterRefusal {
            return;
        }
        self.left.refusals -= 1;
        let sent = self.wire.remove(at);
        let is_known = matches!(&sent.what, What::Trade(Request::Place(intent)) if self.exchange.has(intent));
        let reason = "no".to_owned();
        let reply = if is_known { PlaceReply::CidExists } else { PlaceReply::Refused { reason } };
        self.answer(&sent, |course| course.placed(reply));
    }

    /// Whoever waits for this request's answer gives up; a delayed request is still on its way.
    fn silence(&mut self, at: usize, action: Action, setup: Setup) -> Result<(), Breach> {
        self.left.losses -= 1;
        let sent = self.wire[at].clone();
        match action {
            Action::Delay(_) => self.wire[at].is_heard = false,
            _ => drop(self.wire.remove(at)),
        }
        match &sent.what {
            What::Inject(_) => {
                if setup.twist == Twist::SenderGivesUp {
                    return Ok(());
                }
                self.lives[sent.whose].sender.task = Task::None;
                if setup.twist == Twist::SignsAnewAfterUnknown {
                    let conflicting_txid = Hash32([99; 32]);
                    return self.commit(sent.whose, &Command::RecordVoided { conflicting_txid });
                }
            }
            What::Trade(Request::Place(_)) if setup.twist == Twist::NewIdAfterUnknown => {
                let reason = "no answer".to_owned();
                self.answer(&sent, |course| course.placed(PlaceReply::Refused { reason }));
            }
            What::Trade(request) => self.answer(&sent, |course| course.unanswered(request)),
        }
        Ok(())
    }
}

fn note() -> String {
    "an operator".to_owned()
}

fn is_in_block(seen: Option<&Seen>) -> bool {
    seen.is_some_and(|seen| matches!(seen.standing, Standing::Confirmed { .. }))
}

/// Requests overtake each other, so their order says nothing.
fn order(sent: &Sent) -> (usize, u64, bool, bool) {
    let what = match &sent.what {
        What::Inject(input) => *input as u64,
        What::Trade(Request::Place(intent)) => 10 + u64::from(intent.attempt),
        What::Trade(Request::Cancel(order_id)) => 1_000 + order_id,
    };
    (sent.whose, what, sent.is_heard, sent.is_copy)
}
