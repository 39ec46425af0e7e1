//! `millrace check-config`.

use std::io::Write;

use crate::config::Loaded;
use crate::web::tls;

/// Prints the effective configuration, after a look at the files it names.
pub fn print(loaded: &Loaded, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(files) = loaded.config.public.tls() {
        tls::server_config(files)?;
    }
    Ok(writeln!(out, "{}", loaded.effective())?)
}
