//! One TOML table being read, setting by setting.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::layers::{Entry, Layers, Raw};
use super::problem::Origin;
use super::secret::Secret;
use super::setting::{Setting, quoted};
use crate::bounded_file::read_text;

/// A secret's file may not be larger than this.
const SECRET_FILE_BYTES_MAX: u64 = 4096;

/// A reader of one table. Every method notes what it read, so that unknown keys can be refused afterwards.
pub struct Section<'l, 'i> {
    layers: &'l mut Layers<'i>,
    name: Cow<'static, str>,
}

impl<'l, 'i> Section<'l, 'i> {
    /// Begins to read a table.
    pub fn new(layers: &'l mut Layers<'i>, name: impl Into<Cow<'static, str>>) -> Self {
        Self { layers, name: name.into() }
    }

    /// A setting without a default.
    pub fn optional<T: Setting>(&mut self, key: &'static str) -> Option<T> {
        self.optional_or(key, None)
    }

    /// A setting that may be absent, and what it then is.
    pub fn optional_or<T: Setting>(&mut self, key: &'static str, default: Option<T>) -> Option<T> {
        let (value, origin) = self.read(key);
        let value = value.or(default);
        self.note(key, value.as_ref().map(T::show), origin);
        value
    }

    /// A setting with a default.
    pub fn value<T: Setting>(&mut self, key: &'static str, default: T) -> T {
        let (value, origin) = self.read(key);
        let value = value.unwrap_or(default);
        self.note(key, Some(value.show()), origin);
        value
    }

    /// A setting that must lie within a range.
    pub fn within<T: Setting + PartialOrd + Display>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<T>,
        default: T,
    ) -> T {
        let (value, origin) = self.read::<T>(key);
        let refused = value.as_ref().is_some_and(|value| !range.contains(value));
        if refused {
            let sentence = format!("must be from {} to {}", range.start(), range.end());
            self.layers.problem(origin.clone(), self.full(key), sentence);
        }
        let value = value.filter(|_| !refused).unwrap_or(default);
        self.note(key, Some(value.show()), origin);
        value
    }

    /// A number of milliseconds.
    pub fn millis(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> Duration {
        Duration::from_millis(self.within(key, range, default))
    }

    /// A number of seconds.
    pub fn seconds(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> Duration {
        Duration::from_secs(self.within(key, range, default))
    }

    /// A path. One that the file gives is relative to the file's folder, any other to the working directory.
    pub fn path(&mut self, key: &'static str, default: Option<PathBuf>) -> Option<PathBuf> {
        let (value, origin) = self.read::<String>(key);
        let path = value.map(|text| match origin {
            Origin::File { .. } => self.layers.folder().join(text),
            Origin::Default | Origin::Variable(_) => PathBuf::from(text),
        });
        let path = path.or(default);
        self.note(key, path.as_deref().map(|path| quoted(&path.display().to_string())), origin);
        path
    }

    /// A secret, given as `key` or as the path of a file that holds it, `key_file`.
    pub fn secret(&mut self, key: &'static str, key_file: &'static str) -> Option<Secret> {
        let (text, origin) = self.read::<String>(key);
        let file = self.path(key_file, None);
        let file_origin = self.layers.origin_of(&self.name, key_file);
        if text.is_some() && file.is_some() && same_layer(&origin, &file_origin) {
            let sentence = format!("is given, and {key_file} too; leave one of them out");
            self.layers.problem(origin.clone(), self.full(key), sentence);
        }
        let file_wins = text.is_none() || matches!(file_origin, Origin::Variable(_));
        let (secret, origin) = match file.filter(|_| file_wins) {
            Some(path) => (self.secret_from(&path, key_file, &file_origin), file_origin),
            None => (text.map(Secret::new), origin),
        };
        self.note(key, secret.as_ref().map(|_| quoted("[secret]")), origin);
        secret
    }

    fn secret_from(&mut self, path: &Path, key_file: &'static str, origin: &Origin) -> Option<Secret> {
        let sentence = match read_text(path, SECRET_FILE_BYTES_MAX) {
            Ok(text) if !text.trim().is_empty() => return Some(Secret::new(text.trim())),
            Ok(_) => format!("{} is empty", path.display()),
            Err(e) => format!("{} cannot be read: {e}", path.display()),
        };
        self.layers.problem(origin.clone(), self.full(key_file), sentence);
        None
    }

    fn read<T: Setting>(&mut self, key: &'static str) -> (Option<T>, Origin) {
        let Some((raw, origin)) = self.layers.find(&self.name, key) else {
            return (None, Origin::Default);
        };
        let read = match raw {
            Raw::Toml(value) => T::from_toml(value),
            Raw::Text(text) => T::from_text(text),
        };
        match read {
            Ok(value) => (Some(value), origin),
            Err(sentence) => {
                self.layers.problem(origin.clone(), self.full(key), sentence);
                (None, origin)
            }
        }
    }

    fn note(&mut self, key: &'static str, shown: Option<String>, origin: Origin) {
        self.layers.entries.push(Entry { section: self.name.clone(), key, shown, origin });
    }

    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }
}

fn same_layer(one: &Origin, other: &Origin) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
