//! The roles that the chart makes, as the API server's own authorizer understands them.

use std::collections::BTreeSet;
use std::fs;

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use crate::cluster::{Scratch, client, eventually, scratch};
use crate::helm::{chart, documents, kind, only, render};
use crate::values::{injecting, required};

/// All that the operator may do, as `verbs group/resource[/name]`. A longer list is a decision about security.
const OPERATOR: [&str; 15] = [
    "get,list,watch,patch queue.prism.io/queues",
    "update queue.prism.io/queues/status",
    "update queue.prism.io/queues/finalizers",
    "list,watch,patch queue.prism.io/queueaccesses",
    "update queue.prism.io/queueaccesses/status",
    "get,list,watch,create,patch,delete /secrets",
    "get,list,watch,create,patch,delete /configmaps",
    "get,patch /serviceaccounts",
    "create events.k8s.io/events",
    "list,watch queue.prism.io/queueclasses",
    "update queue.prism.io/queueclasses/status",
    "get,list,watch /namespaces",
    "get apiextensions.k8s.io/customresourcedefinitions queues.queue.prism.io",
    "get apiextensions.k8s.io/customresourcedefinitions queueclasses.queue.prism.io",
    "get apiextensions.k8s.io/customresourcedefinitions queueaccesses.queue.prism.io",
];
/// And in the namespace of its lease.
const LEADER: [&str; 2] = ["create coordination.k8s.io/leases", "get,update coordination.k8s.io/leases prism-queue"];
/// With injection on; and where the operator makes the certificate itself.
const INJECTOR: [&str; 1] = ["get queue.prism.io/queueaccesses"];
const CERTIFIER: [&str; 1] =
    ["get,patch admissionregistration.k8s.io/mutatingwebhookconfigurations prism-queue-injection"];
const VIEWER: [&str; 4] = [
    "get,list,watch queue.prism.io/queues",
    "get queue.prism.io/queues/status",
    "get,list,watch queue.prism.io/queueaccesses",
    "get queue.prism.io/queueaccesses/status",
];
/// Of use only where it is bound for the whole cluster.
const CLASS_VIEWER: [&str; 2] =
    ["get,list,watch queue.prism.io/queueclasses", "get queue.prism.io/queueclasses/status"];
const EDITOR: [&str; 2] = [
    "create,update,patch,delete,deletecollection queue.prism.io/queues",
    "create,update,patch,delete,deletecollection queue.prism.io/queueaccesses",
];

/// One permission an entry, so that lists compare whichever way they are grouped.
fn permissions(lists: &[&[&str]]) -> BTreeSet<String> {
    lists
        .iter()
        .flat_map(|list| list.iter())
        .flat_map(|line| {
            let (verbs, what) = line.split_once(' ').unwrap();
            verbs.split(',').map(move |verb| format!("{verb} {what}"))
        })
        .collect()
}

/// What `user` may do in a namespace, as the API server says to the user.
async fn allowed(user: &str, namespace: &str) -> BTreeSet<String> {
    let api: Api<SelfSubjectRulesReview> = Api::all(client(Some(user)).await);
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let rules = api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().resource_rules;
    let mut found = BTreeSet::new();
    for rule in rules {
        let names = rule.resource_names.filter(|names| !names.is_empty()).unwrap_or_else(|| vec![String::new()]);
        for group in rule.api_groups.unwrap_or_default() {
            for resource in rule.resources.iter().flatten() {
                for (verb, name) in rule.verbs.iter().flat_map(|verb| names.iter().map(move |name| (verb, name))) {
                    found.insert(format!("{verb} {group}/{resource} {name}").trim_end().to_owned());
                }
            }
        }
    }
    found
}

/// Waits until `user` may do, beyond what everyone of its sort may, exactly what is wanted.
async fn may_do_exactly(user: &str, like: &str, namespace: &str, wanted: BTreeSet<String>) {
    eventually(
        &format!("{user} may do exactly {wanted:#?} in {namespace}"),
        async || &allowed(user, namespace).await - &allowed(like, namespace).await,
        |seen| *seen == wanted,
    )
    .await;
}

/// Binds a user of the test's own to a `ClusterRole`, in the test's namespace.
async fn bind(scratch: &Scratch, cluster_role: &str) -> String {
    let user = format!("{}-{cluster_role}", scratch.name);
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": user, "namespace": scratch.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]
    });
    scratch.apply(&serde_json::from_value(binding).unwrap()).await;
    user
}

fn rules_of(objects: &[DynamicObject], role: &str) -> Value {
    let found =
        objects.iter().find(|object| kind(object).ends_with("Role") && object.metadata.name.as_deref() == Some(role));
    found.unwrap_or_else(|| panic!("{role} is rendered")).data["rules"].clone()
}

#[tokio::test]
async fn the_operator_may_do_what_it_needs_and_nothing_else() {
    operator_may(&required(), &[&OPERATOR]).await;
}

#[tokio::test]
async fn injection_takes_little_more() {
    operator_may(&injecting(&json!({})), &[&OPERATOR, &INJECTOR, &CERTIFIER]).await;
}

#[tokio::test]
async fn a_certificate_of_somebody_elses_takes_nothing() {
    let values = injecting(&json!({"certificates": {"source": "CertManager"}}));
    operator_may(&values, &[&OPERATOR, &INJECTOR]).await;
}

/// Installs the roles of the chart with these values, and asks what they come to.
async fn operator_may(values: &Value, wanted: &[&[&str]]) {
    scratch(&[], async |scratch| {
        let rendered = render(&scratch.name, &scratch.name, values);
        let parts = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
        for object in rendered.iter().filter(|object| parts.contains(&kind(object))) {
            scratch.apply(object).await;
        }
        let account = only(&rendered, "ServiceAccount").metadata.name.clone().unwrap();
        let operator = format!("system:serviceaccount:{}:{account}", scratch.name);
        let other = format!("system:serviceaccount:{}:nobody", scratch.name);
        let wanted = permissions(wanted);
        may_do_exactly(&operator, &other, &scratch.name, &wanted | &permissions(&[&LEADER])).await;
        may_do_exactly(&operator, &other, "default", wanted).await;
    })
    .await;
}

#[tokio::test]
async fn the_roles_for_people_give_queues_but_never_their_status() {
    scratch(&[], async |scratch| {
        let rendered = render(&scratch.name, &scratch.name, &required());
        for object in rendered.iter().filter(|object| kind(object) == "ClusterRole") {
            scratch.apply(object).await;
        }
        let role = only(&rendered, "Deployment").metadata.name.clone().unwrap();
        for (suffix, wanted) in [
            ("view", permissions(&[&VIEWER])),
            ("edit", permissions(&[&EDITOR])),
            ("view-classes", permissions(&[&CLASS_VIEWER])),
        ] {
            let user = bind(scratch, &format!("{role}-{suffix}")).await;
            may_do_exactly(&user, &scratch.name, &scratch.name, wanted).await;
        }
    })
    .await;
}

/// The controller manager adds labelled roles to Kubernetes' own.
#[tokio::test]
async fn kubernetes_own_roles_take_them_up() {
    scratch(&[], async |scratch| {
        let rendered = render(&scratch.name, &scratch.name, &required());
        for object in rendered.iter().filter(|object| kind(object) == "ClusterRole") {
            scratch.apply(object).await;
        }
        for (role, wanted) in [
            ("view", permissions(&[&VIEWER, &CLASS_VIEWER])),
            ("edit", permissions(&[&VIEWER, &CLASS_VIEWER, &EDITOR])),
            ("admin", permissions(&[&VIEWER, &CLASS_VIEWER, &EDITOR])),
        ] {
            let user = bind(scratch, role).await;
            eventually(
                &format!("{role} gives {wanted:#?}"),
                async || allowed(&user, &scratch.name).await,
                |seen| seen.iter().filter(|entry| entry.contains(" queue.prism.io/")).eq(wanted.iter()),
            )
            .await;
        }
    })
    .await;
}

/// Service Binding specification 1.1, "Role-Based Access Control": its controllers run under a role that gathers those with this label.
#[tokio::test]
async fn controllers_of_service_bindings_may_read_queues() {
    scratch(&[], async |scratch| {
        let name = format!("{}-bindings", scratch.name);
        let controller = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {
                "servicebinding.io/controller": "true", "app.kubernetes.io/instance": scratch.name,
            }}]},
        });
        scratch.apply(&serde_json::from_value(controller).unwrap()).await;
        for object in render(&scratch.name, &scratch.name, &required()).iter().filter(|o| kind(o) == "ClusterRole") {
            scratch.apply(object).await;
        }
        let user = bind(scratch, &name).await;
        may_do_exactly(&user, &scratch.name, &scratch.name, permissions(&[&VIEWER[..1]])).await;
    })
    .await;
}

/// Whether `user`, who is of `group`, may list all classes: the question that a cluster-scoped kind is asked.
async fn may_list_classes(scratch: &Scratch, user: &str, group: &str) -> bool {
    let api: Api<SubjectAccessReview> = Api::all(scratch.client.clone());
    let attributes = ResourceAttributes {
        group: Some("queue.prism.io".to_owned()),
        resource: Some("queueclasses".to_owned()),
        verb: Some("list".to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(user.to_owned()),
        groups: Some(vec![group.to_owned()]),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    api.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed
}

#[tokio::test]
async fn classes_are_read_by_those_who_are_named_and_by_nobody_for_a_role_in_a_namespace() {
    scratch(&[], async |scratch| {
        let group = format!("{}-tenants", scratch.name);
        let mut values = required();
        values["rbac"] = json!({
            "aggregate": false,
            "classReaders": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group}],
        });
        let rendered = render(&scratch.name, &scratch.name, &values);
        let role = format!("{}-view-classes", only(&rendered, "Deployment").metadata.name.clone().unwrap());
        let of_classes = rendered.iter().filter(|object| object.metadata.name.as_deref() == Some(&role));
        let of_classes: Vec<_> = of_classes.collect();
        assert_eq!(
            of_classes.iter().map(|object| kind(object)).collect::<Vec<_>>(),
            ["ClusterRole", "ClusterRoleBinding"]
        );
        for object in of_classes {
            scratch.apply(object).await;
        }
        let tenant = bind(scratch, &role).await;
        let may = async || may_list_classes(scratch, &tenant, &group).await;
        eventually("the group may list classes", may, |may| *may).await;
        assert!(!may_list_classes(scratch, &tenant, "others").await, "the user's RoleBinding does not say so");
    })
    .await;
}

/// The demo and the cluster tests run the operator under these files, so they must be what the chart installs.
#[test]
fn the_operators_roles_are_those_of_the_files() {
    let rendered = render("prism-queue", "queues", &required());
    for (kind_of_role, file) in [("ClusterRole", "cluster-role.yaml"), ("Role", "role.yaml")] {
        let objects: Vec<_> = rendered.iter().filter(|object| kind(object) == kind_of_role).cloned().collect();
        let wanted = documents(&fs::read_to_string(chart().join("files").join(file)).unwrap()).remove(0);
        assert_eq!(rules_of(&objects, "prism-queue"), wanted, "{file}");
    }
}

#[test]
fn no_role_has_a_wildcard() {
    let rendered = render("prism-queue", "queues", &injecting(&json!({})));
    for role in rendered.iter().filter(|object| kind(object).ends_with("Role")) {
        let rules = role.data["rules"].to_string();
        assert!(!rules.contains('*'), "{}: {rules}", kind(role));
    }
}

#[test]
fn roles_are_the_users_to_make_when_they_say_so() {
    let mut values = injecting(&json!({}));
    values["rbac"] = json!({"create": false, "aggregate": false});
    let rendered = render("prism-queue", "queues", &values);
    let roles: Vec<_> = rendered.iter().filter(|object| kind(object).contains("Role")).map(kind).collect();
    assert!(roles.is_empty(), "{roles:?}");
}
