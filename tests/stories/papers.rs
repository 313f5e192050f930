//! The papers say nothing that is not so: links lead somewhere, and tests that are named exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::doors::{root, rust_sources};

/// The markdown files of the root and of `docs`.
fn papers() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in [root(), root().join("docs")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(found.len() >= 8, "only {} papers were read", found.len());
    found
}

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close)).map(|(inner, _)| inner).collect()
}

/// The links of a paper that lead to no file.
fn dead_links(paper: &Path, text: &str) -> Vec<String> {
    between(text, "](", ')')
        .into_iter()
        .map(|link| link.split('#').next().unwrap())
        .filter(|link| !link.is_empty() && !link.contains(':'))
        .filter(|link| !paper.parent().unwrap().join(link).exists())
        .map(str::to_owned)
        .collect()
}

/// The test names of a table that are no test: a name is a long `snake_case` word in backticks.
fn missing_tests(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let is_name = |name: &&str| name.matches('_').count() >= 2 && name.chars().all(|c| c == '_' || c.is_alphanumeric());
    names.filter(is_name).filter(|name| !tests.contains(*name)).map(str::to_owned).collect()
}

fn test_names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, source) in rust_sources() {
        for attribute in ["[test]", "::test]", "::test("] {
            let functions = source.split(attribute).skip(1).filter_map(|after| after.split_once("fn "));
            names.extend(functions.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
    // Tests that a macro makes, one a line: the name, an arrow, and the scene that it plays.
    for (_, source) in rust_sources() {
        let lines = source.lines().filter_map(|line| line.trim().split_once(" => "));
        names.extend(lines.map(|(name, _)| name.to_owned()).filter(|name| name.matches('_').count() > 3));
    }
    assert!(names.len() > 100, "only {} tests were found", names.len());
    names
}

#[test]
fn every_link_in_the_papers_leads_to_a_file() {
    let dead: Vec<_> = papers()
        .iter()
        .map(|(paper, text)| (paper.clone(), dead_links(paper, text)))
        .filter(|(_, dead)| !dead.is_empty())
        .collect();
    assert_eq!(dead, []);
}

#[test]
fn every_test_that_holds_a_promise_exists() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    assert_eq!(missing_tests(&text, &test_names()), Vec::<String>::new());
}

#[test]
fn a_dead_link_and_an_invented_test_are_noticed() {
    let paper = root().join("docs").join("paper.md");
    let text = "[a](security.md#x) [b](nowhere.md) [c](https://mayfly.example) [d](../README.md)";
    assert_eq!(dead_links(&paper, text), ["nowhere.md"]);
    let table = "| promise | `a_test_that_nobody_wrote`, `a_dead_link_and_an_invented_test_are_noticed` |";
    assert_eq!(missing_tests(table, &test_names()), ["a_test_that_nobody_wrote"]);
}
