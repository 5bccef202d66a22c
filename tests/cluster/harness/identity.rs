//! Who the operator is in Kubernetes: a `ServiceAccount` with exactly the rules of the chart.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Resource};
use kube_runtime::wait::{await_condition, conditions};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::wait::SOON;

/// A `ServiceAccount` in a namespace of its own, which holds the leader lease too.
pub struct Identity {
    pub namespace: String,
    /// A kubeconfig that holds nothing but its token.
    pub kubeconfig: Kubeconfig,
}

/// A client of the API server.
pub async fn client(kubeconfig: &Kubeconfig) -> Client {
    let config = Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("the kubeconfig makes sense")).expect("a client")
}

/// A file of this checkout.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A YAML file of this checkout.
pub fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Installs the CRDs as they are released, and waits until they are served.
pub async fn install_crds(kube: &Client) {
    let mut folder: Vec<_> = std::fs::read_dir(file("crds")).expect("crds/ is there").map(Result::unwrap).collect();
    folder.sort_by_key(std::fs::DirEntry::path);
    for crd in folder {
        let crd = yaml(&format!("crds/{}", crd.file_name().to_string_lossy()));
        let name = crd["metadata"]["name"].as_str().expect("a CRD has a name").to_owned();
        let api: Api<CustomResourceDefinition> = Api::all(kube.clone());
        apply(&api, crd).await;
        let established = await_condition(api, &name, conditions::is_crd_established());
        timeout(SOON, established).await.expect("the CRD is established soon").expect("the CRD can be watched");
    }
}

pub async fn apply<K>(api: &Api<K>, object: Value)
where
    K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    K::DynamicType: Default,
{
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    let mut object = object;
    object["apiVersion"] = json!(K::api_version(&K::DynamicType::default()));
    object["kind"] = json!(K::kind(&K::DynamicType::default()));
    let parameters = PatchParams::apply("cluster-tests").force();
    api.patch(&name, &parameters, &Patch::Apply(&object)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
}

impl Identity {
    /// The name that Kubernetes knows it by.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:operator", self.namespace)
    }

    pub async fn make(kube: &Client, admin: &Kubeconfig) -> Self {
        let namespace = format!("operator-{}", std::process::id());
        apply(&Api::<Namespace>::all(kube.clone()), json!({"metadata": {"name": namespace}})).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(kube.clone(), &namespace);
        apply(&accounts, json!({"metadata": {"name": "operator"}})).await;

        let subjects = json!([{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}]);
        let rules = |name: &str| yaml(&format!("charts/prism-queue/files/{name}.yaml"));
        let reference = |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": namespace});
        let metadata = json!({"name": namespace});
        apply(&Api::<ClusterRole>::all(kube.clone()), json!({"metadata": metadata, "rules": rules("cluster-role")}))
            .await;
        apply(
            &Api::<ClusterRoleBinding>::all(kube.clone()),
            json!({"metadata": metadata, "roleRef": reference("ClusterRole"), "subjects": subjects}),
        )
        .await;
        apply(
            &Api::<Role>::namespaced(kube.clone(), &namespace),
            json!({"metadata": metadata, "rules": rules("role")}),
        )
        .await;
        apply(
            &Api::<RoleBinding>::namespaced(kube.clone(), &namespace),
            json!({"metadata": metadata, "roleRef": reference("Role"), "subjects": subjects}),
        )
        .await;

        let spec = TokenRequestSpec { expiration_seconds: Some(7200), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let made = accounts.create_token_request("operator", &PostParams::default(), &request).await;
        let token = made.expect("a token for the operator").status.expect("the token").token;
        let mut kubeconfig = with_token(admin, &token);
        // As in a Pod: its own namespace is where what names none is.
        for context in kubeconfig.contexts.iter_mut().filter_map(|named| named.context.as_mut()) {
            context.namespace = Some(namespace.clone());
        }
        Self { namespace, kubeconfig }
    }

    /// Takes the leader lease from whoever holds it.
    pub async fn drop_lease(&self, kube: &Client) {
        let leases: Api<Lease> = Api::namespaced(kube.clone(), &self.namespace);
        match leases.delete("prism-queue", &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => panic!("the lease: {error}"),
        }
    }
}

/// The same cluster with nothing but this token.
fn with_token(admin: &Kubeconfig, token: &str) -> Kubeconfig {
    let mut kubeconfig = admin.clone();
    let auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
    for named in &mut kubeconfig.auth_infos {
        named.auth_info = Some(auth_info.clone());
    }
    kubeconfig
}
