//! The reference of the `QueueClass`, from the schema that the API server enforces.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use prism_queue::api::IS_DEFAULT_CLASS;

use super::markdown::{HEADER, code, table};
use super::schema::{columns, fields, names, of_version, property, rules};

/// The page.
pub fn page(crd: &CustomResourceDefinition) -> String {
    let version = &crd.spec.versions[0];
    let schema = of_version(version);
    [
        HEADER.to_owned(),
        "# QueueClass\n".to_owned(),
        format!("{} The same is in `kubectl explain queueclass.spec`.\n", names(crd)),
        "## spec\n".to_owned(),
        "`aws.region`, `aws.accountId` and `allowedNamespaces` are required.\n".to_owned(),
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
        "## Annotations\n".to_owned(),
        table(
            ["Key", "Meaning"],
            [[code(IS_DEFAULT_CLASS), "`\"true\"` on the one class that is for Queues which name none.".to_owned()]],
        ),
    ]
    .join("\n")
}
