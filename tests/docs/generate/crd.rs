//! The CRD as it is installed.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// The manifest of `crd`.
pub fn manifest(crd: &CustomResourceDefinition) -> String {
    let yaml = serde_yaml::to_string(crd).unwrap();
    format!("# Generated from src/api by `cargo xtask crds`. Do not edit.\n{yaml}")
}
