//! Where the job's database is: `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/NAME`.

use std::fmt;
use std::path::PathBuf;

/// Where it is. Its text is never shown: a password is in it.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// Why it is no database of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Of another kind.
    #[error("is no database of the job: write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME")]
    Scheme,
    /// Nothing behind the scheme.
    #[error("names no file: write sqlite:PATH")]
    NoFile,
    /// In memory everything would be told again by each run.
    #[error("is in memory, where nothing is remembered until the next run")]
    InMemory,
    /// Not an address of PostgreSQL.
    #[error("is no address of PostgreSQL: write postgres://USER:PASSWORD@HOST/NAME")]
    Address,
    /// A program without it.
    #[error("takes a program that was built with the feature \"postgres\"")]
    NotCompiled,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => f.write_str("Postgres"),
        }
    }
}

impl Location {
    /// Reads one. Connects to nobody.
    pub fn parse(text: &str) -> Result<Self, LocationError> {
        let (scheme, rest) = text.split_once(':').ok_or(LocationError::Scheme)?;
        match scheme {
            "sqlite" => file(rest),
            "postgres" | "postgresql" => server(text, rest),
            _ => Err(LocationError::Scheme),
        }
    }
}

/// `sqlite:job.db` and `sqlite:///var/lib/job.db`, as they are usually written.
fn file(rest: &str) -> Result<Location, LocationError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    match path {
        "" => Err(LocationError::NoFile),
        ":memory:" => Err(LocationError::InMemory),
        path if path.contains('?') => Err(LocationError::Scheme),
        path => Ok(Location::Sqlite(path.into())),
    }
}

#[cfg(feature = "postgres")]
fn server(text: &str, rest: &str) -> Result<Location, LocationError> {
    let is_read = rest.starts_with("//") && super::database::options(text).is_ok();
    if is_read { Ok(Location::Postgres(text.to_owned())) } else { Err(LocationError::Address) }
}

#[cfg(not(feature = "postgres"))]
fn server(_text: &str, _rest: &str) -> Result<Location, LocationError> {
    Err(LocationError::NotCompiled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_with_slashes_or_without() {
        for (text, path) in [
            ("sqlite:job.db", "job.db"),
            ("sqlite://job.db", "job.db"),
            ("sqlite:///var/job.db", "/var/job.db"),
            ("sqlite:/var/job.db", "/var/job.db"),
        ] {
            assert_eq!(Location::parse(text), Ok(Location::Sqlite(path.into())), "{text}");
        }
    }

    #[test]
    fn what_is_no_database_of_the_job_is_refused() {
        for (text, error) in [
            ("job.db", LocationError::Scheme),
            ("mysql://host/name", LocationError::Scheme),
            ("sqlite:", LocationError::NoFile),
            ("sqlite::memory:", LocationError::InMemory),
            ("sqlite:job.db?mode=ro", LocationError::Scheme),
        ] {
            assert_eq!(Location::parse(text), Err(error), "{text}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_is_never_shown_with_its_password() {
        let location = Location::parse("postgres://desk:canary@db.example.org/desk").unwrap();
        assert_eq!(format!("{location:?}"), "Postgres");
        assert_eq!(Location::parse("postgres:desk"), Err(LocationError::Address));
    }
}
