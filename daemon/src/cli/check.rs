//! `millrace check-config`, and the look at the files that a configuration names.

use std::io::Write;

use millrace_protocols::receive::parse_address_list;

use crate::bounded_file::read_text;
use crate::config::{ADDRESS_FILE_BYTES_MAX, ConfigError, Layer, Loaded, Problem};
use crate::web::tls::{self, TlsError};

/// Prints the effective configuration, after a look at the files it names.
pub fn print(loaded: &Loaded, out: &mut impl Write) -> anyhow::Result<()> {
    files(loaded)?;
    Ok(writeln!(out, "{}", loaded.effective())?)
}

/// Refuses a configuration whose files cannot be used: a desk that starts would wait for them for ever.
pub fn files(loaded: &Loaded) -> Result<(), ConfigError> {
    let problems: Vec<_> = [tls(loaded), addresses(loaded)].into_iter().flatten().collect();
    if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
}

fn tls(loaded: &Loaded) -> Option<Problem> {
    let error = tls::server_config(loaded.config.public.tls()?).err()?;
    let key = match &error {
        TlsError::File { path, .. } if Some(path) == loaded.config.public.tls_key.as_ref() => "tls_key",
        TlsError::File { .. } | TlsError::NoCertificate(_) | TlsError::Pair(_) => "tls_certificate",
    };
    Some(problem(loaded, ("public", key), error.to_string()))
}

fn addresses(loaded: &Loaded) -> Option<Problem> {
    let bitcoin = &loaded.config.bitcoin;
    let path = bitcoin.address_file.as_ref()?;
    let refused = |sentence: String| problem(loaded, ("bitcoin", "address_file"), sentence);
    let text = match read_text(path, ADDRESS_FILE_BYTES_MAX) {
        Ok(text) => text,
        Err(error) => return Some(refused(format!("{} cannot be read: {error}", path.display()))),
    };
    match parse_address_list(&text, bitcoin.network) {
        Ok(addresses) if addresses.is_empty() => Some(refused(format!("{} holds no address", path.display()))),
        Ok(_) => None,
        Err(error) => Some(refused(format!("{}: {error}", path.display()))),
    }
}

fn problem(loaded: &Loaded, (section, key): (&str, &str), sentence: String) -> Problem {
    let entry = loaded.entries.iter().find(|entry| entry.section == section && entry.key == key);
    let origin = entry.map_or(Layer::Default, |entry| entry.origin.clone());
    Problem { origin, key: format!("{section}.{key}"), sentence }
}
