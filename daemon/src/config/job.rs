//! `[job]`: what `millrace notify` tells to whom, with a table `[job.sinks.NAME]` for each of its sinks.

use std::time::Duration;

use millrace_actors::delivery::sinks::destination::Kind;
use millrace_actors::job::store::Location;
use millrace_model::notification::Pattern;
use millrace_protocols::webhook::secret::{HmacSecret, PrivateKey};
use millrace_protocols::webhook::sign::Key;
use reqwest::Url;

use super::layers::{Layers, variable_name};
use super::problem::Origin;
use super::secret::Secret;
use super::section::Section;
use super::setting::{Setting, quoted};

/// More sinks than a run serves within its time are not meant.
pub const SINKS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 32;
/// How many secrets sign at once.
const SECRETS_MAX: usize = 4;

/// The `[job]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The operator API of the desk that is read; without it the desk of this configuration.
    pub source: Option<Url>,
    /// Its token, from `token` or `token_file`; without it that of this configuration's desk.
    pub token: Option<Secret>,
    /// Whether the token may go to another machine unencrypted.
    pub allow_unencrypted: bool,
    /// Where places are kept, from `database` or `database_file`: a password may be in it.
    pub database: Option<Secret>,
    /// How long a run may take (`deadline_s`).
    pub deadline: Duration,
    /// How many notifications a sink is sent in a run at most.
    pub max_messages: u64,
    /// Who is told.
    pub sinks: Vec<JobSink>,
}

/// A `[job.sinks.NAME]` table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSink {
    /// Its name.
    pub name: String,
    /// Where it leads, from `to` or `to_file`; whoever knows some addresses may write to them.
    pub to: Option<Secret>,
    /// What it is told.
    pub events: Vec<Pattern>,
    /// What signs, from `secret` or `secret_file`: several with spaces in between, the newest first.
    pub secret: Option<Secret>,
    /// What it is told when it is new.
    pub begin: Begin,
}

/// Where a new sink begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With what comes about from its first run on.
    Now,
    /// With the first notification there is.
    Beginning,
}

impl Setting for Begin {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "now" => Ok(Self::Now),
            "beginning" => Ok(Self::Beginning),
            _ => Err("expected \"now\" or \"beginning\"".to_owned()),
        }
    }
    fn show(&self) -> String {
        quoted(match self {
            Self::Now => "now",
            Self::Beginning => "beginning",
        })
    }
}

impl Setting for Pattern {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("{error}"))
    }
    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Job {
    pub(super) fn read(layers: &mut Layers<'_>) -> Self {
        let mut section = Section::new(layers, "job");
        let mut job = Self {
            source: section.optional("source"),
            token: section.secret("token", "token_file"),
            allow_unencrypted: section.value("allow_unencrypted", false),
            database: section.secret("database", "database_file"),
            deadline: section.seconds("deadline_s", 30..=3_600, 240),
            max_messages: section.within("max_messages", 1..=1_000_000, 10_000),
            sinks: Vec::new(),
        };
        for name in layers.tables_in(SINKS) {
            job.sinks.push(JobSink::read(layers, name));
        }
        job
    }

    /// What is wrong with what is given.
    pub(super) fn check(&self, layers: &mut Layers<'_>) {
        let is_far = |source: &Url| source.scheme() == "http" && !super::rules::is_loopback(source);
        if !self.allow_unencrypted && self.source.as_ref().is_some_and(is_far) {
            let sentence = "sends the operator's token unencrypted; begin it with https://, or set \
                            job.allow_unencrypted = true when the network in between is private and trusted";
            refuse(layers, ("job", "source"), sentence);
        }
        if let Some(Err(error)) = self.database.as_ref().map(|database| Location::parse(database.reveal())) {
            refuse(layers, ("job", given(layers, "job", "database", "database_file")), error.to_string());
        }
        if self.sinks.len() > SINKS_MAX {
            layers.problem(Origin::Default, SINKS.to_owned(), format!("has more than {SINKS_MAX} sinks"));
        }
        self.sinks.iter().for_each(|sink| sink.check(layers));
    }

    /// What a run cannot do without.
    pub(super) fn require(&self, layers: &mut Layers<'_>) {
        let mut missing = |key: &str, example: &str, variable: String| {
            let is_refused = layers.problems.iter().any(|problem| problem.key.starts_with(key));
            if !is_refused {
                let sentence = format!("is missing; write {example}, or set {variable}");
                layers.problem(Origin::Default, key.to_owned(), sentence);
            }
        };
        if self.database.is_none() {
            let example = "database = \"sqlite:/var/lib/millrace/job.db\" in [job]";
            missing("job.database", example, variable_name("job", "database"));
        }
        if self.sinks.is_empty() {
            let example = "to = \"https://…\" in a table [job.sinks.NAME] for each";
            missing(SINKS, example, variable_name("job.sinks.name", "to"));
        }
    }
}

/// The table of tables.
const SINKS: &str = "job.sinks";

impl JobSink {
    fn read(layers: &mut Layers<'_>, name: String) -> Self {
        let mut section = Section::new(layers, format!("{SINKS}.{name}"));
        Self {
            to: section.secret("to", "to_file"),
            events: section.value("events", vec![Pattern::All]),
            secret: section.secret("secret", "secret_file"),
            begin: section.value("begin", Begin::Now),
            name,
        }
    }

    /// The name of its table.
    pub fn section(&self) -> String {
        format!("{SINKS}.{}", self.name)
    }

    /// What signs; nothing when one is none.
    pub fn keys(&self) -> Option<Vec<Key>> {
        let text = self.secret.as_ref().map_or("", Secret::reveal);
        let keys: Option<Vec<_>> = text.split_whitespace().map(key).collect();
        keys.filter(|keys| keys.len() <= SECRETS_MAX)
    }

    fn check(&self, layers: &mut Layers<'_>) {
        let section = self.section();
        if !is_name(&self.name) {
            let sentence = format!(
                "is no name: 1 to {NAME_BYTES_MAX} small letters, digits and single underscores, beginning with a letter"
            );
            return layers.problem(Origin::Default, section, sentence);
        }
        let is_refused = |layers: &Layers<'_>, key: &str| {
            layers.problems.iter().any(|problem| problem.key.starts_with(&format!("{section}.{key}")))
        };
        let Some(to) = &self.to else {
            if !is_refused(layers, "to") {
                let variable = variable_name(&section, "to");
                let sentence = format!("is missing; write to = \"https://…\" in [{section}], or set {variable}");
                layers.problem(Origin::Default, format!("{section}.to"), sentence);
            }
            return;
        };
        let is_of_people = Kind::of(to.reveal()).is_some_and(Kind::is_of_people);
        let sentence = match &self.secret {
            None if is_of_people || is_refused(layers, "secret") => return,
            None => {
                "is missing: what is sent is signed with it; write secret_file = \"…\" (whsec_… or whsk_…)".to_owned()
            }
            Some(_) if is_of_people => "is given, and a person verifies nothing; leave it out".to_owned(),
            Some(_) if self.keys().is_none_or(|keys| keys.is_empty()) => {
                format!("is no secret: write whsec_… or whsk_…, at most {SECRETS_MAX} with spaces in between")
            }
            Some(_) => return,
        };
        let key = given(layers, &section, "secret", "secret_file");
        refuse(layers, (&section, key), sentence);
    }
}

fn key(text: &str) -> Option<Key> {
    let symmetric = || text.parse::<HmacSecret>().map(Key::Symmetric).ok();
    symmetric().or_else(|| text.parse::<PrivateKey>().map(Key::Asymmetric).ok())
}

/// Fit for a table and for the name of a variable.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits) && !name.contains("__") && !name.ends_with('_')
}

/// Which of the two ways to say it was taken.
fn given(layers: &Layers<'_>, section: &str, key: &'static str, key_file: &'static str) -> &'static str {
    if layers.find(section, key).is_none() && layers.find(section, key_file).is_some() { key_file } else { key }
}

fn refuse(layers: &mut Layers<'_>, (section, key): (&str, &str), sentence: impl Into<String>) {
    layers.problem(layers.origin_of(section, key), format!("{section}.{key}"), sentence);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Purpose, parse_for};
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn read(text: &str, variables: &[(&str, &str)]) -> Result<super::super::Config, String> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        let read = parse_for(Purpose::Job, Path::new("job.toml"), text, variables).map(|loaded| loaded.config);
        read.map_err(|error| {
            error.problems.iter().map(|problem| format!("{} {}\n", problem.key, problem.sentence)).collect()
        })
    }

    #[test]
    fn a_job_needs_no_file_and_no_desk() {
        let variables = [
            ("MILLRACE_JOB__SOURCE", "https://desk.example.org"),
            ("MILLRACE_JOB__TOKEN", "canary"),
            ("MILLRACE_JOB__DATABASE", "sqlite:/tmp/job.db"),
            ("MILLRACE_JOB__SINKS__OPS__TO", "https://ops.example.org/told"),
            ("MILLRACE_JOB__SINKS__OPS__SECRET", SECRET),
            ("MILLRACE_JOB__SINKS__OPS__EVENTS", "Deposit.*,Desk.Halted"),
            ("MILLRACE_JOB__SINKS__PHONE_2__TO", "mailto:a@example.org"),
        ];
        let config = read("", &variables).unwrap();
        assert!(!config.sandbox.enabled && !format!("{config:?}").contains("canary"));
        let names: Vec<_> = config.job.sinks.iter().map(|sink| sink.name.as_str()).collect();
        assert_eq!(names, ["ops", "phone_2"]);
        assert_eq!((config.job.sinks[0].events.len(), config.job.sinks[1].events.as_slice()), (2, &[Pattern::All][..]));
        assert_eq!(config.job.sinks[0].keys().map(|keys| keys.len()), Some(1));
    }

    #[test]
    fn a_variable_goes_over_a_table_of_the_file() {
        let text = format!(
            "[job]\ndatabase = \"sqlite:a.db\"\n[job.sinks.ops]\nto = \"https://a.org/\"\nsecret = \"{SECRET}\"\nbegin = \"now\""
        );
        let config = read(&text, &[("MILLRACE_JOB__SINKS__OPS__BEGIN", "beginning")]).unwrap();
        assert_eq!(config.job.sinks[0].begin, Begin::Beginning);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_setting_and_without_its_secret() {
        let sink = |rest: &str| format!("[job]\ndatabase = \"sqlite:a.db\"\n[job.sinks.{rest}");
        let cases = [
            (String::new(), "job.database is missing"),
            (String::new(), "job.sinks is missing"),
            ("[job]\ndatabase = \"mysql://canary@h/x\"".to_owned(), "job.database is no database of the job"),
            (
                "[job]\nsource = \"http://desk.example.org\"".to_owned(),
                "job.source sends the operator's token unencrypted",
            ),
            ("[job]\ndeadline_s = 5".to_owned(), "job.deadline_s must be from 30"),
            (sink("ops]\nsecret = \"canary\""), "job.sinks.ops.to is missing"),
            (sink("ops]\nto = \"https://a.org/\""), "job.sinks.ops.secret is missing"),
            (sink("ops]\nto = \"https://a.org/\"\nsecret = \"canary\""), "job.sinks.ops.secret is no secret"),
            (sink("ops]\nto = \"mailto:a@b.org\"\nsecret = \"canary\""), "job.sinks.ops.secret is given, and a person"),
            (sink("Ops]\nto = \"mailto:a@b.org\""), "job.sinks.Ops is no name"),
            (sink("a__b]\nto = \"mailto:a@b.org\""), "job.sinks.a__b is no name"),
            (sink("ops]\nto = \"mailto:a@b.org\"\nevents = [\"Deposit\"]"), "job.sinks.ops.events"),
            (sink("ops]\nto = \"mailto:a@b.org\"\nurl = \"x\""), "job.sinks.ops.url no such setting"),
        ];
        for (text, expected) in cases {
            let problems = read(&text, &[]).unwrap_err();
            assert!(problems.contains(expected) && !problems.contains("canary"), "{text}: {problems}");
        }
    }
}
