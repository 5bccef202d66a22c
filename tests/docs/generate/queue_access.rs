//! The reference of the `QueueAccess`, from the schema that the API server enforces.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use prism_queue::api::{FINALIZER, MANAGED_BY_LABEL, MANAGER};

use super::markdown::{HEADER, code, table};
use super::schema::{columns, fields, names, of_version, property, rules};

/// The page.
pub fn page(crd: &CustomResourceDefinition) -> String {
    let version = &crd.spec.versions[0];
    let schema = of_version(version);
    [
        HEADER.to_owned(),
        "# QueueAccess\n".to_owned(),
        format!(
            "{} The same is in `kubectl explain queueaccess.spec`. By task, with examples: \
             [access](../access.md#queueaccess).\n",
            names(crd),
        ),
        "## spec\n".to_owned(),
        "`queueRef.name`, `permissions` and `subject.principalArn` are required.\n".to_owned(),
        fields(&property(schema, "spec")),
        "### Rules\n".to_owned(),
        "Beside the values above, the API server refuses what breaks one of these, with the message shown.\n"
            .to_owned(),
        rules(schema),
        "## status\n".to_owned(),
        "Written by the operator alone.\n".to_owned(),
        fields(&property(schema, "status")),
        "## Columns of kubectl get\n".to_owned(),
        columns(version),
        "## Finalizer and label\n".to_owned(),
        table(
            ["Key", "Meaning"],
            [
                [code(FINALIZER), "Until the queue policy lets the subject in no longer.".to_owned()],
                [code(&format!("{MANAGED_BY_LABEL}: {MANAGER}")), "On the Secret.".to_owned()],
            ],
        ),
    ]
    .join("\n")
}
