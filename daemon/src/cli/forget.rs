//! `millrace forget`.

use std::io::Write;

use anyhow::bail;
use chrono::{DateTime, Utc};
use clap::Args;
use millrace_actors::customer_keys::{CustomerKeys, Forgot, Subject};

use super::exit::Usage;
use crate::config::Config;

pub(super) const NOTES: &str = "\
What operators say of a customer's deposits is in the log as ciphertext under a key of his own. The key is destroyed: nobody
can read these words any more, in the log, its backups and what was exported of it. The desk may run or not.

What stays, since the books are made of it: coin addresses, amounts, transactions and times. Notes from before notes were
sealed are in the log as they were typed, and stay too.

Copies of the keys' file (desk.keys_file) that were made before still have the key: throw them away.

Example:
  millrace forget 2GgFvqoyk9RjwVzj8tqfcXVXB4orBwoc9qv --yes";

/// Whom to forget.
#[derive(Debug, Args)]
pub struct Forget {
    /// The customer's Skycoin address; or a deposit's id, where the deposit is on an address that belongs to nobody.
    customer: Subject,
    /// Do it. There is no way back.
    #[arg(long)]
    yes: bool,
}

impl Forget {
    /// Does it, or says what it would do.
    pub fn run(&self, config: &Config, now: DateTime<Utc>, out: &mut impl Write) -> anyhow::Result<()> {
        let (keys, whom) = (CustomerKeys::at(&config.desk.keys_file), &self.customer);
        if !self.yes {
            let what = format!(
                "the key of {whom} in {} would be destroyed, and what operators said of the customer could never be read \
                 again; coin addresses, amounts and transactions stay. Nothing was done; say --yes",
                keys.path().display()
            );
            return Err(Usage(what).into());
        }
        match keys.forget(whom, now)? {
            Forgot::Now(_) => {
                writeln!(out, "{whom} is forgotten: the key is destroyed, and what was sealed with it is unreadable.")?;
                writeln!(out, "Coin addresses, amounts and transactions stay.")?;
                writeln!(out, "Throw older copies of {} away; they still have the key.", keys.path().display())?;
                Ok(())
            }
            Forgot::Before(at) => {
                let at = at.format("%Y-%m-%dT%H:%M:%SZ");
                Ok(writeln!(out, "{whom} was forgotten at {at}, and nothing was sealed for the customer since.")?)
            }
            Forgot::NoFile => {
                bail!("there is no {}; if there ever was one, put its backup there", keys.path().display())
            }
            Forgot::Nothing => {
                bail!("nothing was ever sealed for {whom}; there is no key in {}", keys.path().display())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use millrace_actors::customer_keys::Opened;

    use super::*;
    use crate::cli::exit::Exit;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        forget: Forget,
    }

    fn forget(folder: &Path, arguments: &str) -> anyhow::Result<String> {
        let text = format!("[desk]\ndata_dir = {:?}", folder.display().to_string());
        let config = crate::config::parse(Path::new(""), &text, []).unwrap().config;
        let forget = Line::parse_from(format!("forget {arguments}").split_whitespace()).forget;
        let mut out = Vec::new();
        forget.run(&config, DateTime::UNIX_EPOCH, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn it_is_done_when_it_is_meant_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let keys = CustomerKeys::at(folder.path().join("keys.db"));
        let unknown = forget(folder.path(), "alice --yes").unwrap_err().to_string();
        assert!(unknown.ends_with("keys.db; if there ever was one, put its backup there"), "{unknown}");
        keys.seal(&"bob".parse().unwrap(), "desk", "small").unwrap();
        let nobody = forget(folder.path(), "alice --yes").unwrap_err().to_string();
        assert!(nobody.starts_with("nothing was ever sealed for alice; there is no key in "), "{nobody}");
        let sealed = keys.seal(&"alice".parse().unwrap(), "desk", "tall").unwrap();
        let unsure = forget(folder.path(), "alice").unwrap_err();
        assert!(unsure.to_string().ends_with("Nothing was done; say --yes"), "{unsure}");
        assert_eq!(Exit::of(&unsure), Exit::Usage);
        assert_eq!(keys.reading().open("desk", &sealed), Opened::Text("tall".to_owned()));

        let done = forget(folder.path(), "alice --yes").unwrap();
        assert!(done.starts_with("alice is forgotten: ") && done.contains("keys.db away"), "{done}");
        assert_eq!(keys.reading().open("desk", &sealed), Opened::Forgotten(DateTime::UNIX_EPOCH));
        let again = forget(folder.path(), "alice --yes").unwrap();
        assert!(again.starts_with("alice was forgotten at 1970-01-01T00:00:00Z, "), "{again}");
    }
}
