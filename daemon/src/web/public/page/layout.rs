//! What every page stands in, and what is told of the desk itself.

use maud::{DOCTYPE, Markup, html};
use millrace_actors::event_store::{Ailment, OpenError, Store};
use millrace_actors::projection;
use millrace_actors::supervision::PartHealth;
use millrace_model::deposit::Method;
use millrace_model::desk::Switch;

use super::super::Desk;
use super::super::words::{Language, Words};
use super::reader::Reader;

/// A page.
pub(in crate::web::public) fn document(reader: &Reader, title: &str, body: &Markup) -> Markup {
    let words = reader.words;
    html! {
        (DOCTYPE)
        html lang=(reader.language.html()) {
            head {
                (head(title))
                script src="/assets/page.js" defer {}
            }
            body data-just-now=(words.just_now) data-minutes-ago=(words.minutes_ago) data-hours-ago=(words.hours_ago) {
                a .skip href="#content" { (words.skip) }
                header { a .home href="/" { "Millrace" } (reader.languages()) }
                main #content { (body) }
            }
        }
    }
}

/// A page that needs nobody: nothing is known, and nothing runs, but this process.
pub(crate) fn bare(language: Language, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.html()) {
            head { (head(title)) }
            body {
                header { a .home href="/" { "Millrace" } }
                main #content { h1 { (title) } (body) }
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " · Millrace" }
        link rel="icon" href="data:,";
        link rel="stylesheet" href="/assets/page.css";
    }
}

/// What is told of the desk: why nothing goes on, and that operators stopped what pays out.
pub(in crate::web::public) fn told_of(desk: &Desk, words: &Words) -> Markup {
    let is_passthrough = desk.terms.method == Method::Passthrough;
    let stands_still = desk.is_closed(Switch::Sends) || is_passthrough && desk.is_closed(Switch::Purchases);
    html! {
        (notice(&desk.health.snapshot(), words))
        @if stands_still { p .notice role="status" { (words.stands_still) } }
    }
}

/// Why nothing goes on, or nothing new is shown: a newer version's log, or what the disk suffers from.
pub(in crate::web::public) fn notice(parts: &[PartHealth], words: &Words) -> Markup {
    let said_by = |name: &'static str| {
        let of_name = parts.iter().filter(move |part| part.name == name);
        of_name.flat_map(|part| part.conditions.iter().map(|one| one.text.as_str()).chain(part.why.as_deref()))
    };
    let ailment_of = |name| said_by(name).find_map(Ailment::named_in).map(|ailment| called(ailment, words));
    html! {
        @if said_by(Store::PART).any(OpenError::tells_of_newer) {
            p .notice role="status" {
                (words.newer_log)
                @if let Some(unknown) = said_by(Store::PART).find_map(OpenError::unknown_in) {
                    " " ((words.newer_unknown)(unknown))
                }
            }
        } @else if let Some(ailment) = ailment_of(Store::PART) {
            p .notice role="status" { ((words.cannot_write)(ailment)) }
        } @else if parts.iter().any(|part| part.name == Store::PART && part.state.is_out()) {
            p .notice role="status" { (words.desk_unavailable) }
        } @else if let Some(ailment) = ailment_of(projection::PART) {
            p .notice role="status" { ((words.may_be_old)(ailment)) }
        }
    }
}

fn called(ailment: Ailment, words: &Words) -> &'static str {
    match ailment {
        Ailment::Full => words.disk_full,
        Ailment::ReadOnly => words.disk_read_only,
        Ailment::Failing => words.disk_failing,
    }
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
        let notice = |parts: &[PartHealth]| notice(parts, Language::English.words()).into_string();
        let tree = Tree::new(Registry::new(Arc::new(SystemClock)), 7);
        assert_eq!(notice(&tree.health().snapshot()), "");
        for name in ["another", projection::PART, Store::PART] {
            tree.add(name, Policy::permanent(), Part).unwrap();
        }
        let mut health = tree.health().subscribe();
        let all_told = |parts: &Vec<PartHealth>| parts.iter().all(|part| part.conditions.len() == 1);
        health.wait_for(all_told).await.unwrap();
        let parts = tree.health().snapshot();
        assert!(notice(&parts).contains("cannot write at the moment: the disk is full. "));
        let without =
            |parts: &[PartHealth], name| -> Vec<_> { parts.iter().filter(|part| part.name != name).cloned().collect() };
        let parts = without(&parts, Store::PART);
        assert!(notice(&parts).contains("What you see may be old: the disk is full. "));
        let parts = without(&parts, projection::PART);
        assert_eq!((parts.len(), notice(&parts).as_str()), (1, ""));
    }
}
