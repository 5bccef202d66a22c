//! The change of a Pod, as a JSON patch that touches nothing else.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, EnvVarSource, Pod, SecretEnvSource, SecretKeySelector,
};
use serde::Serialize;
use serde_json::json;

use crate::api::{INJECTED, INJECTION_WARNINGS};

use super::super::outputs::ENDPOINT_URL;

/// The variables of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Environment {
    /// The source, as the annotation writes it.
    pub source: String,
    pub secret: String,
    pub prefix: String,
}

impl Environment {
    fn reference(&self) -> EnvFromSource {
        EnvFromSource {
            prefix: (!self.prefix.is_empty()).then(|| self.prefix.clone()),
            secret_ref: Some(SecretEnvSource { name: self.secret.clone(), optional: None }),
            ..EnvFromSource::default()
        }
    }

    fn is_in(&self, container: &Container) -> bool {
        container.env_from.iter().flatten().any(|from| {
            from.prefix.as_deref().unwrap_or_default() == self.prefix
                && from.secret_ref.as_ref().is_some_and(|secret| secret.name == self.secret)
        })
    }
}

/// What `pod` lacks of `environments`, in every container; and on the Pod, for people, what it got and what was wrong. A Pod that
/// was patched before lacks nothing.
pub(super) fn patch(pod: &Pod, environments: &[Environment], troubles: &[String]) -> Patch {
    let mut changes = Vec::new();
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|spec| spec.containers.as_slice()).unwrap_or_default();
    for (list, containers) in [("initContainers", init), ("containers", main)] {
        for (index, container) in containers.iter().enumerate() {
            let path = ["spec".to_owned(), list.to_owned(), index.to_string()];
            changes.extend(env_from(&path, container, environments));
            changes.extend(endpoint(&path, container, environments));
        }
    }
    let injected: Vec<String> = environments.iter().map(|from| format!("{}={}", from.source, from.secret)).collect();
    for (key, value) in [(INJECTED, injected.join(",")), (INJECTION_WARNINGS, troubles.join("; "))] {
        let present = pod.metadata.annotations.as_ref().and_then(|all| all.get(key));
        if !value.is_empty() && present != Some(&value) {
            changes.push(add(&["metadata".to_owned(), "annotations".to_owned(), key.to_owned()], &value));
        }
    }
    Patch(changes)
}

/// Ours before the Pod's own: of two sources with the same variable, the later wins.
fn env_from(path: &[String], container: &Container, environments: &[Environment]) -> Vec<PatchOperation> {
    let missing = environments.iter().filter(|from| !from.is_in(container)).map(Environment::reference);
    let path = [path, &["envFrom".to_owned()]].concat();
    if container.env_from.is_some() {
        let at = |index: usize| [path.clone(), vec![index.to_string()]].concat();
        return missing.enumerate().map(|(index, from)| add(&at(index), &from)).collect();
    }
    let all: Vec<EnvFromSource> = missing.collect();
    if all.is_empty() { Vec::new() } else { vec![add(&path, &all)] }
}

/// The endpoint that a class gives its workloads is read by every AWS client under one name only, which a prefix would hide.
/// With several sources it is taken from the first.
fn endpoint(path: &[String], container: &Container, environments: &[Environment]) -> Option<PatchOperation> {
    let first = environments.first().filter(|first| !first.prefix.is_empty())?;
    if container.env.iter().flatten().any(|variable| variable.name == ENDPOINT_URL) {
        return None;
    }
    let variable = EnvVar {
        name: ENDPOINT_URL.to_owned(),
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(SecretKeySelector {
                name: first.secret.clone(),
                key: ENDPOINT_URL.to_owned(),
                optional: Some(true),
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    };
    let path = [path, &["env".to_owned()]].concat();
    Some(match container.env {
        Some(_) => add(&[path, vec!["-".to_owned()]].concat(), &variable),
        None => add(&path, &[variable]),
    })
}

fn add<T: Serialize + ?Sized>(path: &[String], value: &T) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(path), value: json!(value) })
}
