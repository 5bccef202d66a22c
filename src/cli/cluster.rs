//! The cluster that kubectl would talk to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Request;
use kube::{Client, Config, Resource};
use serde_json::Value;
use tokio::time::timeout;

/// How long the API server may take to answer: the client itself would try again for many minutes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which cluster.
#[derive(Clone, Debug, Default, Args)]
pub struct ClusterFlags {
    /// The kubeconfig to use, in place of $KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig to use, in place of its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

impl ClusterFlags {
    /// One object that is of no namespace, as the API server has it.
    ///
    /// # Errors
    /// Why there is none, for people.
    pub async fn get<K: Resource<DynamicType = ()>>(&self, name: &str) -> Result<Value, String> {
        let what = format!("{} {name:?}", K::kind(&()));
        let client = self.client().await?;
        let request = Request::new(K::url_path(&(), None)).get(name, &kube::api::GetParams::default());
        let request = request.map_err(|error| format!("{what}: {error}"))?;
        match timeout(PATIENCE, client.request::<Value>(request)).await {
            Ok(Ok(object)) => Ok(object),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(if status.details.is_some() {
                format!(
                    "there is no {what} in the cluster; `kubectl get {}` lists those that are there",
                    K::plural(&())
                )
            } else {
                format!("the cluster knows no {} at all: is the chart installed there?", K::kind(&()))
            }),
            Ok(Err(error)) => Err(format!("cannot read {what}: {error}")),
            Err(_) => Err(format!("cannot read {what}: the API server did not answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn client(&self) -> Result<Client, String> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let config = match (&self.kubeconfig, &self.context) {
            (Some(file), _) => {
                let kubeconfig = Kubeconfig::read_from(file).map_err(|error| format!("{}: {error}", file.display()))?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| error.to_string())
            }
            (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| error.to_string()),
            (None, None) => Config::infer().await.map_err(|error| error.to_string()),
        };
        let config = config.map_err(|error| format!("no cluster to ask: {error}"))?;
        Client::try_from(config).map_err(|error| format!("no cluster to ask: {error}"))
    }
}
