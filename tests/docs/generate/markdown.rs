//! Markdown out of plain text.

/// The line that a generated page begins with, invisible when rendered.
pub const HEADER: &str = "<!-- Generated from the source by `cargo xtask crds`. Do not edit. -->\n";

/// A table with these column titles and rows; cells are Markdown already.
pub fn table<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&titles.map(str::to_owned));
    text += &line(&titles.map(|_| "---".to_owned()));
    text.extend(rows.into_iter().map(|row| line(&row.map(|cell| cell.replace('|', "\\|")))));
    text
}

/// Plain text as Markdown on one line: what stands in backticks stays, the rest cannot be taken for HTML or emphasis.
pub fn prose(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let escape = |(index, part): (usize, &str)| {
        if index % 2 == 1 { part.to_owned() } else { part.replace('<', "\\<").replace('*', "\\*") }
    };
    one_line.split('`').enumerate().map(escape).collect::<Vec<_>>().join("`")
}

/// Text as code.
pub fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Code words, joined as in a sentence with `last` before the last one.
pub fn codes<'a>(words: impl IntoIterator<Item = &'a str>, last: &str) -> String {
    let mut words: Vec<String> = words.into_iter().map(code).collect();
    match words.pop() {
        Some(end) if words.is_empty() => end,
        Some(end) => format!("{} {last} {end}", words.join(", ")),
        None => String::new(),
    }
}
