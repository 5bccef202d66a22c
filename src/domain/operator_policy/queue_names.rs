//! Which queues a class can be about, as patterns for the names in ARNs.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::literal::{Extractor, Literal};

use super::super::names::Naming;

/// What stands in a class's pattern for the Queue's namespace.
const NAMESPACE: &str = "{namespace}";

/// More beginnings than this are told by what they have in common.
const MAX_BEGINNINGS: usize = 8;

/// The default names of `naming`. Without a prefix they are told by the `_` between namespace and name, which every default
/// name has, cut ones too.
pub(super) fn of_defaults(naming: &Naming) -> String {
    let prefix = naming.prefix();
    if prefix.is_empty() { "*_*".to_owned() } else { format!("{prefix}*") }
}

/// The names that match `pattern`, of any namespace: IAM knows no regular expressions, so this is what they begin with, or
/// the names themselves where the pattern lists them. A pattern that cannot be used matches nothing.
pub(super) fn of_pattern(pattern: &str) -> Vec<String> {
    if pattern.is_empty() {
        return Vec::new();
    }
    let pattern = pattern.replace(NAMESPACE, "(?:[a-z0-9][a-z0-9-]*)");
    let parsed = ParserBuilder::new().unicode(false).utf8(false).build().parse(&pattern);
    let Ok(parsed) = parsed else {
        return Vec::new();
    };
    let beginnings = Extractor::new().extract(&parsed);
    let name = |literal: &Literal| {
        let name = text(literal.as_bytes())?;
        Some(if literal.is_exact() { name } else { name + "*" })
    };
    match beginnings.literals() {
        Some(literals) if literals.len() <= MAX_BEGINNINGS => literals.iter().filter_map(name).collect(),
        _ => text(beginnings.longest_common_prefix().unwrap_or_default()).map(|name| name + "*").into_iter().collect(),
    }
}

/// A part of a queue's name; nothing for what no name has, which would mean something else in an ARN.
fn text(bytes: &[u8]) -> Option<String> {
    let is_of_names = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    bytes.iter().all(is_of_names).then(|| String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_known_by_what_its_names_begin_with() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (".*", &["*"]),
            ("[a-z0-9-]+", &["*"]),
            ("{namespace}-.*", &["*"]),
            ("acme-{namespace}-[a-z0-9-]+(\\.fifo)?", &["acme-*"]),
            ("^acme-.*$", &["acme-*"]),
            ("(alpha|beta)", &["alpha", "beta"]),
            ("(alpha|beta)-.+", &["alpha-*", "beta-*"]),
            ("alpha|beta.*", &["alpha", "beta*"]),
            // What may be left out is no beginning.
            ("a?b", &["ab", "b"]),
            ("acme-?x", &["acme-x", "acmex"]),
            ("(?i)ab", &["AB", "Ab", "aB", "ab"]),
            // It cannot be used, so no name matches it; and none has such characters.
            ("(", &[]),
            (r"a\*", &[]),
            (r"\$\{aws:username\}|a", &["a"]),
        ];
        for (pattern, names) in cases {
            let mut found = of_pattern(pattern);
            found.sort();
            assert_eq!(found, *names, "{pattern}");
        }
    }

    #[test]
    fn many_beginnings_are_told_by_what_they_have_in_common() {
        assert_eq!(of_pattern("acme-(a|b|c|d|e|f|g|h|i|j)"), ["acme-*"]);
    }
}
