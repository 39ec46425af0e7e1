//! The supervisor of one part: owns its mailbox, makes its incarnations, drives each under a panic net.
//!
//! It never panics itself: whatever belongs to the actor (its constructor, its handlers, its drop, the drop of a
//! message) runs inside a net. A panic inside a drop that runs while another panic unwinds still aborts the process;
//! that is the language's rule.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use xtra::{Actor, Mailbox};

use super::address::{Address, Gate, WeakAddress};
use super::conductor::Line;
use super::health::{Entry, Reporter, State};
use super::inbox::{Inbox, inbox};
use super::meter::{Gauge, Meter};
use super::plan::Fact;
use super::policy::{Exit, History, IntoExit, Lifetime, Policy, Restart, Verdict};
use super::scope::{Scope, ScopeOwner};

/// What a constructor gets for the incarnation it makes.
#[derive(Debug)]
pub struct Incarnation<A> {
    /// The actor's own address.
    pub me: WeakAddress<A>,
    /// Where its tasks run; they end with it.
    pub scope: Scope,
    /// Where it reports what it lives with.
    pub report: Reporter,
}

/// What a supervisor may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Make the next incarnation; what failed before is forgotten.
    Start,
    /// Make the next incarnation.
    Again,
    /// End the incarnation and wait, for this reason.
    Hold(String),
    Stop,
    Restart,
    /// Panic, as a fault of the actor's own would.
    Panic,
    Shutdown,
}

/// An order, and where to tell that it is carried out.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) order: Order,
    pub(super) done: oneshot::Sender<()>,
}

/// What the supervisor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Incarnate,
    /// Wait to be told to make the next incarnation; what is in the mailbox waits too.
    Await,
    Rest,
    End,
}

/// A part's address, how busy it is, and its supervisor's whole life as a future to be spawned.
pub(super) fn supervise<A, C>(
    policy: Policy,
    constructor: C,
    (entry, line): (Entry, Line),
    jitter_seed: u64,
    commands: mpsc::Receiver<Command>,
) -> (Address<A>, Gauge, impl Future<Output = ()> + Send + 'static)
where
    A: Actor,
    A::Stop: IntoExit,
    C: FnMut(Incarnation<A>) -> A + Send + 'static,
{
    let mailbox_max = policy.mailbox_max.max(1);
    let (address, mailbox) = Mailbox::bounded(mailbox_max);
    let gate = Gate::new();
    let address = Address { mailbox: address, gate: gate.clone(), mailbox_max };
    let (meter, mailbox_seen) = (Meter::default(), address.mailbox.downgrade());
    let gauge = Gauge { meter: meter.clone(), waiting: Box::new(move || mailbox_seen.len()), waiting_max: mailbox_max };
    let supervisor = Supervisor {
        constructor,
        policy,
        history: History::new(policy, jitter_seed),
        inbox: inbox(mailbox),
        orders: Orders { commands, told: None },
        entry,
        line,
        gate,
        meter,
        me: address.downgrade(),
        _kept: match policy.lifetime {
            Lifetime::Tree => Some(address.clone()),
            Lifetime::Addresses => None,
        },
    };
    (address, gauge, supervisor.run())
}

struct Supervisor<A, C, R: Future> {
    constructor: C,
    policy: Policy,
    history: History,
    inbox: Inbox<A, R>,
    orders: Orders,
    entry: Entry,
    line: Line,
    gate: Gate,
    meter: Meter,
    me: WeakAddress<A>,
    /// Keeps a part of [`Lifetime::Tree`] from being orphaned.
    _kept: Option<Address<A>>,
}

impl<A, C, R> Supervisor<A, C, R>
where
    A: Actor,
    A::Stop: IntoExit,
    C: FnMut(Incarnation<A>) -> A + Send + 'static,
    R: Future<Output: Send> + Send + Unpin,
{
    /// One incarnation after the other, until shut down. Only then is the mailbox dropped, and with it the address.
    async fn run(mut self) {
        let mut next = if self.line.said(&Fact::Starting) { Next::Incarnate } else { Next::Await };
        loop {
            next = match next {
                Next::Incarnate => self.live_once().await,
                Next::Await => {
                    self.line.say(Fact::Resting);
                    let command = self.orders.next().await;
                    self.obey(command, Next::Await)
                }
                Next::Rest => self.rest().await,
                Next::End => return,
            }
        }
    }

    async fn live_once(&mut self) -> Next {
        let born = Instant::now();
        let exit = self.incarnate().await;
        self.entry.ended(&exit);
        match self.orders.told.take() {
            Some(command) => self.obey(command, Next::Await),
            None => self.judge(&exit, born.elapsed()).await,
        }
    }

    async fn judge(&mut self, exit: &Exit, lived: Duration) -> Next {
        let part = self.entry.name();
        match self.history.judge(exit, lived, Instant::now()) {
            Verdict::Again(pause) => {
                tracing::warn!(part, exit = ?exit, pause_ms = pause.as_millis() as u64, "restarting after a pause");
                self.entry.backing_off(pause, exit.to_string());
                self.line.say(Fact::Pausing);
                self.pause(pause).await
            }
            Verdict::Finished => self.settle(State::Stopped, exit.to_string(), Fact::Ended, Next::Rest),
            Verdict::Gone => self.settle(State::Stopped, exit.to_string(), Fact::Ended, Next::End),
            Verdict::GiveUp => {
                tracing::error!(part, exit = ?exit, "gave up; it stays down until it is started");
                let fact = match self.policy.restart {
                    Restart::Temporary => Fact::Ended, // nobody expected it to come back
                    Restart::Permanent | Restart::Transient => Fact::GaveUp(exit.to_string()),
                };
                self.settle(State::Down, exit.to_string(), fact, Next::Rest)
            }
        }
    }

    async fn pause(&mut self, pause: Duration) -> Next {
        let mut over = pin!(sleep(pause));
        loop {
            let command = tokio::select! { biased;
                command = self.orders.next() => command,
                () = &mut over => return Next::Await,
            };
            match self.obey(command, Next::Await) {
                Next::Await => {}
                next @ (Next::Incarnate | Next::Rest | Next::End) => return next,
            }
        }
    }

    /// Carries out an order while there is no incarnation; `now` is what goes on when it changes nothing.
    fn obey(&mut self, command: Command, now: Next) -> Next {
        let next = match command.order {
            Order::Start | Order::Restart => {
                self.history.forget();
                self.incarnate_next()
            }
            Order::Again => self.incarnate_next(),
            Order::Hold(why) => self.settle(State::Waiting, why, Fact::Resting, Next::Rest),
            Order::Stop => self.settle(State::Stopped, "stopped by the operator".to_owned(), Fact::Resting, Next::Rest),
            Order::Panic => now,
            Order::Shutdown => self.settle(State::Stopped, "shut down".to_owned(), Fact::Ended, Next::End),
        };
        // Whoever ordered it may have gone; the order stands.
        let _ = command.done.send(());
        next
    }

    fn incarnate_next(&mut self) -> Next {
        self.entry.set(State::Starting, None);
        self.gate.open();
        self.line.say(Fact::Starting);
        Next::Incarnate
    }

    fn settle(&mut self, state: State, why: String, fact: Fact, next: Next) -> Next {
        self.gate.shut();
        self.entry.set(state, Some(why));
        self.line.say(fact);
        next
    }

    /// Waits to be started. What was queued before the gate was shut is dropped, so that nobody waits for it.
    async fn rest(&mut self) -> Next {
        loop {
            tokio::select! { biased;
                command = self.orders.next() => match self.obey(command, Next::Rest) {
                    Next::Rest => {}
                    next @ (Next::Incarnate | Next::Await | Next::End) => return next,
                },
                message = self.inbox.next() => {
                    bury(message);
                    if self.inbox.is_orphaned() {
                        return Next::End;
                    }
                    tokio::task::consume_budget().await;
                }
            }
        }
    }

    /// One incarnation, from its constructor to the end of its last task.
    async fn incarnate(&mut self) -> Exit {
        let report = self.entry.begin();
        let mut scope = ScopeOwner::new();
        let seat = Incarnation { me: self.me.clone(), scope: scope.scope(), report: report.clone() };
        let exit = match catch_unwind(AssertUnwindSafe(|| (self.constructor)(seat))) {
            Err(payload) => Exit::from_panic(payload.as_ref()),
            Ok(mut actor) => match self.live(&mut actor, &mut scope, &report).await {
                Ok(leaving) => self.part_with(actor, leaving).await,
                Err(exit) => {
                    // Whatever cut it off left its state half-changed, so it is not asked to stop in order.
                    bury(actor);
                    exit
                }
            },
        };
        scope.end(self.policy.grace).await;
        exit
    }

    /// Starts the actor and hands it its messages. `Ok`: it leaves in order; `Err`: it failed or was cut off.
    async fn live(&mut self, actor: &mut A, scope: &mut ScopeOwner, report: &Reporter) -> Result<Exit, Exit> {
        let Policy { start_within, handle_within, grace, .. } = self.policy;
        // Lazily, because a hand-written `started` may run code before it returns its future.
        let started = async { actor.started(self.inbox.mailbox()).await };
        self.orders.step(start_within, grace, started).await?.map_err(IntoExit::into_exit)?;
        report.running();
        self.line.say(Fact::Up);
        loop {
            let message = tokio::select! { biased;
                told = AssertUnwindSafe(self.orders.told()).catch_unwind() => return match told {
                    Ok(()) => Ok(Exit::Told),
                    Err(payload) => Err(Exit::from_panic(payload.as_ref())),
                },
                exit = scope.failed() => return Err(exit),
                message = self.inbox.next() => message,
            };
            let began = Instant::now();
            let dispatch = self.inbox.dispatch(message, actor);
            let flow = self.orders.step(handle_within, grace, dispatch).await?;
            self.meter.note(began.elapsed());
            if flow.is_break() {
                return Ok(if self.inbox.is_orphaned() { Exit::Orphaned } else { Exit::Normal });
            }
            // Neither a mailbox nor most handlers ever yield; a busy actor must not starve the others.
            tokio::task::consume_budget().await;
        }
    }

    /// Lets the actor stop in order; its own word counts if leaving was its own decision.
    async fn part_with(&mut self, actor: A, leaving: Exit) -> Exit {
        let Policy { handle_within, grace, .. } = self.policy;
        let stopped = self.orders.step(handle_within, grace, async { actor.stopped().await }).await;
        let said = stopped.map_or_else(|cut_off| cut_off, IntoExit::into_exit);
        match leaving {
            Exit::Normal => said,
            other if said.is_failure() => {
                tracing::warn!(part = self.entry.name(), exit = ?said, "did not stop in order");
                other
            }
            other => other,
        }
    }
}

/// The operator's orders, and the one that ends the present incarnation.
struct Orders {
    commands: mpsc::Receiver<Command>,
    told: Option<Command>,
}

impl Orders {
    /// The next command. When the tree is gone, that is a shutdown.
    async fn next(&mut self) -> Command {
        match self.commands.recv().await {
            Some(command) => command,
            None => Command { order: Order::Shutdown, done: oneshot::channel().0 },
        }
    }

    /// Waits until the incarnation is to end. May be dropped and asked again; panics when told to, as the actor might.
    async fn told(&mut self) {
        while self.told.is_none() {
            let command = self.next().await;
            match command.order {
                Order::Start | Order::Again => drop(command.done.send(())), // it lives already
                Order::Panic => {
                    let _ = command.done.send(());
                    panic!("told to panic, to see what becomes of it");
                }
                Order::Hold(_) | Order::Stop | Order::Restart | Order::Shutdown => self.told = Some(command),
            }
        }
    }

    /// A step of an incarnation, inside the panic net, within its limit, and cut short by an order plus `grace`.
    async fn step<T>(&mut self, limit: Duration, grace: Duration, work: impl Future<Output = T>) -> Result<T, Exit> {
        // The net is around the race, so that it also catches a panic when unfinished work is dropped.
        let race = async {
            let mut work = pin!(work);
            let mut limit = pin!(async { sleep(limit).await }); // made only if the work is not done at once
            tokio::select! { biased;
                done = &mut work => return Ok(done),
                () = &mut limit => return Err(Exit::TimedOut),
                () = self.told() => {}
            }
            tokio::select! { biased;
                done = &mut work => Ok(done),
                () = &mut limit => Err(Exit::TimedOut),
                () = sleep(grace) => Err(Exit::Told),
            }
        };
        AssertUnwindSafe(race).catch_unwind().await.unwrap_or_else(|payload| Err(Exit::from_panic(payload.as_ref())))
    }
}

/// Drops what belongs to an actor; a panic in its drop is noted and goes no further.
fn bury<T>(remains: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(remains))) {
        tracing::error!(exit = ?Exit::from_panic(payload.as_ref()), "a drop panicked");
    }
}
