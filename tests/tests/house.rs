//! Rules of the house that a compiler does not know: headers, sizes, reasons, and one trap of SQLite.

use std::collections::BTreeSet;

use millrace_tests::house::{self, Source, faults, functions};
use proc_macro2::{TokenStream, TokenTree};

/// The most lines a source file may have.
const FILE_LINES_MAX: usize = 500;

fn assert_none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn offenders(sources: Vec<Source>, offends: impl Fn(&Source) -> bool) -> Vec<String> {
    assert!(!sources.is_empty(), "no files were found, so the rule was not checked");
    sources.into_iter().filter(|source| offends(source)).map(|source| source.path).collect()
}

#[test]
fn every_source_file_begins_by_saying_its_purpose() {
    let silent = offenders(house::rust_sources(), |source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.strip_prefix("//!").is_none_or(|purpose| purpose.trim().len() < 10)
    });
    assert_none(&silent, "a file's first line is `//!` and a sentence");
}

#[test]
fn every_migration_begins_by_saying_its_purpose() {
    let migrations = house::sources("migrations", "sql");
    let silent: Vec<_> =
        migrations.into_iter().filter(|source| !source.text.starts_with("-- ")).map(|source| source.path).collect();
    assert_none(&silent, "a migration's first line is `-- ` and a sentence");
}

#[test]
fn no_source_file_outgrows_its_subject() {
    let large = offenders(house::rust_sources(), |source| source.text.lines().count() > FILE_LINES_MAX);
    assert_none(&large, "at most 500 lines a file, ideally under 400; split it by subject");
}

#[test]
fn no_test_is_ignored() {
    let ignored = offenders(house::rust_sources(), |source| {
        source.text.lines().any(|line| line.trim_start().starts_with("#[ignore"))
    });
    assert_none(&ignored, "a test runs or is deleted");
}

#[test]
fn every_dependency_has_a_line_of_reason() {
    let manifest: toml::Table = house::source("Cargo.toml").text.parse().expect("Cargo.toml is TOML");
    let dependencies = manifest["workspace"]["dependencies"].as_table().expect("the workspace has dependencies");
    let reasons = house::source("docs/decisions/dependencies.md").text;
    let unexplained: Vec<_> = dependencies
        .keys()
        .filter(|name| !name.starts_with("millrace-"))
        .filter(|name| !reasons.lines().any(|line| line.starts_with(&format!("| {name} |"))))
        .cloned()
        .collect();
    assert_none(&unexplained, "docs/decisions/dependencies.md gives no reason for");
}

/// Whether an item of this crate is named anywhere.
fn names(stream: TokenStream, library: &str) -> bool {
    let trees: Vec<_> = stream.into_iter().collect();
    trees.iter().enumerate().any(|(at, tree)| match tree {
        TokenTree::Group(group) => names(group.stream(), library),
        TokenTree::Ident(ident) if *ident == library => {
            let next = trees.get(at + 1).map(ToString::to_string);
            let imported = at > 0 && trees[at - 1].to_string() == "use";
            next.as_deref() == Some(":") || imported
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn is_used(sources: &[Source], dependency: &str) -> bool {
    // The one crate whose library has another name.
    let library = if dependency == "md-5" { "md5".to_owned() } else { dependency.replace('-', "_") };
    let mentioning = sources.iter().filter(|source| source.text.contains(&library));
    mentioning.map(|source| source.text.parse().expect("our sources are Rust")).any(|stream| names(stream, &library))
}

#[test]
fn every_dependency_is_used_by_whoever_asks_for_it() {
    let table = |path: &str| -> toml::Table { house::source(path).text.parse().expect("a manifest is TOML") };
    let mut wanted = BTreeSet::new();
    let mut unused = Vec::new();
    for folder in house::CRATES {
        let manifest = table(&format!("{folder}/Cargo.toml"));
        let sources = house::sources(folder, "rs");
        let tables = ["dependencies", "dev-dependencies"].iter().filter_map(|kind| manifest.get(*kind)?.as_table());
        for name in tables.flat_map(toml::Table::keys) {
            wanted.insert(name.clone());
            if !is_used(&sources, name) {
                unused.push(format!("{folder}: {name}"));
            }
        }
    }
    let workspace = table("Cargo.toml");
    let offered = workspace["workspace"]["dependencies"].as_table().expect("the workspace has dependencies");
    unused.extend(offered.keys().filter(|name| !wanted.contains(*name)).map(|name| format!("workspace: {name}")));
    assert_none(&unused, "nobody uses");
}

#[test]
fn the_rule_about_dependencies_is_not_fooled_by_comments() {
    let sample = |text: &str| is_used(&[Source { path: "sample.rs".into(), text: text.into() }], "some-crate");
    assert!(sample("fn a() { some_crate::b() }") && sample("use some_crate;") && sample("use some_crate::{a, b};"));
    assert!(!sample("// some_crate::b") && !sample("let some_crate = \"some_crate::b\";"));
}

/// Calls that step a statement once and then drop it.
const READS_ONE_ROW: &[&str] = &["fetch_one", "fetch_optional", "query_row", "query_one"];
/// What shows that the function runs inside an explicit transaction, whose commit reports the error.
const IN_A_TRANSACTION: &[&str] = &["Transaction", "begin", "begin_with", "transaction", "transaction_with_behavior"];

fn returns_rows_from_a_write(literal: &str) -> bool {
    literal.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.eq_ignore_ascii_case("returning"))
}

fn reads_a_row_that_may_not_exist(sources: &[Source]) -> Vec<String> {
    let statements: Vec<String> =
        sources.iter().flat_map(|source| functions::constants(source, returns_rows_from_a_write)).collect();
    let mut found = Vec::new();
    for source in sources {
        for function in functions::functions(source) {
            let has = |wanted: &[&str]| wanted.iter().any(|name| function.names.iter().any(|found| found == name));
            let writes = function.literals.iter().any(|literal| returns_rows_from_a_write(literal))
                || function.names.iter().any(|name| statements.contains(name));
            if writes && has(READS_ONE_ROW) && !has(IN_A_TRANSACTION) {
                found.push(format!("{}:{}: {}", source.path, function.line, function.name));
            }
        }
    }
    found
}

/// `INSERT … RETURNING` read by `fetch_one` in autocommit answers `Ok` though the commit failed (a full disk) and
/// the row does not exist: the statement is reset after its first row, and the error of that reset is dropped.
/// An effect would follow without its intention.
#[test]
fn no_row_is_read_out_of_a_write_whose_commit_may_still_fail() {
    let sources: Vec<_> = house::rust_sources().into_iter().filter(|source| !source.is_test_code()).collect();
    assert_none(
        &reads_a_row_that_may_not_exist(&sources),
        "use an explicit transaction and look at its commit, or `execute`, or `fetch_all`",
    );
}

#[test]
fn the_rule_about_such_rows_finds_one_and_spares_transactions() {
    let sample = |text: &str| vec![Source { path: "sample.rs".into(), text: text.into() }];
    let direct = "async fn put(pool: &Pool) { query(\"insert into a values (1) returning id\").fetch_one(pool).await }";
    let by_name = "const PUT: &str = \"INSERT INTO a VALUES (1) RETURNING id\"; fn put(c: &C) { c.query_row(PUT) }";
    let safe = "async fn put(tx: &mut Transaction<'_>) { query(\"insert … returning id\").fetch_one(tx).await }";
    assert_eq!(reads_a_row_that_may_not_exist(&sample(direct)), ["sample.rs:1: put"]);
    assert_eq!(reads_a_row_that_may_not_exist(&sample(by_name)), ["sample.rs:1: put"]);
    assert!(reads_a_row_that_may_not_exist(&sample(safe)).is_empty());
}

/// `docs/faults.md` says what happens in each case and which tests show it, and the tests say the same.
#[test]
fn every_fault_has_its_row_and_every_row_its_tests() {
    let table = faults::table(&house::source("docs/faults.md").text);
    let differences = faults::differences(&table, &house::rust_sources());
    assert_none(&differences, "docs/faults.md and the tests it names differ");
}

#[test]
fn the_rule_about_faults_finds_what_is_missing_on_either_side() {
    let rows = faults::ROWS.iter().skip(1).map(|row| format!("| {row} | a sentence about it | |"));
    let open = faults::ROWS.iter().skip(2).map(|row| format!("| {row} | nobody has shown it |"));
    let shown = "| D1 | a sentence about it | `a.rs` `a` |\n| | | `a.rs` `b` |\n| | | `a.rs` `c` |".to_owned();
    let lines: Vec<_> = [shown].into_iter().chain(rows).chain(["## Open".to_owned()]).chain(open).collect();
    let table = faults::table(&lines.join("\n"));
    assert!(table.broken.is_empty(), "{:?}", table.broken);
    let text =
        "/// D1: once and not again\n#[test] fn a() {} #[test] fn c() {} /// D99: what is that\n#[test] fn d() {}";
    let differences = faults::differences(&table, &[Source { path: "a.rs".into(), text: text.into() }]);
    let expected = [
        "D2 has no test and is not open",
        "D1: there is no test b that runs in a.rs",
        "D1: c in a.rs does not say `/// D1: …`",
        "D99: named by d in a.rs, not in the table",
    ];
    assert_eq!(differences, expected);
}
