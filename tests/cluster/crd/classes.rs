//! What the API server takes and refuses of a `QueueClass`.

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use prism_queue::api::QueueClass;
use serde_json::{Value, json};

use super::assert_refused;
use crate::harness::{Scope, unattended};

const ACCOUNT: &str = "123456789012";

fn api(scope: &Scope) -> Api<QueueClass> {
    Api::all(scope.world.kube.clone())
}

/// A class with what is required, and `changes` on its spec.
fn class(name: &str, changes: &Value) -> Value {
    let mut spec = json!({
        "aws": {"region": "eu-central-1", "accountId": ACCOUNT}, "allowedNamespaces": {"from": "Names", "names": ["nobody"]},
    });
    for (field, value) in changes.as_object().unwrap() {
        spec[field] = value.clone();
    }
    json!({"apiVersion": "queue.prism.io/v1alpha1", "kind": "QueueClass", "metadata": {"name": name}, "spec": spec})
}

fn answer<T>(result: Result<T, kube::Error>) -> Result<T, Box<Status>> {
    result.map_err(|error| match error {
        kube::Error::Api(refusal) => refusal,
        error => panic!("{error}"),
    })
}

/// Asks the API server whether it would take a class.
async fn dry_run(scope: &Scope, name: &str, changes: &Value) -> Result<(), Box<Status>> {
    let resource = kube::api::ApiResource::erase::<QueueClass>(&());
    let api: Api<kube::api::DynamicObject> = Api::all_with(scope.world.kube.clone(), &resource);
    let parameters = PostParams { dry_run: true, field_manager: None };
    let object = serde_json::from_value(class(name, changes)).unwrap();
    answer(api.create(&parameters, &object).await).map(|_| ())
}

/// Fails unless each class is refused at its field in these words.
fn refused(table: &[(Value, &str, &str)]) {
    unattended(async |scope| {
        for (changes, field, words) in table {
            let what = changes.to_string();
            let refusal = dry_run(scope, "bad", changes).await.expect_err(&what);
            assert_refused(&what, &refusal, field, words);
        }
    });
}

const BOUNDARY: &str = "arn:aws:iam::123456789012:policy/boundary";
const PROVIDER: &str = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC";

/// A class that makes roles by tokens, with `changes` on its spec.iam.
fn roles(changes: Value) -> Value {
    with_iam(json!({"permissionsBoundaryArn": BOUNDARY, "oidcProviderArn": PROVIDER}), changes)
}

/// A class that makes roles by EKS Pod Identity, with `changes` on its spec.iam.podIdentity.
fn associations(changes: Value) -> Value {
    let mut cluster = json!({"clusterName": "prod-1", "region": "eu-central-1"});
    cluster.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    with_iam(json!({"permissionsBoundaryArn": BOUNDARY}), json!({"podIdentity": cluster}))
}

fn with_iam(mut iam: Value, changes: Value) -> Value {
    iam.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"iam": iam})
}

fn many(count: usize, name: impl Fn(usize) -> String) -> Value {
    (0..count).map(name).collect()
}

#[test]
fn good_extremes_are_taken() {
    unattended(async |scope| {
        let tags: serde_json::Map<_, _> = (0..40).map(|n| (format!("key-{n}"), json!("x".repeat(256)))).collect();
        let labels: serde_json::Map<_, _> = (0..20).map(|n| (format!("tag-{n}"), json!("example.com/team"))).collect();
        let expressions: Vec<Value> = (0..20)
            .map(|n| json!({"key": format!("k{n}"), "operator": "In", "values": many(64, |n| format!("v{n}"))}))
            .collect();
        let table = [
            json!({}),
            json!({"tags": tags, "tagsFromNamespaceLabels": labels}),
            json!({"allowedNamespaces": {"from": "All"}}),
            json!({"allowedNamespaces": {"from": "Names", "names": many(256, |n| format!("namespace-{n}"))}}),
            json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchExpressions": expressions}}}),
            json!({"allowedNamespaces": {"from": "Selector", "selector": {}}}),
            json!({"naming": {"prefix": "x".repeat(40)}}),
            json!({"naming": {"prefix": "x".repeat(20), "template": "{prefix}{prefix}{namespace}_{name}"}}),
            json!({"naming": {"template": "{namespace}_{name}"}}),
            json!({"aws": {
                "region": "eu-central-1", "accountId": ACCOUNT, "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/path/prism"),
                "externalId": "acme", "useFips": false, "useDualStack": false, "workloadEndpointUrl": "http://sqs.internal:9324",
                "endpoints": {"sqs": "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com", "sts": "http://127.0.0.1:4566", "kms": "https://kms.internal/"},
            }}),
            json!({"limits": {
                "types": ["Standard", "FIFO"], "visibilityTimeoutSeconds": {"min": 0, "max": 0}, "queueNamePattern": "x".repeat(256),
                "deadLetter": {"queueArns": many(100, |n| format!("arn:aws-cn:sqs:cn-north-1:123456789012:dead-{n}.fifo"))},
                "encryption": {"kms": {"keys": many(100, |n| format!("alias/key-{n}"))}},
                "access": {"principalAccounts": many(100, |n| format!("{n:012}")), "services": many(100, |n| format!("s{n}.amazonaws.com")),
                    "organizationIds": many(100, |n| format!("o-{n:032}"))},
                "requiredTags": many(40, |n| format!("tag-{n}")),
            }}),
            json!({"drift": {"intervalSeconds": 10, "mode": "Report"}}),
            json!({"iam": {"path": "/"}}),
            json!({"iam": {"path": format!("/{}/", "x".repeat(510))}}),
            json!({"iam": {"path": "/teams/media+a=b,c.d@e_f-g/"}}),
            roles(json!({})),
            roles(json!({"permissionsBoundaryArn": "arn:aws:iam::aws:policy/PowerUserAccess"})),
            roles(json!({"permissionsBoundaryArn": format!("arn:aws:iam::{ACCOUNT}:policy/a/b/boundary")})),
            json!({"iam": {"permissionsBoundaryArn": BOUNDARY}}),
            associations(json!({})),
            // The cluster may be in another account, with another boundary there.
            associations(json!({
                "roleArn": "arn:aws:iam::111122223333:role/eks",
                "permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary",
            })),
            associations(json!({"clusterName": format!("9{}", "x_-".repeat(33))})),
            json!({"limits": {"iam": {"subjectKinds": ["ServiceAccount", "Role", "Principal"], "policies": ["Send"],
                "roleArnPatterns": many(100, |n| format!("arn:aws:iam::{ACCOUNT}:role/batch-{n}/*"))}}}),
            json!({"limits": {"iam": {"subjectKinds": [], "roleArnPatterns": []}}}),
        ];
        for changes in &table {
            dry_run(scope, "good", changes).await.unwrap_or_else(|refusal| panic!("{changes}: {}", refusal.message));
        }
        dry_run(scope, &"x".repeat(63), &json!({})).await.unwrap();
    });
}

#[test]
fn endpoints_are_named_or_chosen_by_variant_and_not_both() {
    let aws = |variant: &str| {
        json!({"aws": {
            "region": "eu-central-1", "accountId": ACCOUNT, "endpoints": {"sqs": "https://sqs.example.com"}, variant: true,
        }})
    };
    refused(&[
        (aws("useFips"), "spec.aws.endpoints", "cannot be combined with useFips"),
        (aws("useDualStack"), "spec.aws.endpoints", "cannot be combined with useFips"),
    ]);
}

#[test]
fn where_and_as_whom_is_checked() {
    let aws = |changes: Value| {
        let mut aws = json!({"region": "eu-central-1", "accountId": ACCOUNT});
        aws.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"aws": aws})
    };
    refused(&[
        (json!({"aws": {"accountId": ACCOUNT}}), "spec.aws.region", "Required"),
        (json!({"aws": {"region": "eu-central-1"}}), "spec.aws.accountId", "Required"),
        (json!({"allowedNamespaces": null}), "spec.allowedNamespaces", "Required"),
        (aws(json!({"region": "Frankfurt"})), "spec.aws.region", "should match"),
        (aws(json!({"accountId": "1234"})), "spec.aws.accountId", "should match"),
        (aws(json!({"roleArn": "prism-queue"})), "spec.aws.roleArn", "should match"),
        (
            aws(json!({"roleArn": "arn:aws:iam::111122223333:role/x"})),
            "spec.aws.roleArn",
            "must be a role of accountId",
        ),
        (aws(json!({"externalId": "acme"})), "spec.aws.externalId", "no meaning without roleArn"),
        (aws(json!({"endpoints": {"sqs": "ftp://x"}})), "spec.aws.endpoints.sqs", "should match"),
        (aws(json!({"endpoints": {"sts": "https://x/path"}})), "spec.aws.endpoints.sts", "should match"),
        (json!({"iam": {"path": "prism"}}), "spec.iam.path", "should match"),
        (json!({"iam": {"path": "/prism"}}), "spec.iam.path", "should match"),
        (json!({"iam": {"path": "/a//b/"}}), "spec.iam.path", "should match"),
        (json!({"iam": {"path": "/a*/"}}), "spec.iam.path", "should match"),
        (json!({"iam": {"path": format!("/{}/", "x".repeat(511))}}), "spec.iam.path", "may not be more than 512"),
        (aws(json!({"workloadEndpointUrl": "sqs.internal"})), "spec.aws.workloadEndpointUrl", "should match"),
    ]);
}

#[test]
fn how_roles_are_made_is_checked() {
    let (boundary, provider) = ("spec.iam.permissionsBoundaryArn", "spec.iam.oidcProviderArn");
    let without_boundary = |way: Value| json!({"iam": way});
    let cluster = json!({"clusterName": "prod-1", "region": "eu-central-1"});
    let at = |field: &str| format!("spec.iam.podIdentity.{field}");
    let of_cluster = |field: &str, value: Value| associations(json!({(field): value}));
    let limited = |limits: Value| json!({"limits": {"iam": limits}});
    refused(&[
        // No role is made without a boundary.
        (without_boundary(json!({"oidcProviderArn": PROVIDER})), boundary, "no role is made without a boundary"),
        (without_boundary(json!({"podIdentity": cluster})), boundary, "no role is made without a boundary"),
        (roles(json!({"podIdentity": cluster})), "spec.iam", "two ways to the same: give one"),
        // Both are of the account in which roles are made.
        (
            roles(json!({"permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/boundary"})),
            boundary,
            "must be a policy of aws.accountId",
        ),
        (
            roles(json!({"oidcProviderArn": "arn:aws:iam::111122223333:oidc-provider/example.com"})),
            provider,
            "must be a provider in aws.accountId",
        ),
        (roles(json!({"permissionsBoundaryArn": "boundary"})), boundary, "should match"),
        (roles(json!({"permissionsBoundaryArn": format!("arn:aws:iam::{ACCOUNT}:role/x")})), boundary, "should match"),
        (
            roles(json!({"permissionsBoundaryArn": format!("arn:aws:iam::{ACCOUNT}:policy/*")})),
            boundary,
            "should match",
        ),
        (
            roles(json!({"oidcProviderArn": format!("arn:aws:iam::{ACCOUNT}:saml-provider/x")})),
            provider,
            "should match",
        ),
        (
            roles(json!({"oidcProviderArn": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/*")})),
            provider,
            "should match",
        ),
        (of_cluster("clusterName", json!(null)), &at("clusterName"), "Required value"),
        (of_cluster("region", json!(null)), &at("region"), "Required value"),
        (of_cluster("clusterName", json!("prod/1")), &at("clusterName"), "should match"),
        (of_cluster("clusterName", json!("x".repeat(101))), &at("clusterName"), "may not be more than 100"),
        (of_cluster("region", json!("Frankfurt")), &at("region"), "should match"),
        (of_cluster("roleArn", json!("eks")), &at("roleArn"), "should match"),
        (of_cluster("permissionsBoundaryArn", json!("boundary")), &at("permissionsBoundaryArn"), "should match"),
        (limited(json!({"subjectKinds": ["User"]})), "spec.limits.iam.subjectKinds[0]", "Unsupported value"),
        (limited(json!({"subjectKinds": ["Role", "Role"]})), "spec.limits.iam.subjectKinds[1]", "Duplicate value"),
        (limited(json!({"roleArnPatterns": ["*"]})), "spec.limits.iam.roleArnPatterns[0]", "should match"),
        (
            limited(json!({"roleArnPatterns": ["arn:aws:iam::*:role/batch/*"]})),
            "spec.limits.iam.roleArnPatterns[0]",
            "should match",
        ),
    ]);
}

/// A boundary or a provider may change, and tokens may give way to associations.
#[test]
fn how_roles_are_made_may_change() {
    unattended(async |scope| {
        let classes = api(scope);
        let name = format!("{}-roles", scope.name);
        let narrower = json!({"permissionsBoundaryArn": "arn:aws:iam::123456789012:policy/narrower"});
        let mut narrowed = associations(json!({}));
        narrowed["iam"]["permissionsBoundaryArn"] = narrower["permissionsBoundaryArn"].clone();
        let steps = [json!({}), roles(json!({})), roles(narrower), json!({}), associations(json!({})), narrowed];
        for changes in steps {
            let parameters = PatchParams::apply("platform").force().validation_strict();
            let applied = answer(classes.patch(&name, &parameters, &Patch::Apply(&class(&name, &changes))).await);
            applied.unwrap_or_else(|refusal| panic!("{changes}: {}", refusal.message));
        }
        classes.delete(&name, &DeleteParams::default()).await.unwrap();
    });
}

#[test]
fn names_and_namespaces_are_checked() {
    let selector = |selector: Value| json!({"allowedNamespaces": {"from": "Selector", "selector": selector}});
    let expression = |operator: &str, values: Value| {
        selector(json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]}))
    };
    let values = "spec.allowedNamespaces.selector.matchExpressions[0].values";
    refused(&[
        (json!({"naming": {"prefix": "with_underscore"}}), "spec.naming.prefix", "should match"),
        (json!({"naming": {"prefix": "x".repeat(41)}}), "spec.naming.prefix", "may not be more than 40"),
        (json!({"naming": {"template": "{name}"}}), "spec.naming.template", "should match"),
        (json!({"naming": {"template": "{namespace}-{name}"}}), "spec.naming.template", "should match"),
        (json!({"naming": {"template": "a_{namespace}_{name}"}}), "spec.naming.template", "should match"),
        (
            json!({"naming": {"prefix": "x", "template": "a-{namespace}_{name}"}}),
            "spec.naming.prefix",
            "no meaning with a template that does not hold {prefix}",
        ),
        (
            json!({"naming": {"prefix": "x".repeat(30), "template": "{prefix}{prefix}{namespace}_{name}"}}),
            "spec.naming.template",
            "may have 40 characters",
        ),
        (json!({"allowedNamespaces": {}}), "spec.allowedNamespaces.from", "Required"),
        (
            json!({"allowedNamespaces": {"from": "Some"}}),
            "spec.allowedNamespaces.from",
            "\"All\", \"Names\", \"Selector\"",
        ),
        (
            json!({"allowedNamespaces": {"from": "Names"}}),
            "spec.allowedNamespaces.names",
            "names is needed with from: Names",
        ),
        (
            json!({"allowedNamespaces": {"from": "All", "names": ["a"]}}),
            "spec.allowedNamespaces.names",
            "names is needed with from: Names, and only then",
        ),
        (
            json!({"allowedNamespaces": {"from": "Names", "names": ["a"], "selector": {}}}),
            "spec.allowedNamespaces.selector",
            "selector is needed with from: Selector, and only then",
        ),
        (
            json!({"allowedNamespaces": {"from": "Names", "names": ["A"]}}),
            "spec.allowedNamespaces.names[0]",
            "should match",
        ),
        (
            expression("Equals", json!(["a"])),
            "spec.allowedNamespaces.selector.matchExpressions[0].operator",
            "\"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
        ),
        (expression("In", json!([])), values, "values are needed with the operators In and NotIn"),
        (expression("Exists", json!(["a"])), values, "and only then"),
        (
            selector(json!({"matchLabels": {"tier": "no value!"}})),
            "spec.allowedNamespaces.selector.matchLabels.tier",
            "should match",
        ),
    ]);
    unattended(async |scope| {
        for name in ["with.dot", &"x".repeat(64)] {
            let refusal = dry_run(scope, name, &json!({})).await.expect_err(name);
            assert!(refusal.message.contains("metadata.name: must be a DNS label"), "{}", refusal.message);
        }
    });
}

#[test]
fn tags_defaults_and_limits_are_checked() {
    refused(&[
        (json!({"tags": {"queue.prism.io/cluster": "x"}}), "spec.tags", "reserved for the operator"),
        (json!({"tags": {"aws:x": "x"}}), "spec.tags", "reserved by AWS"),
        (json!({"tags": {"semi;colon": "x"}}), "spec.tags", "letters, digits, spaces"),
        (json!({"tagsFromNamespaceLabels": {"aws:x": "x"}}), "spec.tagsFromNamespaceLabels", "are reserved"),
        (
            json!({"tagsFromNamespaceLabels": {"queue.prism.io/name": "x"}}),
            "spec.tagsFromNamespaceLabels",
            "are reserved",
        ),
        (json!({"tagsFromNamespaceLabels": {"semi;colon": "x"}}), "spec.tagsFromNamespaceLabels", "1 to 128 letters"),
        (
            json!({"tagsFromNamespaceLabels": {"team": "no label!"}}),
            "spec.tagsFromNamespaceLabels.team",
            "should match",
        ),
        (json!({"defaults": {"delaySeconds": 901}}), "spec.defaults.delaySeconds", "less than or equal to 900"),
        (
            json!({"defaults": {"deadLetter": {"mode": "Reference"}}}),
            "spec.defaults.deadLetter.mode",
            "\"Managed\", \"None\"",
        ),
        (
            json!({"defaults": {"redriveAllow": {"mode": "ByQueue"}}}),
            "spec.defaults.redriveAllow.mode",
            "supported values",
        ),
        (
            json!({"defaults": {"encryption": {"mode": "None", "kms": {"key": "alias/x"}}}}),
            "spec.defaults.encryption.kms",
            "only with mode KMS",
        ),
        (
            json!({"defaults": {"outputs": {"secret": {"keyPrefix": "AWS_"}}}}),
            "spec.defaults.outputs.secret.keyPrefix",
            "AWS_",
        ),
        (
            json!({"limits": {"delaySeconds": {"min": 2, "max": 1}}}),
            "spec.limits.delaySeconds",
            "min must not exceed max",
        ),
        (json!({"limits": {"types": []}}), "spec.limits.types", "at least 1"),
        (
            json!({"limits": {"deadLetter": {"queueArns": ["dead"]}}}),
            "spec.limits.deadLetter.queueArns[0]",
            "should match",
        ),
        (
            json!({"limits": {"access": {"principalAccounts": ["acme"]}}}),
            "spec.limits.access.principalAccounts[0]",
            "should match",
        ),
        (json!({"limits": {"access": {"services": ["sns"]}}}), "spec.limits.access.services[0]", "should match"),
        (
            json!({"limits": {"access": {"organizationIds": ["acme"]}}}),
            "spec.limits.access.organizationIds[0]",
            "should match",
        ),
        (json!({"drift": {"intervalSeconds": 9}}), "spec.drift.intervalSeconds", "greater than or equal to 10"),
        (json!({"drift": {"mode": "Ignore"}}), "spec.drift.mode", "\"Repair\", \"Report\""),
    ]);
}

#[test]
fn what_would_move_or_rename_queues_never_changes() {
    let aws = |region: &str, account: &str| json!({"aws": {"region": region, "accountId": account}});
    let naming = |value: Value| json!({"naming": value});
    let table = [
        (aws("eu-central-1", ACCOUNT), aws("us-east-1", ACCOUNT), "spec.aws.region", "aws.region is immutable"),
        (
            aws("eu-central-1", ACCOUNT),
            aws("eu-central-1", "111122223333"),
            "spec.aws.accountId",
            "aws.accountId is immutable",
        ),
        (json!({}), naming(json!({"prefix": "a-"})), "spec.naming", "naming is immutable"),
        (naming(json!({"prefix": "a-"})), json!({}), "spec.naming", "naming is immutable"),
        (naming(json!({"prefix": "a-"})), naming(json!({"prefix": "b-"})), "spec.naming", "naming is immutable"),
        (json!({}), json!({"iam": {"path": "/queues/"}}), "spec.iam.path", "iam.path is immutable"),
        (json!({"iam": {"path": "/queues/"}}), json!({}), "spec.iam.path", "iam.path is immutable"),
        (json!({"iam": {}}), json!({"iam": {"path": "/queues/"}}), "spec.iam.path", "iam.path is immutable"),
        (naming(json!({})), naming(json!({"template": "a-{namespace}_{name}"})), "spec.naming", "naming is immutable"),
        // What was made in the one cluster would be left behind.
        (associations(json!({})), roles(json!({})), "spec.iam.podIdentity", "cannot be taken away"),
        (associations(json!({})), associations(json!({"clusterName": "prod-2"})), "spec.iam.podIdentity", "immutable"),
        (associations(json!({})), associations(json!({"region": "us-east-1"})), "spec.iam.podIdentity", "immutable"),
        (
            associations(json!({})),
            associations(
                json!({"roleArn": "arn:aws:iam::111122223333:role/cluster", "permissionsBoundaryArn": BOUNDARY}),
            ),
            "spec.iam.podIdentity",
            "immutable",
        ),
    ];
    unattended(async |scope| {
        let classes = api(scope);
        for (number, (before, after, field, words)) in table.into_iter().enumerate() {
            let name = format!("{}-{number}", scope.name);
            let apply = async |changes: &Value| {
                let parameters = PatchParams::apply("platform").force().validation_strict();
                answer(classes.patch(&name, &parameters, &Patch::Apply(&class(&name, changes))).await)
            };
            apply(&before).await.unwrap();
            let refusal = apply(&after).await.expect_err(&name);
            // All the rest may change.
            let mut free = before.clone();
            free["defaults"] = json!({"delaySeconds": 1});
            free["allowedNamespaces"] = json!({"from": "Names", "names": ["still-nobody"]});
            let changed = apply(&free).await;
            classes.delete(&name, &DeleteParams::default()).await.unwrap();
            assert_refused(&format!("{before} -> {after}"), &refusal, field, words);
            changed.unwrap_or_else(|refusal| panic!("{free}: {}", refusal.message));
        }
    });
}

#[test]
fn nothing_is_filled_into_a_class_and_an_unseen_one_is_not_taken_for_current() {
    unattended(async |scope| {
        let resource = kube::api::ApiResource::erase::<QueueClass>(&());
        let raw: Api<kube::api::DynamicObject> = Api::all_with(scope.world.kube.clone(), &resource);
        let written = class(&scope.name, &json!({"defaults": {}, "limits": {"access": {}}, "drift": {}}));
        let object = serde_json::from_value(written.clone()).unwrap();
        let stored = raw.create(&PostParams { dry_run: true, field_manager: None }, &object).await.unwrap().data;
        assert_eq!(stored["spec"], written["spec"]);
        assert_eq!(stored["status"], json!({"observedGeneration": -1}));
    });
}
