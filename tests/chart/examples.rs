//! Every example is accepted by the API server as it stands.

use std::fs;
use std::path::{Path, PathBuf};

use kube::ResourceExt as _;

use crate::cluster::{established, scratch};
use crate::helm::{kind, objects};
use crate::rendering::yaml_files;

/// The YAML files of a folder and the folders in it.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let mut found = yaml_files(folder);
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        found.extend(walk(&path));
    }
    found
}

#[tokio::test]
async fn the_api_server_accepts_every_example() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = walk(&root.join("examples"));
    assert!(!files.is_empty(), "examples/ has examples");
    scratch(&[], async |scratch| {
        // Other tests install the same CRDs on the same control plane, so they stay.
        for file in yaml_files(&root.join("crds")) {
            for crd in objects(&fs::read_to_string(&file).unwrap()) {
                scratch.apply_for_all(&crd).await;
                established(&scratch.client, &crd.name_any()).await;
            }
        }

        let mut refusals = Vec::new();
        for file in files {
            for mut object in objects(&fs::read_to_string(&file).unwrap()) {
                // The namespaces of the examples are not there, and are not what is looked at.
                if object.metadata.namespace.is_some() {
                    object.metadata.namespace = Some(scratch.name.clone());
                }
                if let Err(refusal) = scratch.dry_run(&object).await {
                    refusals.push(format!("{}: {} {refusal}", file.display(), kind(&object)));
                }
            }
        }
        assert!(refusals.is_empty(), "{}", refusals.join("\n"));
    })
    .await;
}
