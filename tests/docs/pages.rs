//! The documentation as written: pages, their code blocks and the words in backticks.

use std::fs;
use std::path::{Path, PathBuf};

/// The checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One Markdown file.
pub struct Page {
    /// Its path in the checkout.
    pub path: PathBuf,
    /// What stands outside of code blocks.
    pub prose: String,
    /// Its code blocks.
    pub blocks: Vec<Block>,
}

/// A code block.
pub struct Block {
    /// The word after the opening fence.
    pub language: String,
    /// The line of the opening fence.
    pub line: usize,
    /// What is in it.
    pub text: String,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        let mut page = Self { path, prose: String::new(), blocks: Vec::new() };
        let mut open: Option<Block> = None;
        for (line, content) in (1..).zip(text.lines()) {
            let fence = content.trim_start().strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(language)) => {
                    open = Some(Block { language: language.trim().to_owned(), line, text: String::new() });
                }
                (Some(_), Some(_)) => page.blocks.extend(open.take()),
                (Some(block), None) => block.text.extend([content, "\n"]),
                (None, None) => page.prose.extend([content, "\n"]),
            }
        }
        assert!(open.is_none(), "{}: a code block does not end", page.path.display());
        page
    }

    /// What stands in backticks.
    pub fn code_words(&self) -> impl Iterator<Item = &str> {
        self.prose.split('`').skip(1).step_by(2)
    }
}

/// Every page: README.md, CONTRIBUTING.md and all of docs/.
pub fn all() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                paths.push(path);
            }
        }
    }
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}
