//! Tests that carry a mark of the table of faults: a line of their documentation that begins with a row's name, `D4: …`.
//!
//! Works on tokens, so a mark in a string or a remark is none, and tests that a macro makes are found.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::Source;

/// The letters that rows of the table begin with.
const LETTERS: &[char] = &['D', 'X', 'P', 'O', 'S'];

/// A function with what stands above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// Its name; empty for something that is no function.
    pub name: String,
    /// Whether the test runner runs it.
    pub runs: bool,
    /// The rows it names, each with what it says about it.
    pub marks: Vec<(String, String)>,
}

/// Every test of a file, and everything else that carries a mark. Panics when the file is not Rust.
pub fn marked(source: &Source) -> Vec<Marked> {
    let stream: TokenStream =
        source.text.parse().unwrap_or_else(|error| panic!("{} is not Rust: {error}", source.path));
    let mut found = Vec::new();
    read(stream, &mut found);
    found.retain(|item| item.runs || !item.marks.is_empty());
    found
}

/// The row and the text of a line that is a mark: `D4: waits`.
fn mark(line: &str) -> Option<(String, String)> {
    let (row, text) = line.trim().split_once(": ")?;
    let number = row.strip_prefix(LETTERS)?;
    let is_row = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_row.then(|| (row.to_owned(), text.trim().to_owned()))
}

fn read(stream: TokenStream, found: &mut Vec<Marked>) {
    let mut above = Above::default();
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = trees.next_if(|next| is_in(next, Delimiter::Bracket)) {
                    above.take_in(&attribute);
                }
            }
            TokenTree::Ident(word) if word == "fn" => {
                let name = trees.next().map(|name| name.to_string()).unwrap_or_default();
                found.push(std::mem::take(&mut above).over(name));
            }
            TokenTree::Ident(word) if word == "async" || word == "pub" => {}
            TokenTree::Group(group) => {
                found.push(std::mem::take(&mut above).over(String::new()));
                read(group.stream(), found);
            }
            TokenTree::Punct(_) | TokenTree::Ident(_) | TokenTree::Literal(_) => {
                found.push(std::mem::take(&mut above).over(String::new()));
            }
        }
    }
}

fn is_in(tree: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(tree, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// Attributes, documentation among them.
#[derive(Debug, Default)]
struct Above {
    is_test: bool,
    is_ignored: bool,
    marks: Vec<(String, String)>,
}

impl Above {
    fn take_in(&mut self, attribute: &Group) {
        let text = attribute.stream().to_string().replace(' ', "");
        let path = text.split(['(', '=']).next().unwrap_or_default();
        match path {
            "test" | "tokio::test" => self.is_test = true,
            "ignore" => self.is_ignored = true,
            "doc" => self.marks.extend(documentation(attribute).lines().filter_map(mark)),
            _ => {}
        }
    }

    fn over(self, name: String) -> Marked {
        let runs = self.is_test && !self.is_ignored && !name.is_empty();
        Marked { name, runs, marks: self.marks }
    }
}

/// The text of `doc = "…"`.
fn documentation(attribute: &Group) -> String {
    let text = attribute.stream().into_iter().find_map(|tree| match tree {
        TokenTree::Literal(literal) => Some(literal.to_string()),
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Group(_) => None,
    });
    text.unwrap_or_default().trim_start_matches("r").trim_matches(['"', '#']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<Marked> {
        marked(&Source { path: "sample.rs".into(), text: text.into() })
    }

    fn one(name: &str, runs: bool, rows: &[&str]) -> Marked {
        let marks = rows.iter().map(|row| ((*row).to_owned(), "it waits".to_owned())).collect();
        Marked { name: name.to_owned(), runs, marks }
    }

    #[test]
    fn a_test_is_found_with_its_marks_wherever_it_is() {
        let text = "mod tests { /// D4: it waits\n/// X11: it waits\n/// Not a mark: really.\n#[test] fn a() { b(); }
                    #[tokio::test(start_paused = true)]\nasync fn c() {}
                    proptest! { /// O1: it waits\n#[test] fn d(x in 0..9) {} } }";
        assert_eq!(found(text), [one("a", true, &["D4", "X11"]), one("c", true, &[]), one("d", true, &["O1"])]);
    }

    #[test]
    fn what_does_not_run_or_is_no_test_is_told_apart() {
        let text = "/// D4: it waits\n#[test]\n#[ignore = \"slow\"]\nfn a() {}\n/// D5: it waits\npub fn b() {}
                    /// D6: it waits\nstruct C;\n// D7: it waits\nfn e() { \"D8: it waits\"; }";
        assert_eq!(found(text), [one("a", false, &["D4"]), one("b", false, &["D5"]), one("", false, &["D6"])]);
    }
}
