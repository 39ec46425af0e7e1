//! The table of faults in `docs/faults.md`: rows, their sentences, the tests that show them, and what is open.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use super::marks::marked;

/// The rows that must be there.
pub const ROWS: &[&str] = &[
    "D1", "D2", "D3", "D4", "D5", "D6", "D8", "D9", "D10", "D11", "X1", "X2", "X3", "X4", "X5", "X6", "X7", "X8", "X9",
    "X10", "X11", "P1", "P2", "P3", "P4", "P6", "P7", "P8", "P10", "P11", "O1", "O2", "O3", "O4", "O5", "O6", "O7",
    "O8", "O9", "O10", "S1", "S4", "S5",
];

/// A test by its file and its name.
pub type Test = (String, String);

/// What the document says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Each row's sentence.
    pub sentences: BTreeMap<String, String>,
    /// Which tests show which row.
    pub shown: BTreeSet<(String, Test)>,
    /// What is not shown yet of a row, and why.
    pub open: BTreeMap<String, String>,
    /// Lines that cannot be read, and rows told twice.
    pub broken: Vec<String>,
}

/// Reads the document: a table of three columns (row, sentence, test; a row's further tests on lines of their own, the first two
/// columns empty) and, under the heading `## Open`, one of two (row, what is missing).
pub fn table(text: &str) -> Table {
    let mut table = Table::default();
    let mut is_open = false;
    let mut row = String::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            is_open = heading.trim() == "Open";
        }
        let Some(cells) = cells(line) else { continue };
        match (is_open, cells.as_slice()) {
            (_, ["row", ..]) => {}
            (true, [open, missing]) if is_row(open) && missing.len() >= 10 => {
                table.once(line, |table| table.open.insert((*open).to_owned(), (*missing).to_owned()).is_none());
            }
            (false, [next, sentence, test]) if is_row(next) && sentence.len() >= 10 => {
                row = (*next).to_owned();
                table.once(line, |table| table.sentences.insert((*next).to_owned(), (*sentence).to_owned()).is_none());
                table.show(&row, test, line);
            }
            (false, ["", "", test]) if !row.is_empty() && !test.is_empty() => table.show(&row, test, line),
            _ => table.broken.push(line.to_owned()),
        }
    }
    table
}

fn is_row(cell: &str) -> bool {
    cell.len() >= 2 && cell.chars().all(|c| c.is_ascii_alphanumeric())
}

/// The cells of a table's line; none for other lines and the line under a heading.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let cells: Vec<_> = inner.split('|').map(str::trim).collect();
    (!cells.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|byte| byte == b'-'))).then_some(cells)
}

impl Table {
    fn once(&mut self, line: &str, insert: impl FnOnce(&mut Self) -> bool) {
        if !insert(self) {
            self.broken.push(line.to_owned());
        }
    }

    /// A test as `` `path` `name` ``; an empty cell is no test.
    fn show(&mut self, row: &str, cell: &str, line: &str) {
        let parts: Vec<_> = cell.split('`').map(str::trim).collect();
        match parts.as_slice() {
            [""] => {}
            ["", path, "", name, ""] => {
                let test = ((*path).to_owned(), (*name).to_owned());
                self.once(line, |table| table.shown.insert((row.to_owned(), test)));
            }
            _ => self.broken.push(line.to_owned()),
        }
    }
}

/// Everything in which the table, the tests and the list of rows differ, a sentence each.
pub fn differences(table: &Table, sources: &[Source]) -> Vec<String> {
    let mut found = rows_missing(table);
    let mut marks = BTreeSet::new();
    let mut running = BTreeSet::new();
    for source in sources {
        for item in marked(source) {
            let test: Test = (source.path.clone(), item.name.clone());
            for (row, text) in item.marks {
                if !item.runs {
                    found.push(format!("{} {}: {row} is named by something that is no test that runs", test.0, test.1));
                } else if text.len() < 10 {
                    found.push(format!("{} {}: says nothing about {row}", test.0, test.1));
                }
                marks.insert((row, test.clone()));
            }
            if item.runs {
                running.insert(test);
            }
        }
    }
    for (row, test) in &table.shown {
        let (path, name) = test;
        if !running.contains(test) {
            found.push(format!("{row}: there is no test {name} that runs in {path}"));
        } else if !marks.contains(&(row.clone(), test.clone())) {
            found.push(format!("{row}: {name} in {path} does not say `/// {row}: …`"));
        }
    }
    let untold = marks.difference(&table.shown);
    found.extend(untold.map(|(row, (path, name))| format!("{row}: named by {name} in {path}, not in the table")));
    found
}

fn rows_missing(table: &Table) -> Vec<String> {
    let mut found: Vec<_> =
        table.broken.iter().map(|line| format!("cannot be read, or is told twice: {line}")).collect();
    for row in ROWS {
        let is_shown = table.shown.iter().any(|(shown, _)| shown == row);
        if !table.sentences.contains_key(*row) {
            found.push(format!("{row} is not in the table"));
        } else if !is_shown && !table.open.contains_key(*row) {
            found.push(format!("{row} has no test and is not open"));
        }
    }
    let told = table.sentences.keys().chain(table.open.keys());
    found.extend(told.filter(|row| !ROWS.contains(&row.as_str())).map(|row| format!("{row} is no row")));
    found
}
