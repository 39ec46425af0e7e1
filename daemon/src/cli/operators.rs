//! `millrace operators`: who may log in to the console.

use std::fs;
use std::io::{BufRead, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use crate::config::Config;
use crate::web::session::{ACCOUNTS, Roster};

pub(super) const NOTES: &str = "\
Accounts stand in operators.json in the data folder, passwords as argon2id hashes alone. The desk may run or not: one that
runs sees the change at its next request, and sessions of an account end with its password. Changes are made as the user who
owns the data folder: what another one writes the desk could not read.

A password is made and printed, unless --stdin says that it comes as one line.

Examples:
  millrace operators add alice
  millrace operators password operator --stdin < password.txt
  millrace operators forget-code alice          she has lost her authenticator app";

/// A password has at most 256 characters of at most 4 bytes.
const LINE_BYTES_MAX: u64 = 1_100;

/// What to do with them.
#[derive(Debug, Subcommand)]
pub enum Operators {
    /// List the accounts.
    List,
    /// Add an account.
    Add(WithPassword),
    /// Give an account another password.
    Password(WithPassword),
    /// Ask an account for no code any more.
    ForgetCode(Named),
    /// Remove an account.
    Remove(Named),
}

/// An account.
#[derive(Debug, Args)]
pub struct Named {
    /// Its name: a-z, 0-9, '.', '_' and '-'.
    name: String,
}

/// An account and where its password comes from.
#[derive(Debug, Args)]
pub struct WithPassword {
    /// Its name: a-z, 0-9, '.', '_' and '-'.
    name: String,
    /// Read the password, one line, instead of making one.
    #[arg(long)]
    stdin: bool,
}

impl Operators {
    /// Does it.
    pub fn run(
        &self,
        config: &Config,
        now: DateTime<Utc>,
        input: impl BufRead,
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let roster = Roster::of(&config.desk.data_dir);
        if !matches!(self, Self::List) {
            refuse_others(&config.desk.data_dir, rustix::process::geteuid().as_raw())?;
        }
        match self {
            Self::List => list(&roster, out),
            Self::Add(wanted) => wanted.with(input, out, |name, password| Ok(roster.add(name, password, now)?)),
            Self::Password(wanted) => {
                wanted.with(input, out, |name, password| Ok(roster.set_password(name, password, now)?))
            }
            Self::ForgetCode(Named { name }) => match roster.forget_code(name)? {
                true => Ok(writeln!(out, "{name} logs in with the password alone.")?),
                false => Ok(writeln!(out, "{name} was asked for no code.")?),
            },
            Self::Remove(Named { name }) => {
                roster.remove(name)?;
                Ok(writeln!(out, "{name} is removed.")?)
            }
        }
    }
}

/// The desk reads what its own user wrote, and nothing that is root's; so nobody else changes the accounts.
fn refuse_others(folder: &Path, user: u32) -> anyhow::Result<()> {
    let Some(owner) = owner_of(folder) else { return Ok(()) };
    // A desk that is root reads what anybody wrote.
    if owner == user || owner == 0 {
        return Ok(());
    }
    let folder = folder.display();
    bail!(
        "{folder} belongs to user {owner}, and this is user {user}, whose files the desk could not read: nothing was \
         changed. Run it as the owner: sudo -u '#{owner}' millrace operators ..."
    );
}

/// Whose the data folder is. Root makes some (volumes of containers) for a desk that writes by its group: there it is
/// the user who wrote the accounts. `None` where there is no folder, of which a better sentence tells.
fn owner_of(folder: &Path) -> Option<u32> {
    match fs::metadata(folder).ok()?.uid() {
        0 => Some(fs::metadata(folder.join(ACCOUNTS)).map_or(0, |file| file.uid())),
        owner => Some(owner),
    }
}

impl WithPassword {
    /// A password that was made is printed once it is set.
    fn with(
        &self,
        input: impl BufRead,
        out: &mut impl Write,
        set: impl FnOnce(&str, &str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.stdin {
            set(&self.name, &line(input)?)?;
            return Ok(writeln!(out, "The password of {} is set.", self.name)?);
        }
        let made = Roster::made_password();
        set(&self.name, &made)?;
        Ok(writeln!(out, "{made}")?)
    }
}

fn line(input: impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input.take(LINE_BYTES_MAX).read_line(&mut line)?;
    match line.trim_end_matches(['\n', '\r']) {
        "" => bail!("no password was given"),
        password => Ok(password.to_owned()),
    }
}

fn list(roster: &Roster, out: &mut impl Write) -> anyhow::Result<()> {
    for operator in roster.list()? {
        let code = match operator.recovery_codes {
            Some(left) => format!("code, {left} recovery codes left"),
            None => "password alone".to_owned(),
        };
        let (made, password) = (operator.made_at.format("%Y-%m-%d"), operator.password_at.format("%Y-%m-%d"));
        writeln!(out, "{:<32}  since {made}  password of {password}  {code}", operator.name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::config::parse;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        operators: Operators,
    }

    fn run(folder: &Path, line: &[&str], input: &str) -> anyhow::Result<String> {
        let variable = ("MILLRACE_DESK__DATA_DIR".into(), folder.as_os_str().to_owned());
        let config = parse(Path::new(""), "", [variable])?.config;
        let line = Line::try_parse_from(std::iter::once(&"operators").chain(line))?;
        let mut out = Vec::new();
        line.operators.run(&config, DateTime::UNIX_EPOCH, input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn only_the_owner_of_the_data_folder_changes_accounts() {
        let folder = tempfile::tempdir().unwrap();
        let me = rustix::process::geteuid();
        refuse_others(folder.path(), me.as_raw()).unwrap();
        refuse_others(Path::new("/nowhere/at/all"), me.as_raw()).unwrap();
        // Root may give the folder away; for anybody else it is his own already.
        let owner = if me.is_root() { 4_711 } else { me.as_raw() };
        std::os::unix::fs::chown(folder.path(), Some(owner), None).unwrap();
        refuse_others(folder.path(), owner).unwrap();
        for other in [0, owner + 1] {
            let why = refuse_others(folder.path(), other).unwrap_err().to_string();
            assert!(why.contains(&format!("sudo -u '#{owner}'")) && why.contains("nothing was changed"), "{why}");
        }
        assert_eq!(run(folder.path(), &["add", "alice"], "").is_err(), me.is_root());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count() == 0, me.is_root(), "not even a lock");
    }

    #[test]
    fn accounts_come_and_go_by_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        assert!(run(folder.path(), &["list"], "").is_err(), "there is no file");
        let made = run(folder.path(), &["add", "alice"], "").unwrap();
        assert_eq!(made.trim().len(), 29);
        run(folder.path(), &["add", "bob", "--stdin"], "a sentence of mine\n").unwrap();
        let listed = run(folder.path(), &["list"], "").unwrap();
        assert!(listed.lines().count() == 2 && listed.contains("since 1970-01-01"), "{listed}");
        assert_ne!(run(folder.path(), &["password", "alice"], "").unwrap(), made);
        assert!(run(folder.path(), &["forget-code", "bob"], "").unwrap().contains("no code"));
        run(folder.path(), &["remove", "alice"], "").unwrap();
        for (line, input, why) in [
            (["remove", "bob"].as_slice(), "", "the only operator"),
            (&["add", "Bob"], "", "a name is"),
            (&["add", "bob"], "", "already"),
            (&["password", "nobody"], "", "there is no operator"),
            (&["password", "bob", "--stdin"], "short\n", "at least 15"),
            (&["password", "bob", "--stdin"], "", "no password"),
        ] {
            let error = run(folder.path(), line, input).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
