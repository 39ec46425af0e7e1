//! The layers a setting can come from: environment over file over default.
//!
//! Nothing stops at the first mistake: problems are collected, and the setting in question takes its default so that
//! the rest can be read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{ConfigError, Origin, Problem};
use super::ton_events::{self, Ignored};
use crate::escape::excerpt;

/// What every variable of ours begins with.
pub const PREFIX: &str = "MILLRACE_";
/// The short name of `desk.log`, because it is the one people change for a single run.
pub const LOG_VARIABLE: &str = "MILLRACE_LOG";

/// How much is repeated of a name that no setting has.
const NAME_CHARS_MAX: usize = 100;

/// A setting's value before it is understood.
pub enum Raw<'l> {
    /// From the file.
    Toml(&'l DeValue<'l>),
    /// From a variable.
    Text(&'l str),
}

/// One setting as it took effect, for `check-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The TOML table.
    pub section: Cow<'static, str>,
    /// The name in it.
    pub key: &'static str,
    /// The value as TOML, secrets replaced; `None` when it is not set.
    pub shown: Option<String>,
    /// Which layer it comes from.
    pub origin: Origin,
}

/// The file and the variables, and what was learned while reading them.
pub struct Layers<'i> {
    path: PathBuf,
    text: &'i str,
    file: DeTable<'i>,
    variables: BTreeMap<String, String>,
    /// What is wrong so far.
    pub problems: Vec<Problem>,
    /// What was read so far, in the order of reading.
    pub entries: Vec<Entry>,
    /// Variables that an operator of ton.events may believe to mean something.
    pub ignored: Vec<Ignored>,
}

impl<'i> Layers<'i> {
    /// Parses the file's text and picks our variables out of the environment.
    pub fn new(path: &Path, text: &'i str, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let (file, errors) = DeTable::parse_recoverable(text);
        let mut layers = Self {
            path: path.to_owned(),
            text,
            file: file.into_inner(),
            variables: BTreeMap::new(),
            problems: Vec::new(),
            entries: Vec::new(),
            ignored: Vec::new(),
        };
        for error in errors {
            let origin = layers.at(error.span().map_or(0, |span| span.start));
            layers.problems.push(Problem { origin, key: String::new(), sentence: error.message().to_owned() });
        }
        layers.take_variables(environment);
        layers
    }

    fn take_variables(&mut self, environment: impl IntoIterator<Item = (OsString, OsString)>) {
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            self.ignored.extend(ton_events::without_effect(&name));
            if !name.starts_with(PREFIX) && !ton_events::is_alias(&name) {
                continue;
            }
            match value.into_string() {
                // Whoever composes containers passes on what is not set as nothing.
                Ok(value) if value.is_empty() && ton_events::is_alias(&name) => {}
                Ok(value) => {
                    self.variables.insert(name, value);
                }
                Err(_) => self.problem(Origin::Variable(name), String::new(), "is not UTF-8 text"),
            }
        }
    }

    /// Notes a problem.
    pub fn problem(&mut self, origin: Origin, key: String, sentence: impl Into<String>) {
        self.problems.push(Problem { origin, key, sentence: sentence.into() });
    }

    /// The folder that relative paths of the file are relative to.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    /// Whether any layer sets this.
    pub fn is_set(&self, section: &'static str, key: &'static str) -> bool {
        self.find(section, key).is_some()
    }

    /// The value of the highest layer that sets this.
    pub fn find(&self, section: &str, key: &str) -> Option<(Raw<'_>, Origin)> {
        let name = variable_name(section, key);
        let variable = self.variables.get_key_value(&name);
        let variable = variable.or_else(|| match (section, key) {
            ("desk", "log") => self.variables.get_key_value(LOG_VARIABLE),
            _ => self.variables.get_key_value(ton_events::alias(section, key)?),
        });
        if let Some((name, text)) = variable {
            return Some((Raw::Text(text), Origin::Variable(name.clone())));
        }
        let (key, value) = self.table(section)?.get_key_value(key)?;
        Some((Raw::Toml(value.get_ref()), self.at(key.span().start)))
    }

    /// The names of the tables inside a table, in the file and among the variables, in small letters; each once.
    pub fn tables_in(&self, section: &str) -> BTreeSet<String> {
        let of_file = self.table(section).into_iter().flat_map(|table| table.iter());
        let of_file =
            of_file.filter(|(_, value)| value.get_ref().is_table()).map(|(name, _)| name.get_ref().to_string());
        let prefix = variable_name(section, "");
        let names = self.variables.keys().filter_map(|name| name.strip_prefix(&prefix)?.split_once("__"));
        of_file.chain(names.map(|(table, _)| table.to_ascii_lowercase())).collect()
    }

    /// A table of the file; one inside another has a dot in its name.
    fn table(&self, section: &str) -> Option<&DeTable<'i>> {
        let mut names = section.split('.');
        let outermost = self.file.get(names.next()?)?.get_ref().as_table()?;
        names.try_fold(outermost, |table, name| table.get(name)?.get_ref().as_table())
    }

    /// Where a setting that was read comes from.
    pub fn origin_of(&self, section: &str, key: &str) -> Origin {
        self.find(section, key).map_or(Origin::Default, |(_, origin)| origin)
    }

    /// Refuses every section, key and variable that nobody asked for, and gives the problems if there are any.
    pub fn finish(mut self) -> Result<Vec<Entry>, ConfigError> {
        let unknown: Vec<Problem> = self.unknown_in_file().into_iter().chain(self.unknown_variables()).collect();
        self.problems.extend(unknown);
        // As a reader meets them: the file from top to bottom, then variables, then what is missing.
        self.problems.sort_by_key(|problem| match problem.origin {
            Origin::File { line, .. } => (0, line),
            Origin::Variable(_) => (1, 0),
            Origin::Default => (2, 0),
        });
        if self.problems.is_empty() { Ok(self.entries) } else { Err(ConfigError { problems: self.problems }) }
    }

    fn unknown_in_file(&self) -> Vec<Problem> {
        let mut unknown = Vec::new();
        for (name, section) in self.file.iter() {
            match section.get_ref().as_table().filter(|_| self.is_section(name.get_ref())) {
                Some(table) => self.unknown_in_table(name.get_ref(), table, &mut unknown),
                None => unknown.push(self.unknown_section(name, name.get_ref())),
            }
        }
        unknown
    }

    fn unknown_in_table(&self, section: &str, table: &DeTable<'_>, unknown: &mut Vec<Problem>) {
        let keys = self.keys_of(section);
        for (key, value) in table.iter().filter(|(key, _)| !keys.contains(key.get_ref().as_ref())) {
            let full = format!("{section}.{}", key.get_ref());
            match value.get_ref().as_table() {
                Some(table) if self.is_section(&full) => self.unknown_in_table(&full, table, unknown),
                Some(_) | None if keys.is_empty() => unknown.push(self.unknown_section(key, &full)),
                Some(_) | None => unknown.push(Problem {
                    origin: self.at(key.span().start),
                    key: excerpt(&full, NAME_CHARS_MAX),
                    sentence: format!("no such setting; [{section}] has {}", join(&keys)),
                }),
            }
        }
    }

    /// Whether settings stand in a table of this name, or in one inside it.
    fn is_section(&self, name: &str) -> bool {
        let is_it = |rest: &str| rest.is_empty() || rest.starts_with('.');
        self.entries.iter().any(|entry| entry.section.strip_prefix(name).is_some_and(is_it))
    }

    fn unknown_section(&self, name: &Spanned<Cow<'_, str>>, full: &str) -> Problem {
        let sections: BTreeSet<&str> = self.entries.iter().map(|entry| entry.section.as_ref()).collect();
        Problem {
            origin: self.at(name.span().start),
            key: excerpt(full, NAME_CHARS_MAX),
            sentence: format!("no such section; every setting stands in one of the tables {}", join(&sections)),
        }
    }

    fn unknown_variables(&self) -> Vec<Problem> {
        let known = |name: &str| self.entries.iter().any(|entry| variable_name(&entry.section, entry.key) == name);
        let mut unknown = Vec::new();
        for name in self.variables.keys() {
            let near = self.entries.iter().find(|entry| {
                variable_name(&entry.section, entry.key).replace("__", "_") == *name && *name != LOG_VARIABLE
            });
            let sentence = match near {
                _ if known(name) => continue,
                Some(entry) => format!("write {} (two underscores)", variable_name(&entry.section, entry.key)),
                // Without two underscores it may well be somebody else's, such as an orchestrator's service variable.
                None if !name.contains("__") => continue,
                None => "no such setting; a variable is MILLRACE_SECTION__KEY, see millrace.example.toml".to_owned(),
            };
            let origin = Origin::Variable(excerpt(name, NAME_CHARS_MAX));
            unknown.push(Problem { origin, key: String::new(), sentence });
        }
        unknown
    }

    fn keys_of(&self, section: &str) -> BTreeSet<&'static str> {
        self.entries.iter().filter(|entry| entry.section == section).map(|entry| entry.key).collect()
    }

    fn at(&self, offset: usize) -> Origin {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        Origin::File { path: self.path.clone(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    }
}

/// `MILLRACE_SECTION__KEY`; a table inside another has two underscores before it, too.
pub fn variable_name(section: &str, key: &str) -> String {
    format!("{PREFIX}{}__{key}", section.replace('.', "__")).to_ascii_uppercase()
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
