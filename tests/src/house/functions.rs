//! A Rust file cut into its functions: the names and the string literals each of them uses.
//!
//! Enough to say "this function reads a row out of a statement that writes"; not a parser.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Source, mentions};

/// One function, methods and functions inside functions included.
#[derive(Debug, Clone, Default)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of `fn`, counted from 1.
    pub line: usize,
    /// Every name in its signature and body.
    pub names: Vec<String>,
    /// Every literal in its body, as written.
    pub literals: Vec<String>,
}

/// The functions of `source` outside its tests. Panics when the file is not Rust.
pub fn functions(source: &Source) -> Vec<Function> {
    let mut found = Vec::new();
    cut(mentions::tokens(source), &mut found);
    found
}

/// The names of constants and statics in `source` whose value has a literal for which `holds` is true.
pub fn constants(source: &Source, holds: impl Fn(&str) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    let trees = flat(mentions::tokens(source));
    for (at, tree) in trees.iter().enumerate() {
        if !is_name(tree, "const") && !is_name(tree, "static") {
            continue;
        }
        let item = trees[at + 1..].iter().take_while(|tree| !is_semicolon(tree));
        if item.clone().any(|tree| matches!(tree, TokenTree::Literal(literal) if holds(&literal.to_string())))
            && let Some(TokenTree::Ident(name)) = item.clone().next()
        {
            names.push(name.to_string());
        }
    }
    names
}

fn cut(stream: TokenStream, found: &mut Vec<Function>) {
    let mut open: Option<Function> = None;
    let mut expects_name = false;
    for tree in stream {
        match (&tree, &mut open) {
            (TokenTree::Ident(name), _) if name == "fn" => {
                open = Some(Function { line: name.span().start().line, ..Function::default() });
                expects_name = true;
            }
            (TokenTree::Ident(name), Some(function)) if expects_name => {
                function.name = name.to_string();
                expects_name = false;
            }
            (TokenTree::Punct(punct), Some(_)) if punct.as_char() == ';' => open = None,
            (TokenTree::Group(body), Some(_)) if body.delimiter() == Delimiter::Brace => {
                let mut function = open.take().expect("matched as open");
                note(body.stream(), &mut function);
                found.push(function);
                cut(body.stream(), found);
            }
            (TokenTree::Group(group), None) => cut(group.stream(), found),
            (_, Some(function)) => note(tree.into(), function),
            (_, None) => {}
        }
    }
}

fn note(stream: TokenStream, function: &mut Function) {
    for tree in flat(stream) {
        match tree {
            TokenTree::Ident(name) => function.names.push(name.to_string()),
            TokenTree::Literal(literal) => function.literals.push(literal.to_string()),
            TokenTree::Punct(_) | TokenTree::Group(_) => {}
        }
    }
}

/// All tokens in order, groups opened.
fn flat(stream: TokenStream) -> Vec<TokenTree> {
    let mut trees = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Group(group) => trees.extend(flat(group.stream())),
            other => trees.push(other),
        }
    }
    trees
}

fn is_name(tree: &TokenTree, wanted: &str) -> bool {
    matches!(tree, TokenTree::Ident(name) if name == wanted)
}

fn is_semicolon(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ';')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Source {
        Source { path: "sample.rs".into(), text: text.into() }
    }

    #[test]
    fn methods_and_inner_functions_are_found_with_what_they_use() {
        let found = functions(&sample("impl A { fn outer(tx: &mut Tx) { fn inner() { \"x\"; } call(); } }"));
        let names: Vec<_> = found.iter().map(|function| function.name.as_str()).collect();
        assert_eq!(names, ["outer", "inner"]);
        assert!(found[0].names.contains(&"Tx".to_owned()) && found[0].names.contains(&"call".to_owned()));
        assert_eq!(found[1].literals, ["\"x\""]);
    }

    #[test]
    fn a_constant_is_found_by_its_literal() {
        let source = sample("const A: &str = \"insert\"; const B: &str = concat!(\"x\", \"returning id\");");
        assert_eq!(constants(&source, |literal| literal.contains("returning")), ["B"]);
    }
}
