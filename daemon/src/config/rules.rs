//! What no single setting can know: settings that contradict each other, and what is missing outside the sandbox.

use std::path::{Component, Path};

use millrace_actors::delivery::sinks::mail::server::InClear;
use millrace_actors::relay::kafka;
use millrace_model::deposit::Method;
use millrace_protocols::delivery::policy::Schedule;
use reqwest::Url;

use super::layers::{Layers, variable_name};
use super::problem::Origin;
use super::relay::{BROKERS_MAX, NAME_BYTES_MAX};
use super::sandbox::Sandbox;
use super::{Bitcoin, Broker, C2cx, Config, Desk, Notify, Operator, People, Public, Relay, Skycoin};
use crate::run::{LOG_FILE, VIEWS_FILE};

/// Notes every contradiction in `layers`.
pub(super) fn check(layers: &mut Layers<'_>, config: &Config) {
    let mut rules = Rules { layers, sandbox: config.sandbox.enabled };
    rules.desk(&config.desk);
    rules.public(&config.public);
    rules.operator(&config.operator, &config.public);
    rules.bitcoin(&config.bitcoin);
    rules.skycoin(&config.skycoin);
    rules.c2cx(&config.c2cx, config.desk.method);
    rules.notify(&config.notify);
    rules.people(config);
    rules.relay(&config.relay);
    rules.sandbox();
    config.job.check(layers);
}

/// Those that a run of `millrace notify` rests on: it needs no desk here.
pub(super) fn check_job(layers: &mut Layers<'_>, config: &Config) {
    let mut rules = Rules { layers, sandbox: config.sandbox.enabled };
    rules.public(&config.public);
    rules.notify(&config.notify);
    rules.people(config);
    config.job.check(layers);
    config.job.require(layers);
}

/// Whether a path leads into a folder, as far as its text tells.
fn is_inside(path: &Path, folder: &Path) -> bool {
    let rest = path.strip_prefix(folder);
    rest.is_ok_and(|rest| rest.components().next() != Some(Component::ParentDir))
}

struct Rules<'l, 'i> {
    layers: &'l mut Layers<'i>,
    sandbox: bool,
}

impl Rules<'_, '_> {
    fn desk(&mut self, desk: &Desk) {
        if desk.minimum_deposit > desk.maximum_deposit {
            let sentence = format!(
                "is more than desk.maximum_deposit ({} against {}); lower it or raise the other",
                desk.minimum_deposit, desk.maximum_deposit
            );
            self.refuse(("desk", "minimum_deposit"), Some("maximum_deposit"), sentence);
        }
        if desk.method == Method::Direct && desk.rate.is_none() {
            self.missing("desk", "rate", "direct mode sells at it", "rate = \"500\" for 500 SKY a BTC");
        }
        if is_inside(&desk.head_file, &desk.data_dir) {
            let sentence =
                "is in desk.data_dir; a copy of the folder would take it along, and nothing would tell the copy \
                            from the desk's own log"
                    .to_owned();
            self.refuse(("desk", "head_file"), Some("data_dir"), sentence);
        }
        if [desk.head_file.clone(), desk.data_dir.join(LOG_FILE), desk.data_dir.join(VIEWS_FILE)]
            .contains(&desk.keys_file)
        {
            let sentence = "is another file of the desk's; give the customers' keys one of their own".to_owned();
            self.refuse(("desk", "keys_file"), None, sentence);
        }
        self.payouts(desk);
    }

    /// A desk that would hold whatever it receives is not meant.
    fn payouts(&mut self, desk: &Desk) {
        let least = desk.rate.map(|rate| rate.sky_for(desk.minimum_deposit, desk.payout_decimals));
        let held = match (desk.method, least) {
            _ if desk.maximum_payout.is_zero() => true,
            (Method::Direct, Some(Ok(least))) => least > desk.maximum_payout,
            (Method::Direct, Some(Err(_))) => true,
            (Method::Direct, None) | (Method::Passthrough, _) => false,
        };
        if held {
            let sentence = format!(
                "holds every payout, also that of the smallest deposit; write more than {}",
                least.and_then(Result::ok).unwrap_or(desk.maximum_payout)
            );
            self.refuse(("desk", "maximum_payout"), Some("rate"), sentence);
        }
    }

    fn public(&mut self, public: &Public) {
        if let Some(url) = &public.url {
            let is_safe = self.sandbox || url.scheme() == "https";
            if !is_safe || !url.username().is_empty() || url.password().is_some() {
                let sentence = "is in the letters of customers: write https://, and no user or password";
                self.refuse(("public", "url"), None, sentence.to_owned());
            }
        }
        for (one, other, has) in [
            ("tls_certificate", "tls_key", (&public.tls_certificate, &public.tls_key)),
            ("tls_key", "tls_certificate", (&public.tls_key, &public.tls_certificate)),
        ] {
            if let (Some(_), None) = has {
                self.refuse(("public", one), None, format!("needs public.{other} beside it"));
            }
        }
        if public.behind_proxy && public.trusted_proxies.is_empty() {
            let sentence = "needs at least one address in public.trusted_proxies".to_owned();
            self.refuse(("public", "behind_proxy"), None, sentence);
        }
    }

    fn operator(&mut self, operator: &Operator, public: &Public) {
        if !operator.listen.ip().is_loopback() && !operator.allow_remote {
            let sentence = "is not a loopback address; use 127.0.0.1, or set operator.allow_remote = true when the \
                            network in between is private and trusted"
                .to_owned();
            self.refuse(("operator", "listen"), None, sentence);
        }
        if operator.listen == public.listen && operator.listen.port() != 0 {
            let sentence = "is the same as public.listen; give each a port of its own".to_owned();
            self.refuse(("operator", "listen"), None, sentence);
        }
    }

    fn bitcoin(&mut self, bitcoin: &Bitcoin) {
        if !self.sandbox {
            self.required("bitcoin", "url", bitcoin.url.is_some(), "url = \"http://127.0.0.1:8332\"");
            let addresses = bitcoin.xpub.is_some() || bitcoin.address_file.is_some();
            if !self.failed("bitcoin", "address_file") {
                let example = "xpub = \"xpub…\" (or bitcoin.address_file)";
                self.required("bitcoin", "xpub", addresses, example);
            }
        }
        if bitcoin.xpub.is_some() && bitcoin.address_file.is_some() {
            let sentence = "is given, and bitcoin.address_file too; addresses come from one of them".to_owned();
            self.refuse(("bitcoin", "xpub"), None, sentence);
        }
        if bitcoin.xpub.is_some_and(|xpub| xpub.network != bitcoin.network.into()) {
            let sentence = format!("is of another network than bitcoin.network = \"{}\"", bitcoin.network);
            self.refuse(("bitcoin", "xpub"), None, sentence);
        }
        if bitcoin.user.is_some() && bitcoin.password.is_none() && !self.failed("bitcoin", "password_file") {
            self.missing("bitcoin", "password", "bitcoin.user needs it", "password_file = \"bitcoin.password\"");
        }
        if bitcoin.password.is_some() && bitcoin.user.is_none() {
            self.missing("bitcoin", "user", "bitcoin.password needs it", "user = \"millrace\"");
        }
        if self.sandbox && bitcoin.network != bitcoin::Network::Regtest {
            let sentence = "must be \"regtest\" while the sandbox is on".to_owned();
            self.refuse(("bitcoin", "network"), None, sentence);
        }
    }

    fn skycoin(&mut self, skycoin: &Skycoin) {
        if !self.sandbox {
            self.required("skycoin", "url", skycoin.url.is_some(), "url = \"http://127.0.0.1:6420\"");
            self.required("skycoin", "wallet_id", skycoin.wallet_id.is_some(), "wallet_id = \"desk.wlt\"");
        }
    }

    fn c2cx(&mut self, c2cx: &C2cx, method: Method) {
        if !self.sandbox && (method == Method::Passthrough || c2cx.url.is_some()) {
            self.required("c2cx", "url", c2cx.url.is_some(), "url = \"https://api.c2cx.com/v1/\"");
            for (key, key_file, given) in
                [("key", "key_file", c2cx.key.is_some()), ("secret", "secret_file", c2cx.secret.is_some())]
            {
                if !self.failed("c2cx", key_file) {
                    self.required("c2cx", key, given, &format!("{key_file} = \"c2cx.{key}\""));
                }
            }
        }
        if c2cx.url.as_ref().is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
            let sentence = "sends orders unencrypted; begin it with https://".to_owned();
            self.refuse(("c2cx", "url"), None, sentence);
        }
    }

    fn notify(&mut self, notify: &Notify) {
        for (kind, broker) in notify.brokers() {
            let section = kind.section();
            if let Some(url) = &broker.url {
                let [plain, encrypted] = Broker::schemes(kind);
                if ![plain, encrypted].contains(&url.0.scheme()) {
                    let sentence = format!("begins with neither {plain}:// nor {encrypted}://");
                    self.refuse((section, "url"), None, sentence);
                }
                if !kind.is_compiled() {
                    let feature = kind.feature();
                    let sentence = format!(
                        "is given to a program that was built without {kind}: build it with the \
                                            feature {feature:?}, or take the section out"
                    );
                    self.refuse((section, "url"), None, sentence);
                }
            }
            if let Err(wrong) = broker.settings(kind) {
                self.refuse((section, wrong.key), None, wrong.sentence);
            }
            for (key, is_given) in [
                ("user", broker.user.is_some()),
                ("password", broker.password.is_some()),
                ("authority", broker.authority.is_some()),
            ] {
                if is_given && broker.url.is_none() && !self.failed(section, "url") {
                    self.refuse((section, key), None, format!("is given without {section}.url"));
                }
            }
            if broker.user.is_some() && broker.password.is_none() && !self.failed(section, "password_file") {
                let why = format!("{section}.user needs it");
                self.missing(section, "password", &why, "password_file = \"broker.password\"");
            }
        }
    }

    /// Each way to people is made once, to see whether it can be.
    fn people(&mut self, config: &Config) {
        let in_clear = if self.sandbox { InClear::Allowed } else { InClear::Refused };
        let People { mail, telegram, fcm } = &config.people;
        let made = [mail.teller(in_clear).map(drop), telegram.teller().map(drop), fcm.teller().map(drop)];
        for wrong in made.into_iter().filter_map(Result::err) {
            let section = wrong.kind.section();
            if !self.failed(section, wrong.key) {
                self.refuse((section, wrong.key), None, wrong.sentence);
            }
        }
    }

    fn relay(&mut self, relay: &Relay) {
        if let Schedule::Doubling { first_ms, cap_ms, .. } = relay.schedule
            && first_ms > cap_ms
        {
            self.refuse(("relay", "first_delay_s"), Some("max_delay_s"), "is longer than relay.max_delay_s".to_owned());
        }
        if relay.group.len() > NAME_BYTES_MAX {
            self.refuse(("relay", "group"), None, format!("is longer than {NAME_BYTES_MAX} bytes"));
        }
        if relay.brokers.len() > BROKERS_MAX {
            self.refuse(("relay", "brokers"), None, format!("has more than {BROKERS_MAX} in it; they know the others"));
        }
        self.relayed_from(relay);
    }

    fn relayed_from(&mut self, relay: &Relay) {
        if relay.brokers.is_empty() {
            let is_meant = !self.failed("relay", "brokers");
            let needing = [
                ("topic", relay.topic.is_some()),
                ("user", relay.user.is_some()),
                ("password", relay.password.is_some()),
            ];
            for (key, is_given) in needing {
                if is_given && is_meant {
                    self.refuse(("relay", key), None, "is given without relay.brokers".to_owned());
                }
            }
            return;
        }
        if !kafka::IS_COMPILED {
            let sentence =
                "is given to a program that was built without Kafka: build it with the feature \"kafka\", or \
                            take the section out"
                    .to_owned();
            self.refuse(("relay", "brokers"), None, sentence);
        }
        if relay.topic.is_none() && !self.failed("relay", "topic") {
            self.missing("relay", "topic", "it is what is read there", "topic = \"notifications-1\"");
        }
        if relay.user.is_some() && relay.password.is_none() && !self.failed("relay", "password_file") {
            self.missing("relay", "password", "relay.user needs it", "password_file = \"queue.password\"");
        }
        if relay.user.is_none() && relay.password.is_some() && !self.failed("relay", "user") {
            self.refuse(("relay", "password"), None, "is given without relay.user".to_owned());
        }
    }

    fn sandbox(&mut self) {
        if !self.sandbox {
            return;
        }
        let contradictions: Vec<_> = Sandbox::contradictions(self.layers).collect();
        for at in contradictions {
            let sentence = "is given although sandbox.enabled is true; remove one of the two".to_owned();
            self.refuse(at, None, sentence);
        }
    }

    /// Refuses a setting where it stands, or where `beside` stands when it has its default.
    fn refuse(&mut self, (section, key): (&'static str, &'static str), beside: Option<&str>, sentence: String) {
        let origin = match (self.layers.origin_of(section, key), beside) {
            (Origin::Default, Some(beside)) => self.layers.origin_of(section, beside),
            (origin, _) => origin,
        };
        self.layers.problem(origin, format!("{section}.{key}"), sentence);
    }

    fn required(&mut self, section: &'static str, key: &'static str, given: bool, example: &str) {
        if !given {
            self.missing(section, key, "the desk needs it outside the sandbox", example);
        }
    }

    fn missing(&mut self, section: &'static str, key: &'static str, why: &str, example: &str) {
        if self.failed(section, key) {
            return;
        }
        let variable = variable_name(section, key);
        let sentence = format!("is missing, {why}; write {example} in [{section}], or set {variable}");
        self.layers.problem(Origin::Default, format!("{section}.{key}"), sentence);
    }

    /// Whether this setting was refused already, so that it is not called missing on top.
    fn failed(&self, section: &str, key: &str) -> bool {
        let full = format!("{section}.{key}");
        self.layers.problems.iter().any(|problem| problem.key == full)
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}
