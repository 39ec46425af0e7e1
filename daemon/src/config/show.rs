//! The effective configuration as text: what `check-config` prints.

use std::fmt::Write;

use super::layers::Entry;
use super::ton_events::Ignored;

/// The settings as a TOML file, each with the layer it comes from; secrets are not in it. What has no effect is said before.
pub fn effective(entries: &[Entry], ignored: &[Ignored]) -> String {
    let mut out = String::new();
    for Ignored { name, why } in ignored {
        let _ = writeln!(out, "# {name} has no effect: {why}");
    }
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
