//! Programs that are built from Go modules under `tools/`, or taken from where the developer has them.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::cache;
use crate::supervisor::{Program, Run};
use crate::terminal::Progress;

/// The directory that `setup-envtest use -p path` names, as Kubernetes developers have it.
const ASSETS: &str = "KUBEBUILDER_ASSETS";

/// A program of one of the modules.
#[derive(Clone, Copy)]
pub struct Tool {
    /// What its file is called.
    pub name: &'static str,
    /// The folder under `tools/` whose go.mod pins it.
    module: &'static str,
    package: &'static str,
}

pub const ETCD: Tool = Tool { name: "etcd", module: "controlplane", package: "go.etcd.io/etcd/server/v3" };
pub const API_SERVER: Tool =
    Tool { name: "kube-apiserver", module: "controlplane", package: "k8s.io/kubernetes/cmd/kube-apiserver" };
pub const CONTROLLER_MANAGER: Tool = Tool {
    name: "kube-controller-manager",
    module: "controlplane",
    package: "k8s.io/kubernetes/cmd/kube-controller-manager",
};
pub const KUBECTL: Tool = Tool { name: "kubectl", module: "controlplane", package: "k8s.io/kubernetes/cmd/kubectl" };
pub const HELM: Tool = Tool { name: "helm", module: "helm", package: "helm.sh/helm/v4/cmd/helm" };

impl Tool {
    /// Whether it would have to be built.
    pub fn is_missing(&self) -> Result<bool> {
        Ok(self.given()?.is_none() && !self.cached()?.exists())
    }

    /// Its path, built first if need be.
    pub fn path(&self, run: &Run) -> Result<PathBuf> {
        if let Some(path) = self.given()? {
            return Ok(path);
        }
        let path = self.cached()?;
        cache::ensure(&path, |built| self.build(run, built))?;
        Ok(path)
    }

    fn given(&self) -> Result<Option<PathBuf>> {
        let Some(assets) = env::var_os(ASSETS).filter(|assets| !assets.is_empty()).map(PathBuf::from) else {
            return Ok(None);
        };
        ensure!(
            assets.join(API_SERVER.name).exists(),
            "{ASSETS} is {}, where there is no {}; unset it to have one built",
            assets.display(),
            API_SERVER.name
        );
        Ok(Some(assets.join(self.name)).filter(|path| path.exists()))
    }

    fn cached(&self) -> Result<PathBuf> {
        let folder = self.folder();
        let read =
            |name| fs::read(folder.join(name)).with_context(|| format!("cannot read {name} of tools/{}", self.module));
        let key = cache::key(&[&read("go.mod")?, &read("go.sum")?]);
        Ok(cache::folder()?.join(self.module).join(key).join(self.name))
    }

    fn folder(&self) -> PathBuf {
        crate::root().join("tools").join(self.module)
    }

    fn build(&self, run: &Run, built: &Path) -> Result<()> {
        let manifest = fs::read_to_string(self.folder().join("go.mod"))?;
        let mut progress = Progress::start(format!("building {}, once; this takes minutes", self.name));
        let go = Program::new("go")
            .folder(self.folder())
            // A newer toolchain that go.mod asks for comes by itself, also where a distribution has this turned off.
            .env("GOTOOLCHAIN", env::var_os("GOTOOLCHAIN").unwrap_or_else(|| "auto".into()))
            .env("CGO_ENABLED", "0")
            .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &link_flags(&manifest), "-o"])
            .arg(built)
            .arg(self.package);
        run.run_quietly(&go, Some(&mut progress))?.checked(&format!("building {}", self.name))?;
        progress.done();
        Ok(())
    }
}

/// Without symbols; and Kubernetes's programs are told their version, which the linker is the only one to know.
fn link_flags(manifest: &str) -> String {
    let mut flags = "-s -w".to_owned();
    let Some(version) = required(manifest, "k8s.io/kubernetes") else { return flags };
    let mut numbers = version.trim_start_matches('v').split('.');
    let values = [("gitVersion", Some(version)), ("gitMajor", numbers.next()), ("gitMinor", numbers.next())];
    for (name, value) in values {
        if let Some(value) = value {
            flags += " -X k8s.io/component-base/version.";
            flags += name;
            flags += "=";
            flags += value;
        }
    }
    flags
}

/// The version of `module` that a go.mod requires.
fn required<'m>(manifest: &'m str, module: &str) -> Option<&'m str> {
    manifest.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word == "require");
        (words.next() == Some(module)).then(|| words.next()).flatten().filter(|version| version.starts_with('v'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_is_linked_with_the_version_that_go_mod_requires() {
        let manifest = "require (\n\tk8s.io/kubernetes v1.36.3\n)\nreplace k8s.io/kubernetes => ./x\n";
        assert_eq!(
            link_flags(manifest),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
        );
        assert_eq!(
            link_flags("require k8s.io/kubernetes v1.2.3"),
            link_flags("\tk8s.io/kubernetes v1.2.3 // indirect")
        );
    }

    #[test]
    fn other_modules_are_linked_without_a_version() {
        assert_eq!(link_flags("require (\n\tk8s.io/kubernetes-lookalike v1.0.0\n)"), "-s -w");
    }
}
