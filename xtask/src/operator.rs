//! The operator as a subprocess that may do what its chart allows it, and nothing else.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::aws::{ACCOUNT, REGION, SECRET_KEY};
use crate::control_plane::ControlPlane;
use crate::http;
use crate::supervisor::{Program, Run, Service};

/// Where the chart is installed.
const NAMESPACE: &str = "prism-queue-system";
const RBAC: &str = "rbac.authorization.k8s.io/v1";
const START: Duration = Duration::from_mins(1);

/// Installs the CRDs and the identity that the chart would.
pub fn install(run: &Run, control_plane: &ControlPlane) -> Result<()> {
    let crds = crate::root().join("crds");
    ensure!(crds.is_dir(), "there is no folder crds/");
    let folder = crds.to_string_lossy();
    let kubectl = &control_plane.admin;
    kubectl.run(run, &["apply", "--server-side", "--filename", &folder])?;
    kubectl.run(run, &["wait", "--for=condition=Established", "--timeout=60s", "--filename", &folder])?;
    let identity = run.write("identity.yaml", identity(&crate::root().join("charts/prism-queue/files"))?)?;
    kubectl.run(run, &["apply", "--server-side", "--filename", &identity.to_string_lossy()])?;
    Ok(())
}

/// The chart's rules, bound to a `ServiceAccount` of the operator's own.
fn identity(rules: &Path) -> Result<String> {
    let read = |name: &str| {
        let path = rules.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read the chart's {}", path.display()))
    };
    let (cluster_role, role) = (read("cluster-role.yaml")?, read("role.yaml")?);
    let binding = |kind: &str, namespace: &str| {
        format!(
            "apiVersion: {RBAC}\nkind: {kind}Binding\nmetadata: {{name: prism-queue{namespace}}}\n\
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: prism-queue}}\n\
             subjects: [{{kind: ServiceAccount, name: prism-queue, namespace: {NAMESPACE}}}]\n"
        )
    };
    let within = format!(", namespace: {NAMESPACE}");
    Ok([
        format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n"),
        format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: prism-queue{within}}}\n"),
        format!("apiVersion: {RBAC}\nkind: ClusterRole\nmetadata: {{name: prism-queue}}\nrules:\n{cluster_role}\n"),
        binding("ClusterRole", ""),
        format!("apiVersion: {RBAC}\nkind: Role\nmetadata: {{name: prism-queue{within}}}\nrules:\n{role}\n"),
        binding("Role", &within),
    ]
    .join("---\n"))
}

/// Starts the operator, and waits until it works.
pub fn start(run: &Run, control_plane: &ControlPlane, program: &Path, endpoint: &str) -> Result<Service> {
    let token = ["create", "token", "prism-queue", "--namespace", NAMESPACE, "--duration=24h"];
    let token = control_plane.admin.run(run, &token)?;
    let kubeconfig = control_plane.kubeconfig(run, "operator", token.trim())?;
    let [port] = http::free_ports()?;
    let address = format!("127.0.0.1:{port}");
    let program = Program::new(program)
        .arg("controller")
        .args(["--cluster-name", "demo", "--region", REGION, "--endpoint-url", endpoint])
        .args(["--http-address", &address, "--leader-election-namespace", NAMESPACE])
        // Short, so that a person sees them happen.
        .args(["--resync", "15s", "--empty-for", "5s"])
        .env("KUBECONFIG", kubeconfig)
        .env("AWS_ACCESS_KEY_ID", ACCOUNT)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        // Whatever the developer has set up for a real account stays out of this.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        // Time to give back its lease.
        .grace(Duration::from_secs(10));
    let mut service = run.serve("operator", &program)?;
    let ready = format!("http://{address}/readyz");
    service.until(START, || Ok(http::is_well(&ready).then_some(())))?;
    Ok(service)
}
