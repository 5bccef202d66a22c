//! The reference of the Queue, from the schema that the API server enforces.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use prism_queue::api::{
    ALLOW_MESSAGE_LOSS, FINALIZER, INJECT, INJECTED, INJECTION_WARNINGS, MANAGED_BY_LABEL, MANAGER, RECONCILE_AT,
};
use prism_queue::domain::tags::{ClusterIdentity, Origin, Owner};

use super::markdown::{HEADER, code, codes, prose, table};
use super::schema::{columns, fields, names, of_version, property, rules};

/// The page.
pub fn page(crd: &CustomResourceDefinition) -> String {
    let version = &crd.spec.versions[0];
    let schema = of_version(version);
    [
        HEADER.to_owned(),
        "# Queue\n".to_owned(),
        format!(
            "{} The same is in `kubectl explain queue.spec`. By task, with examples: [using queues](../queue.md).\n",
            names(crd),
        ),
        "## spec\n".to_owned(),
        "Every field is optional: `spec: {}` is a complete Queue. A field that is removed goes back to what it means when \
         omitted. Unknown fields are pruned by the API server, or refused where the client asks for it \
         (`kubectl apply` does).\n"
            .to_owned(),
        fields(&property(schema, "spec")),
        "### Rules\n".to_owned(),
        "Beside the values above, the API server refuses what breaks one of these, with the message shown.\n".to_owned(),
        rules(schema),
        "## status\n".to_owned(),
        "Written by the operator alone.\n".to_owned(),
        fields(&property(schema, "status")),
        "## Columns of kubectl get\n".to_owned(),
        columns(version),
        "## Annotations\n".to_owned(),
        table(
            ["Key", "Meaning"],
            [
                [code(RECONCILE_AT), "Any change of its value reconciles the Queue now.".to_owned()],
                [
                    code(ALLOW_MESSAGE_LOSS),
                    "Names exactly the changes that may destroy messages: `field=value[,field=value]`, the field's path below \
                     `spec`. See [the guard](../queue.md#changes-that-could-destroy-messages)."
                        .to_owned(),
                ],
            ],
        ),
        "## Annotations of Pods\n".to_owned(),
        "With [injection](../injection.md) on.\n".to_owned(),
        table(
            ["Key", "Meaning"],
            [
                [
                    code(INJECT),
                    "The Queues and QueueAccesses of the Pod's namespace whose environment it gets: `NAME` or `access/NAME`, \
                     separated by commas."
                        .to_owned(),
                ],
                [code(INJECTED), "Written by the operator: what the Pod got, `NAME=SECRET`, separated by commas.".to_owned()],
                [
                    code(INJECTION_WARNINGS),
                    "Written by the operator on a Pod that was admitted although something was wrong: what.".to_owned(),
                ],
            ],
        ),
        "## Finalizer and label\n".to_owned(),
        table(
            ["Key", "Meaning"],
            [
                [
                    code(FINALIZER),
                    "On a managed Queue, until its queue in AWS is deleted or let go.".to_owned(),
                ],
                [
                    code(&format!("{MANAGED_BY_LABEL}: {MANAGER}")),
                    "On every Secret and ConfigMap that the operator makes; it watches no others.".to_owned(),
                ],
            ],
        ),
        "## Owner tags in AWS\n".to_owned(),
        "On every queue and dead-letter queue that the operator manages. They say whose it is; see \
         [ownership](../queue.md#whose-queue-is-it).\n"
            .to_owned(),
        owner_tags(),
    ]
    .join("\n")
}

fn owner_tags() -> String {
    let cluster =
        ClusterIdentity { name: "--cluster-name".to_owned(), uid: "kube-system's UID".to_owned(), previous_uid: None };
    let owner = Owner { cluster, namespace: "the Queue's namespace".to_owned(), name: "the Queue's name".to_owned() };
    let adopted = owner.tags(Origin::Adopted);
    let rows = owner.tags(Origin::Created).into_iter().map(|(key, value)| {
        let other = &adopted[&key];
        let value = if *other == value { prose(&value) } else { codes([value.as_str(), other], "or") };
        [code(&key), value]
    });
    table(["Key", "Value"], rows)
}
