//! Links within the documentation lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::pages::{self, Page, root};

/// The targets of a page's links, those to other sites left out.
fn targets(page: &Page) -> Vec<String> {
    // What stands in backticks is no link; a link's text may.
    let prose: String = page.prose.split('`').step_by(2).collect();
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).filter(|target| !target.contains("://")).collect()
}

/// The anchors of a page, as GitHub makes them from headings: lower case, spaces become `-`, of the rest only letters,
/// digits, `-` and `_` stay.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let headings = markdown.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages::all() {
        for target in targets(&page) {
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
            let is_there = root().join(&path).exists();
            let text = fs::read_to_string(root().join(&path)).unwrap_or_default();
            if !is_there || (!anchor.is_empty() && !anchors(&text).contains(anchor)) {
                broken.push(format!("{}: {target}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn every_page_can_be_reached_from_the_index() {
    let index = pages::all().into_iter().find(|page| page.path == Path::new("docs/README.md")).unwrap();
    let linked: BTreeSet<String> = targets(&index).into_iter().collect();
    for page in pages::all().iter().filter(|page| page.path.starts_with("docs") && page.path != index.path) {
        let relative = page.path.strip_prefix("docs").unwrap().to_str().unwrap();
        assert!(linked.contains(relative), "docs/README.md has no link to {relative}");
    }
}

#[test]
fn every_path_named_exists() {
    let mut missing = Vec::new();
    let mut count = 0;
    for page in pages::all() {
        let folders = ["src/", "docs/", "crds/", "charts/", "tests/docs", "tests/convergence", "tests/chart"];
        for path in page.code_words().filter(|word| folders.iter().any(|folder| word.starts_with(folder))) {
            count += 1;
            if !root().join(path).exists() {
                missing.push(format!("{}: {path}", page.path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(count > 5, "only {count} paths were found");
}

#[test]
fn anchors_are_those_of_github() {
    let anchors = anchors("# The one idea: a core\n\n### `--region`\n");
    assert_eq!(anchors, BTreeSet::from(["the-one-idea-a-core".to_owned(), "--region".to_owned()]));
}
