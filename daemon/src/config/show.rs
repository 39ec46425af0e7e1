//! The effective configuration as text: what `check-config` prints.

use std::fmt::Write;

use super::layers::Entry;

/// The settings as a TOML file, each with the layer it comes from; secrets are not in it.
pub fn effective(entries: &[Entry]) -> String {
    let mut out = String::new();
    for section in sections(entries) {
        let _ = writeln!(out, "[{section}]");
        for entry in entries.iter().filter(|entry| entry.section == section) {
            let line = match &entry.shown {
                Some(value) => format!("{} = {value}", entry.key),
                None => format!("# {} is not set", entry.key),
            };
            let _ = writeln!(out, "{line:<48} # {}", entry.origin);
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

fn sections(entries: &[Entry]) -> Vec<&str> {
    let mut sections: Vec<&str> = Vec::new();
    for entry in entries {
        if !sections.contains(&entry.section.as_ref()) {
            sections.push(&entry.section);
        }
    }
    sections
}
