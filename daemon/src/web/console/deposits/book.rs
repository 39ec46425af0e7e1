//! The order book as it was seen at the decision to buy, and beside it what the purchase came to.

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use millrace_model::deposit::{Deposit, Event, OrderIntended, StatusWaitBuy, evolve};
use millrace_model::event::{self, Recorded};
use millrace_model::money::{Amount, Btc, Sky};
use millrace_model::purchase::{Level, Price, Reach, SeenBook, Taken};
use rust_decimal::Decimal;

use super::in_log;
use super::money::average;
use crate::web::console::words::{amount, counted, exactly, span};

/// A decision to buy that kept its order book.
struct Decision<'a> {
    at: DateTime<Utc>,
    budget: Amount<Btc>,
    book: &'a SeenBook,
    taken: Taken,
}

/// What one row of the comparison says.
struct Fills {
    name: &'static str,
    bought: Amount<Sky>,
    spent: Amount<Btc>,
}

/// The book of the last decision among the first events, if they have one that kept it. Of all events counts what came of that
/// decision later.
pub(super) fn as_seen(all: &[Recorded], count: usize) -> Option<Markup> {
    let (then, later) = all.split_at(count.min(all.len()));
    let (recorded, decided) = then.iter().rev().find_map(decision)?;
    let book = decided.book.as_ref()?;
    let it = Decision { at: recorded.recorded_at, budget: decided.budget, book, taken: book.take(decided.budget) };
    let fills = match later.iter().any(|recorded| decision(recorded).is_some()) {
        // What there is now was bought upon another book.
        true => it.fills(then, &[]),
        false => it.fills(then, later),
    };
    Some(html! {
        (it.facts())
        (it.levels())
        (it.compared(&fills))
        (orders(then))
    })
}

/// What each order since the decision was chosen from, as far as it is kept.
fn orders(then: &[Recorded]) -> Markup {
    let since = then.iter().rposition(|recorded| decision(recorded).is_some()).unwrap_or(0);
    let chosen = then[since..].iter().filter_map(|recorded| match &recorded.event {
        event::Event::Deposit(Event::OrderIntended(OrderIntended { order, book: Some(book) })) => {
            Some((recorded, order, book))
        }
        _ => None,
    });
    let mut chosen = chosen.peekable();
    html! {
        @if chosen.peek().is_some() { div.scroll tabindex="0" { table {
            caption { "The books that its orders were chosen from, less what others were about to take" }
            thead { tr {
                th scope="col" { "Order" } th.n scope="col" { "Pays up to" } th.n scope="col" { "Cheapest ask" }
                th.n scope="col" { "Best bid" } th.n scope="col" { "Offered within the limit" } th scope="col" { "Book" }
            } }
            tbody { @for (recorded, order, book) in chosen { tr {
                th scope="row" { a href=(in_log(recorded.position)) { (order.attempt) } }
                td.n { (amount(&order.price.to_string(), "BTC/SKY")) }
                td.n { (amount(&book.best_ask().to_string(), "BTC/SKY")) }
                td.n { @match book.best_bid() { Some(bid) => (amount(&bid.to_string(), "BTC/SKY")), None => "–" } }
                td.n { (amount(&book.offered().to_string(), "SKY")) " in " (counted(book.levels().into(), "level", "levels")) }
                td { (age(book, recorded.recorded_at, "when it was put down")) }
            } } }
        } } }
    }
}

fn decision(recorded: &Recorded) -> Option<(&Recorded, &StatusWaitBuy)> {
    match &recorded.event {
        event::Event::Deposit(Event::StatusWaitBuy(decided)) => Some((recorded, decided)),
        _ => None,
    }
}

impl Decision<'_> {
    fn facts(&self) -> Markup {
        let (book, best_ask) = (self.book, self.book.best_ask());
        let levels = |number: u64| counted(number, "level", "levels");
        let left_out = u64::from(book.levels()).saturating_sub(book.asks().len() as u64);
        html! {
            dl.facts {
                dt { "By the exchange's clock of" } dd { (age(book, self.at, "at the decision")) }
                dt { "Best bid" } dd { @match book.best_bid() {
                    Some(bid) => (amount(&bid.to_string(), "BTC/SKY")),
                    None => "nobody bought",
                } }
                @if let Some(spread) = book.spread() {
                    dt { "Spread" }
                    dd {
                        (amount(&spread.normalize().to_string(), "BTC/SKY"))
                        @if let Some(percent) = percent(spread, best_ask.btc_per_sky()) { ", " (percent) " of the cheapest ask" }
                    }
                }
                dt { "Orders could pay up to, at the decision" } dd { (amount(&book.limit().to_string(), "BTC/SKY")) }
                dt { "Offered up to there" } dd { (amount(&book.offered().to_string(), "SKY")) " in " (levels(book.levels().into())) }
                @if left_out > 0 { dt { "Of these not in the list" } dd { (levels(left_out)) ", " (amount(&self.beyond(), "SKY")) } }
                dt { "Budget" } dd { (amount(&self.budget.to_string(), "BTC")) ", " (self.reach()) }
            }
        }
    }

    fn beyond(&self) -> String {
        let kept = Amount::checked_sum(self.book.asks().iter().map(|ask| ask.volume)).unwrap_or(Amount::MAX);
        self.book.offered().saturating_sub(kept).to_string()
    }

    fn reach(&self) -> String {
        match self.taken.reach {
            Reach::Enough => {
                let levels = counted(self.taken.levels() as u64, "level", "levels");
                format!("for which there was enough in {levels}")
            }
            Reach::BeyondKept => "which would have gone on beyond this list".to_owned(),
            Reach::BeyondOffered => "for which not enough was offered".to_owned(),
        }
    }

    fn levels(&self) -> Markup {
        let mut sum = Amount::<Sky>::ZERO;
        html! {
            div.scroll tabindex="0" { table {
                caption { "Who sold, cheapest first, and what the budget would have taken of it" }
                thead { tr {
                    th.n scope="col" { "Price" } th.n scope="col" { "Volume" } th.n scope="col" { "Sum" }
                    th.n scope="col" { "The budget takes" } th.n scope="col" { "For" }
                } }
                tbody { @for (Level { price, volume }, taken) in self.book.asks().iter().zip(&self.taken.of_level) { tr {
                    th.n scope="row" { (amount(&price.to_string(), "BTC/SKY")) }
                    td.n { (amount(&volume.to_string(), "SKY")) }
                    td.n { ({ sum = sum.checked_add(*volume).unwrap_or(Amount::MAX); amount(&sum.to_string(), "SKY") }) }
                    @match price.cost_rounded_up(*taken) {
                        Some(cost) if !taken.is_zero() => {
                            td.n { b { (amount(&taken.to_string(), "SKY")) } } td.n { (amount(&cost.to_string(), "BTC")) }
                        }
                        Some(_) | None => { td.n { "–" } td.n { "–" } }
                    }
                } } }
            } }
        }
    }

    fn fills(&self, then: &[Recorded], later: &[Recorded]) -> Vec<Fills> {
        let mut fills =
            vec![Fills { name: "The book, had it stood still", bought: self.taken.bought, spent: self.taken.spent }];
        let folded = [(None, then, "Fills until then"), (deposit(None, then), later, "Fills by now")];
        for (before, events, name) in folded {
            let Some(purchase) = deposit(before, events).and_then(|deposit| deposit.purchase) else { continue };
            let (bought, spent) = (purchase.bought(), purchase.spent());
            let is_new =
                fills.len() == 1 || fills.last().is_some_and(|last| (last.bought, last.spent) != (bought, spent));
            if is_new && !bought.is_zero() {
                fills.push(Fills { name, bought, spent });
            }
        }
        fills
    }

    fn compared(&self, fills: &[Fills]) -> Markup {
        html! {
            div.scroll tabindex="0" { table {
                caption { "What the budget buys, fees not counted" }
                thead { tr {
                    th scope="col" { "By" } th.n scope="col" { "Bought" } th.n scope="col" { "Spent" }
                    th.n scope="col" { "At, on average" } th.n scope="col" { "Against the cheapest ask" }
                } }
                tbody { @for Fills { name, bought, spent } in fills { tr {
                    th scope="row" { (name) }
                    td.n { (amount(&bought.to_string(), "SKY")) }
                    td.n { (amount(&spent.to_string(), "BTC")) }
                    td.n { @match average(*bought, *spent) { Some(average) => (amount(&average, "BTC/SKY")), None => "–" } }
                    td.n { @match slippage(*bought, *spent, self.book.best_ask()) { Some(percent) => (percent), None => "–" } }
                } } }
            } }
            @if fills.len() == 1 { p.soft { "Nothing was filled yet." } }
        }
    }
}

/// When a book was there and how old it was at a moment. Two clocks are compared here, so it may be from the future.
fn age(book: &SeenBook, at: DateTime<Utc>, then: &str) -> String {
    let time = i64::try_from(book.at_ms()).ok().and_then(DateTime::from_timestamp_millis);
    let Some(time) = time else { return "a time that is none".to_owned() };
    let age = at - time;
    match age < TimeDelta::zero() {
        true => format!("{}, {} ahead of the desk's {then}", exactly(time), span(-age)),
        false => format!("{}, {} old {then}", exactly(time), span(age)),
    }
}

/// The deposit as events left it; nothing when one of them cannot be read.
fn deposit(before: Option<Deposit>, events: &[Recorded]) -> Option<Deposit> {
    events.iter().try_fold(before, |deposit, recorded| match &recorded.event {
        event::Event::Deposit(event) => Some(evolve(deposit, event)),
        _ => None,
    })?
}

/// How far the average is above a price, with a sign.
fn slippage(bought: Amount<Sky>, spent: Amount<Btc>, price: Price) -> Option<String> {
    let average = spent.to_decimal().checked_div(bought.to_decimal())?;
    let above = average.checked_sub(price.btc_per_sky())?;
    let percent = percent(above, price.btc_per_sky())?;
    Some(if percent.starts_with('-') { percent } else { format!("+{percent}") })
}

/// A part of a whole to a thousandth of a percent.
fn percent(part: Decimal, whole: Decimal) -> Option<String> {
    let percent = part.checked_div(whole)?.checked_mul(Decimal::ONE_HUNDRED)?.round_dp(3);
    // A rounded nothing has no sign.
    let percent = if percent.is_zero() { Decimal::ZERO } else { percent };
    Some(format!("{percent:.3} %"))
}
