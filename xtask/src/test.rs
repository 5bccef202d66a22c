//! Every test, with what they need started for them.

use std::env;
use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::cargo;
use crate::control_plane::{self, ControlPlane};
use crate::emulator::{self, Emulator, Policies};
use crate::supervisor::Run;
use crate::terminal::Progress;
use crate::{go, prerequisites};

/// The test targets that need a control plane, an emulator or Helm, of whichever package.
const TARGETS: [&str; 3] = ["cluster", "chart", "up"];

/// What properties draw their cases from. Set it to another number to look further.
const SEED: &str = "PROPTEST_RNG_SEED";

/// `cargo xtask test`.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut tools = control_plane::TOOLS.to_vec();
    tools.extend([go::CONTROLLER_MANAGER, go::HELM]);
    prerequisites::check(&tools, true)?;
    let run = Run::start()?;
    for tool in &tools {
        tool.path(&run)?;
    }
    let python = emulator::install(&run)?;

    let progress = Progress::start("starting etcd, the Kubernetes API server, its controllers and two AWS emulators");
    let mut emulator = Emulator::start(&run, python.clone(), Policies::Kept)?;
    let mut enforcing = Emulator::start(&run, python, Policies::Enforced)?;
    let mut control_plane = ControlPlane::start(&run)?;
    emulator.wait()?;
    enforcing.wait()?;
    control_plane.wait(&run)?;
    control_plane.start_controllers(&run)?;
    progress.done();

    let helm = go::HELM.path(&run)?;
    // The same cases for everybody: a property that fails only now and then would refuse the wrong change.
    let seed = env::var(SEED).unwrap_or_else(|_| "1".to_owned());
    // The whole workspace each time: another choice of packages would build dependencies with other features.
    let mut passed = true;
    for target in std::iter::once(None).chain(TARGETS.map(Some)) {
        let mut test = cargo()
            .args(["test", "--workspace", "--no-fail-fast"])
            .env("PRISM_TEST_KUBECONFIG", &control_plane.admin.kubeconfig)
            .env("PRISM_TEST_AUDIT_LOG", &control_plane.audit_log)
            .env("PRISM_TEST_ENDPOINT", &emulator.endpoint)
            .env("PRISM_TEST_ENFORCING_ENDPOINT", &enforcing.endpoint)
            .env("PRISM_TEST_HELM", &helm)
            .env(SEED, &seed);
        if let Some(target) = target {
            test = test.args(["--test", target]);
        }
        passed &= run.run(&test.args(arguments))?.success();
    }
    // Tests that failed because of it are better explained by the end of its log.
    control_plane.check()?;
    emulator.service.check()?;
    enforcing.service.check()?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
