//! What a Rust file mentions: every path it names, with imports spelled out (`use std::{fs, net::TcpStream}`
//! mentions `std::fs` and `std::net::TcpStream`).
//!
//! Works on tokens, so comments and strings are not mentions, and code inside macros is. Items under
//! `#[cfg(test)]` are left out.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::Source;

/// One path (of one or more names) that a file mentions outside its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The names of the path: `["std", "fs", "read"]`. A keyword such as `async` is a path of one name.
    pub path: Vec<String>,
    /// The line where the path begins, counted from 1.
    pub line: usize,
}

impl Mention {
    /// Whether the path contains `pattern` (names joined by `::`) as neighbouring names: `Utc::now` is in
    /// `chrono::Utc::now`, `std::fs` in `std::fs::read`; `Utc` is not in `UtcOffset`.
    pub fn contains(&self, pattern: &str) -> bool {
        let wanted: Vec<&str> = pattern.split("::").collect();
        self.path.windows(wanted.len()).any(|window| window == wanted)
    }
}

/// Everything `source` mentions outside its tests. Panics when the file is not Rust.
pub fn mentions(source: &Source) -> Vec<Mention> {
    let mut found = Vec::new();
    walk(tokens(source), &[], &mut found);
    found
}

/// The file's tokens without the items under `#[cfg(test)]`. Panics when the file is not Rust.
pub fn tokens(source: &Source) -> TokenStream {
    let stream: TokenStream =
        source.text.parse().unwrap_or_else(|error| panic!("{} is not Rust: {error}", source.path));
    without_tests(stream)
}

fn walk(stream: TokenStream, prefix: &[String], found: &mut Vec<Mention>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while at < trees.len() {
        match &trees[at] {
            TokenTree::Ident(name) => {
                let line = name.span().start().line;
                let mut path = prefix.to_vec();
                path.push(name.to_string());
                at = follow(&trees, at + 1, path, line, found);
            }
            TokenTree::Group(group) => {
                walk(group.stream(), &[], found);
                at += 1;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads on behind a name: further `::name`s lengthen the path, `::{…}` spreads it over a list. Returns where to go on.
fn follow(trees: &[TokenTree], mut at: usize, mut path: Vec<String>, line: usize, found: &mut Vec<Mention>) -> usize {
    while is_colon(trees.get(at)) && is_colon(trees.get(at + 1)) {
        match trees.get(at + 2) {
            Some(TokenTree::Ident(name)) => {
                path.push(name.to_string());
                at += 3;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                walk(group.stream(), &path, found);
                return at + 3;
            }
            _ => break,
        }
    }
    found.push(Mention { path, line });
    at
}

fn is_colon(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == ':')
}

fn without_tests(stream: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut trees = stream.into_iter();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) if is_cfg_test(&group) && is_hash(kept.last()) => {
                kept.pop();
                // The item ends with its body or with a semicolon, whichever comes first.
                trees.by_ref().find(|tree| match tree {
                    TokenTree::Group(body) => body.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    TokenTree::Ident(_) | TokenTree::Literal(_) => false,
                });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_tests(group.stream()));
                inner.set_span(group.span());
                kept.push(inner.into());
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

fn is_cfg_test(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn is_hash(tree: Option<&TokenTree>) -> bool {
    matches!(tree, Some(TokenTree::Punct(punct)) if punct.as_char() == '#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source { path: "sample.rs".into(), text: text.into() };
        mentions(&source).into_iter().map(|mention| mention.path.join("::")).collect()
    }

    #[test]
    fn a_list_of_imports_is_spelled_out() {
        let found = paths("use std::{fs, net::{TcpStream, UdpSocket}};");
        assert_eq!(found, ["use", "std::fs", "std::net::TcpStream", "std::net::UdpSocket"]);
    }

    #[test]
    fn comments_and_strings_are_not_mentions_but_code_in_macros_is() {
        let found = paths("// std::fs\nfn f() { println!(\"std::env\", std::process::id()); }");
        assert!(!found.iter().any(|path| path.contains("fs") || path.contains("env")), "{found:?}");
        assert!(found.contains(&"std::process::id".to_owned()), "{found:?}");
    }

    #[test]
    fn what_only_tests_mention_is_left_out() {
        let found = paths("#[cfg(test)]\nmod tests { use std::fs; }\n#[cfg(test)] use std::env;\nfn after() {}");
        assert_eq!(found, ["fn", "after"]);
    }

    #[test]
    fn a_pattern_matches_whole_names_only() {
        let mention = Mention { path: vec!["chrono".into(), "Utc".into(), "now".into()], line: 1 };
        assert!(mention.contains("Utc::now") && mention.contains("chrono"));
        assert!(!mention.contains("Ut") && !mention.contains("chrono::now"));
    }
}
