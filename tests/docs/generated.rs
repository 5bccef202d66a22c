//! Generated files are current. `cargo xtask crds` runs this with [`UPDATE`] set, which writes them instead.

use std::{env, fs};

use crate::generate;
use crate::pages::root;

/// Set, the files are written instead of compared.
const UPDATE: &str = "PRISM_TEST_UPDATE";

#[test]
fn generated_files_are_current() {
    let mut stale = Vec::new();
    for (path, text) in generate::files() {
        let file = root().join(&path);
        if env::var_os(UPDATE).is_some() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
        } else if fs::read_to_string(&file).ok() != Some(text) {
            stale.push(path.display().to_string());
        }
    }
    assert!(stale.is_empty(), "not as the types say: {}; run `cargo xtask crds`", stale.join(", "));
}
