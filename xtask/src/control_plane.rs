//! A Kubernetes control plane of one's own: etcd, the API server and, for tests, the controller manager.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::go::{self, Tool};
use crate::http;
use crate::kubectl::{self, Kubectl};
use crate::supervisor::{Program, Run, Service};

/// What a control plane without controllers is made of.
pub const TOOLS: [Tool; 3] = [go::ETCD, go::API_SERVER, go::KUBECTL];

const START: Duration = Duration::from_mins(2);

/// Every answer to a service account is kept: who asked for what, and never a content. Operators are the only ones here;
/// the controllers are the administrator. The renewals of leader leases say nothing, and go on for ever.
const AUDIT_POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
  userGroups: [\"system:serviceaccounts\"]
";

/// A control plane that answers. Its programs are ended in the order of these fields.
pub struct ControlPlane {
    controller_manager: Option<Service>,
    api_server: Service,
    etcd: Service,
    port: u16,
    authority: PathBuf,
    key: PathBuf,
    pub admin: Kubectl,
    /// What the API server answered to service accounts: JSON, one `audit.k8s.io/v1` Event a line.
    pub audit_log: PathBuf,
}

impl ControlPlane {
    /// Starts etcd and the API server.
    pub fn start(run: &Run) -> Result<Self> {
        let [etcd, api_server, kubectl] = TOOLS.map(|tool| tool.path(run));
        let [etcd_port, port] = http::free_ports()?;
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let etcd = run.serve("etcd", &etcd_program(etcd?, &etcd_url, &run.path("etcd")))?;

        let token = random_token()?;
        let tokens = run.write("tokens.csv", format!("{token},admin,admin,system:masters\n"))?;
        // The API server makes itself a key and a certificate, behind one for its issuer, in one file. It does so before
        // it reads its other files, so that the same key will do for the tokens of service accounts.
        let certificates = run.path("certificates");
        let (authority, key) = (certificates.join("apiserver.crt"), certificates.join("apiserver.key"));
        let audit_policy = run.write("audit-policy.yaml", AUDIT_POLICY)?;
        let audit_log = run.path("audit.log");
        let program = Program::new(api_server?)
            .arg(format!("--etcd-servers={etcd_url}"))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            // The `kubernetes` Service would need an address that is not loopback; nothing here uses it.
            .arg("--endpoint-reconciler-type=none")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg(with_path("--cert-dir=", &certificates))
            .arg("--authorization-mode=RBAC")
            .arg(with_path("--token-auth-file=", &tokens))
            .arg(with_path("--audit-policy-file=", &audit_policy))
            .arg(with_path("--audit-log-path=", &audit_log))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(with_path("--service-account-key-file=", &key))
            .arg(with_path("--service-account-signing-key-file=", &key));
        let api_server = run.serve("kube-apiserver", &program)?;

        let kubeconfig = run.write("kubeconfig", kubectl::config(port, &authority, "admin", &token).to_string())?;
        let admin = Kubectl { program: kubectl?, kubeconfig };
        Ok(Self { controller_manager: None, api_server, etcd, port, authority, key, admin, audit_log })
    }

    pub fn wait(&mut self, run: &Run) -> Result<()> {
        let (etcd, admin) = (&mut self.etcd, &self.admin);
        self.api_server.until(START, || {
            etcd.check()?;
            Ok(admin.output(run, &["get", "--raw", "/readyz"])?.status.success().then_some(()))
        })
    }

    /// Starts the controllers too: garbage collection, deletion of namespaces and the rest.
    pub fn start_controllers(&mut self, run: &Run) -> Result<()> {
        let program = Program::new(go::CONTROLLER_MANAGER.path(run)?)
            .arg(with_path("--kubeconfig=", &self.admin.kubeconfig))
            .arg(with_path("--service-account-private-key-file=", &self.key))
            .args(["--controllers=*", "--leader-elect=false", "--use-service-account-credentials=false"])
            // Nothing asks it for anything.
            .args(["--secure-port=0", "--bind-address=127.0.0.1"]);
        let mut service = run.serve("kube-controller-manager", &program)?;
        // What they make in each namespace shows that they are at work.
        let account = ["get", "serviceaccount", "default", "--namespace", "default"];
        service.until(START, || Ok(self.admin.output(run, &account)?.status.success().then_some(())))?;
        self.controller_manager = Some(service);
        Ok(())
    }

    /// Fails when one of the programs has ended.
    pub fn check(&mut self) -> Result<()> {
        self.etcd.check()?;
        self.api_server.check()?;
        self.controller_manager.as_mut().map_or(Ok(()), Service::check)
    }

    /// Writes a kubeconfig for another user into the run's folder.
    pub fn kubeconfig(&self, run: &Run, user: &str, token: &str) -> Result<PathBuf> {
        let config = kubectl::config(self.port, &self.authority, user, token);
        run.write(&format!("{user}.kubeconfig"), config.to_string())
    }
}

fn etcd_program(program: PathBuf, url: &str, data: &Path) -> Program {
    Program::new(program)
        .arg(with_path("--data-dir=", data))
        .args(["--listen-client-urls", url, "--advertise-client-urls", url])
        // It has no peers; a port is asked for all the same.
        .args(["--listen-peer-urls", "http://127.0.0.1:0"])
        // Nothing in it outlives the run.
        .arg("--unsafe-no-fsync")
}

fn with_path(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push(path);
    argument
}

fn random_token() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random numbers: {error}"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
