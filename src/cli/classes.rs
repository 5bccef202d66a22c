//! Classes, from the cluster or from files.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::cluster::ClusterFlags;
use super::yaml;
use crate::api::QueueClass;

/// Which classes.
#[allow(clippy::doc_markdown, reason = "these comments are the help texts, which show backticks as they are")]
#[derive(Clone, Debug, Default, Args)]
pub struct ClassFlags {
    /// A QueueClass of the cluster. May be given several times.
    #[arg(long = "class", value_name = "NAME")]
    pub names: Vec<String>,

    /// A file with QueueClasses in YAML or JSON, - for standard input; what else is in it is left aside. No cluster is needed
    /// for it. May be given several times.
    #[arg(short, long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterFlags,
}

impl ClassFlags {
    /// All of them.
    ///
    /// # Errors
    /// Which of them cannot be read and why, for people.
    pub async fn read(&self) -> Result<Vec<QueueClass>, String> {
        let mut classes = Vec::new();
        for name in &self.names {
            classes.push(class(self.cluster.get::<QueueClass>(name).await?, "the cluster")?);
        }
        for file in &self.files {
            let place = file.display().to_string();
            let found = objects(yaml::documents(&text(file)?).map_err(|error| format!("{place}: {error}"))?);
            let before = classes.len();
            for object in found.into_iter().filter(|object| object["kind"] == "QueueClass") {
                classes.push(class(object, &place)?);
            }
            if classes.len() == before {
                return Err(format!("{place} has no QueueClass"));
            }
        }
        Ok(classes)
    }
}

fn text(file: &Path) -> Result<String, String> {
    if file == Path::new("-") {
        let mut text = String::new();
        let read = io::stdin().lock().read_to_string(&mut text);
        return read.map(|_| text).map_err(|error| format!("cannot read standard input: {error}"));
    }
    fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

/// The objects, those of lists among them: that is how `kubectl get` prints several.
fn objects(documents: Vec<Value>) -> Vec<Value> {
    let items = |mut document: Value| match document["items"].take() {
        Value::Array(items) => items,
        _ => vec![document],
    };
    documents.into_iter().flat_map(items).collect()
}

/// A class that is understood in full: what this program does not know, no policy would be made for.
fn class(object: Value, place: &str) -> Result<QueueClass, String> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let what = format!("QueueClass {name:?} of {place}");
    if object["apiVersion"] != "queue.prism.io/v1alpha1" {
        return Err(format!("{what} is of {}; this program knows queue.prism.io/v1alpha1", object["apiVersion"]));
    }
    let spec = object["spec"].clone();
    let class: QueueClass = serde_json::from_value(object).map_err(|error| format!("{what}: {error}"))?;
    let known = serde_json::to_value(&class.spec).map_err(|error| format!("{what}: {error}"))?;
    match unknown(&spec, &known, "spec").as_slice() {
        [] => Ok(class),
        fields => Err(format!("{what}: this program does not know {}", fields.join(", "))),
    }
}

/// The fields of `given` that are not in `known`.
fn unknown(given: &Value, known: &Value, path: &str) -> Vec<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            let of_field = |(name, given): (&String, &Value)| match known.get(name) {
                Some(known) => unknown(given, known, &format!("{path}.{name}")),
                // It says nothing.
                None if given.is_null() => Vec::new(),
                None => vec![format!("{path}.{name}")],
            };
            given.iter().flat_map(of_field).collect()
        }
        (Value::Array(given), Value::Array(known)) => {
            let items = given.iter().zip(known).enumerate();
            items.flat_map(|(index, (given, known))| unknown(given, known, &format!("{path}[{index}]"))).collect()
        }
        _ => Vec::new(),
    }
}
