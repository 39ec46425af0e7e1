//! The customer's page: an address in, a deposit address with its QR code out, and the status as it moves.
//!
//! Works without scripts; with them, the part that changes is fetched again whenever the live stream says so.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::HeaderMap;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use millrace_actors::event_store::{Ailment, OpenError, Store};
use millrace_actors::projection;
use millrace_actors::supervision::PartHealth;
use millrace_model::deposit::Method;
use qrcode::QrCode;
use qrcode::render::svg;
use serde::Deserialize;

use super::bind::{bind as bind_address, target};
use super::v1::unknown_customer;
use super::{Binds, Desk, shape};
use crate::web::extract::{Form, Path, Query};
use crate::web::problem::Problem;

const SCRIPT: &str = include_str!("../../../assets/page.js");
const STYLE: &str = include_str!("../../../assets/page.css");

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=300")], text).into_response()
}

pub(super) async fn home(State(desk): State<Arc<Desk>>) -> Markup {
    document("Buy SKY with Bitcoin", &form(&desk, "", None))
}

/// Why nothing goes on, or nothing new is shown: a newer version's log, or what the disk suffers from.
pub(super) fn notice(parts: &[PartHealth]) -> Markup {
    let said_by = |name: &'static str| {
        let of_name = parts.iter().filter(move |part| part.name == name);
        of_name.flat_map(|part| part.conditions.iter().map(|one| one.text.as_str()).chain(part.why.as_deref()))
    };
    let ailment_of = |name| said_by(name).find_map(Ailment::named_in);
    html! {
        @if said_by(Store::PART).any(OpenError::tells_of_newer) {
            p role="status" {
                "The desk's records were written by a newer version of it. What was known is shown, no address is given out and \
                 nothing is paid out until that version runs again; no deposit is lost."
                @if let Some(unknown) = said_by(Store::PART).find_map(OpenError::unknown_in) {
                    " What this version does not know: " (unknown) "."
                }
            }
        } @else if let Some(ailment) = ailment_of(Store::PART) {
            p role="status" {
                "The desk cannot write at the moment: " (ailment.as_str()) ". No address is given out and nothing is paid out \
                 until it can; it goes on by itself then, and no deposit is lost."
            }
        } @else if let Some(ailment) = ailment_of(projection::PART) {
            p role="status" {
                "What you see may be old: " (ailment.as_str()) ". No deposit is lost, and the desk shows it as soon as it can."
            }
        }
    }
}

/// The form's fields.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    target: String,
}

pub(super) async fn bind(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    form: Result<Form<Fields>, Problem>,
) -> Result<Redirect, Response> {
    let Form(fields) = form.map_err(|problem| refused(&desk, "", &problem))?;
    let bound = async {
        let target = target(&fields.target)?;
        bind_address(&desk, &headers, &target).await?;
        Ok(target)
    };
    match bound.await {
        Ok(target) => Ok(Redirect::to(&format!("/customer/{target}"))),
        Err(problem) => Err(refused(&desk, &fields.target, &problem)),
    }
}

fn refused(desk: &Desk, typed: &str, problem: &Problem) -> Response {
    let page = document("Buy SKY with Bitcoin", &form(desk, typed, Some(problem.message())));
    (problem.status(), page).into_response()
}

/// Which part of the page is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    #[default]
    Whole,
    /// Only what changes.
    Fragment,
}

/// The query of a customer's page.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    part: Part,
}

pub(super) async fn customer(
    State(desk): State<Arc<Desk>>,
    Path(text): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Response> {
    let shown = async {
        let target = target(&text)?.to_string();
        shape::customer(&desk, &target).await?.ok_or_else(unknown_customer)
    };
    let customer = shown.await.map_err(|problem| refused(&desk, &text, &problem))?;
    Ok(match wanted.part {
        Part::Fragment => fragment(&customer).into_response(),
        Part::Whole => document("Your deposits", &whole(&customer)).into_response(),
    })
}

pub(super) fn document(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Millrace" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/assets/page.css";
                script src="/assets/page.js" defer {}
            }
            body {
                header { a href="/" { "Millrace" } }
                main { (body) }
            }
        }
    }
}

fn form(desk: &Desk, typed: &str, problem: Option<&str>) -> Markup {
    html! {
        h1 { "Buy SKY with Bitcoin" }
        (notice(&desk.health.snapshot()))
        p { (terms(desk)) }
        @if desk.terms.binds == Binds::Disabled {
            p role="status" { "No deposit addresses are given out at the moment." }
        } @else {
            form method="post" action="/bind" {
                label for="target" { "Your Skycoin address" }
                input #target name="target" value=(typed) required maxlength="64" autocomplete="off" spellcheck="false"
                    aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")];
                @if let Some(problem) = problem { p #problem role="alert" { (problem) } }
                button { "Get a deposit address" }
            }
        }
        section aria-labelledby="quote-title" {
            h2 #quote-title { "What would it buy?" }
            form data-quote {
                label for="amount" { "Bitcoin to deposit" }
                input #amount name="amount" inputmode="decimal" placeholder="0.1" autocomplete="off";
                output data-quote-result aria-live="polite" {}
            }
            noscript { p { "Quotes need scripts; the API has them at " code { "/api/v1/quote?amount=0.1" } "." } }
        }
    }
}

fn terms(desk: &Desk) -> Markup {
    html! {
        @match (desk.terms.method, desk.terms.rate) {
            (Method::Direct, Some(rate)) => { "One BTC buys " strong { (rate) } " SKY. " }
            (Method::Direct | Method::Passthrough, _) => { "Bought on the exchange at the price of the moment. " }
        }
        "A deposit counts after " (desk.terms.confirmations) " confirmation(s)."
    }
}

fn whole(customer: &shape::Customer) -> Markup {
    html! {
        h1 { "Your deposits" }
        p { "Paid out to " code { (customer.target) } }
        div data-live={ "/api/v1/customers/" (customer.target) "/live" } data-part={ "/customer/" (customer.target) "?part=fragment" } {
            (fragment(customer))
        }
        noscript { p { a href="" { "Look again" } } }
        form method="post" action="/bind" {
            input type="hidden" name="target" value=(customer.target);
            button .quiet { "Get another deposit address" }
        }
    }
}

fn fragment(customer: &shape::Customer) -> Markup {
    let newest = customer.addresses.last();
    html! {
        @if let Some(address) = newest {
            section .address aria-labelledby="address-title" {
                h2 #address-title { "Send Bitcoin to" }
                (qr_code(&address.address))
                p { code #deposit-address { (address.address) } }
            }
        }
        (silenced(customer))
        section aria-labelledby="deposits-title" {
            h2 #deposits-title { "Deposits" }
            @if customer.deposits.is_empty() {
                p role="status" { "Waiting for a deposit." }
            }
            @for deposit in &customer.deposits { (one(deposit)) }
        }
    }
}

/// What he is not told any more, for whoever has no other place where that could be told.
fn silenced(customer: &shape::Customer) -> Markup {
    html! {
        @for one in &customer.subscriptions {
            @if let Some(why) = one.why {
                p role="status" .silenced {
                    "A subscription of " time datetime=(one.subscribed_at.to_rfc3339()) { (one.subscribed_at.format("%Y-%m-%d")) }
                    " is disabled, since " (why) ". Nothing is sent there; subscribe the same address again to be told there."
                }
            }
        }
    }
}

fn one(deposit: &shape::Deposit) -> Markup {
    html! {
        article id={ "deposit-" (deposit.id) } data-status=(deposit.status) {
            h3 { (deposit.amount) " BTC" }
            p role="status" { strong { (deposit.status_text) } }
            dl {
                @if let Some(payout) = &deposit.payout { dt { "Payout" } dd { (payout) " SKY" } }
                @if let Some(rate) = &deposit.rate { dt { "Rate" } dd { (rate) " SKY for one BTC" } }
                dt { "Deposit" } dd { code { (deposit.txid) ":" (deposit.output_index) } }
                @if let Some(txid) = &deposit.payout_txid { dt { "Transaction" } dd { code { (txid) } } }
                @if let Some(refund) = &deposit.refund { dt { "Owed back" } dd { (refund) " BTC" } }
                dt { "Changed" } dd { time datetime=(deposit.updated_at.to_rfc3339()) { (deposit.updated_at.format("%Y-%m-%d %H:%M:%S UTC")) } }
            }
        }
    }
}

/// The address as a picture a wallet can read; nothing when it does not fit into one.
fn qr_code(address: &str) -> Markup {
    let Ok(code) = QrCode::new(format!("bitcoin:{address}")) else { return html! {} };
    let picture = code.render::<svg::Color<'_>>().min_dimensions(180, 180).build();
    let picture = picture.split_once("?>").map_or(picture.as_str(), |(_, svg)| svg);
    html! { div .qr role="img" aria-label={ "QR code of " (address) } { (PreEscaped(picture)) } }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millrace_actors::clock::SystemClock;
    use millrace_actors::supervision::{Incarnation, Policy, Registry, Tree};

    use super::*;

    struct Part(Incarnation<Self>);

    impl xtra::Actor for Part {
        type Stop = ();

        async fn started(&mut self, _: &xtra::Mailbox<Self>) -> Result<(), Self::Stop> {
            self.0.report.set("disk", "the log cannot be written: the disk is full (database or disk is full)");
            Ok(())
        }

        async fn stopped(self) -> Self::Stop {}
    }

    /// O3: in words for people, and nothing while the disk is well or it is another part that says so.
    #[tokio::test]
    async fn the_page_says_what_the_disk_suffers_from() {
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 7);
        assert_eq!(notice(&tree.health().snapshot()).into_string(), "");
        for name in ["another", projection::PART, Store::PART] {
            tree.add(name, Policy::permanent(), Part).unwrap();
        }
        let mut health = tree.health().subscribe();
        let all_told = |parts: &Vec<PartHealth>| parts.iter().all(|part| part.conditions.len() == 1);
        health.wait_for(all_told).await.unwrap();
        let parts = tree.health().snapshot();
        assert!(notice(&parts).into_string().contains("cannot write at the moment: the disk is full. "));
        let without =
            |parts: &[PartHealth], name| -> Vec<_> { parts.iter().filter(|part| part.name != name).cloned().collect() };
        let parts = without(&parts, Store::PART);
        assert!(notice(&parts).into_string().contains("What you see may be old: the disk is full. "));
        let parts = without(&parts, projection::PART);
        assert_eq!((parts.len(), notice(&parts).into_string().as_str()), (1, ""));
    }
}
