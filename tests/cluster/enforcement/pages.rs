//! Policies as the documentation prints them.

use std::path::Path;

use serde_json::Value;

/// The statements of the first policy after these words of a page, with the page's examples replaced.
pub fn statements_after(page: &str, words: &str, replaced: &[(&str, &str)]) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (_, after) = text.split_once(words).unwrap_or_else(|| panic!("{page} has {words:?}"));
    let block = after.split("```").find_map(|block| block.strip_prefix("json\n")).expect("a policy in JSON");
    let mut block = block.to_owned();
    for (example, ours) in replaced {
        assert!(block.contains(example), "{page}: the policy after {words:?} speaks of {example}");
        block = block.replace(example, ours);
    }
    let policy: Value = serde_json::from_str(&block).unwrap_or_else(|error| panic!("{page}: {error}"));
    policy["Statement"].as_array().expect("statements").clone()
}

/// What a statement allows.
pub fn actions(statement: &Value) -> Vec<String> {
    match &statement["Action"] {
        Value::Array(all) => all.iter().map(|action| action.as_str().expect("an action").to_owned()).collect(),
        action => vec![action.as_str().expect("an action").to_owned()],
    }
}
