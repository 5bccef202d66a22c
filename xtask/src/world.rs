//! All that `demo` and `up` start: a control plane, an AWS emulator and the operator between them.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::aws::{ACCOUNT, REGION, SECRET_KEY, Sqs};
use crate::control_plane::{self, ControlPlane};
use crate::emulator::{self, Emulator, Policies};
use crate::supervisor::{Run, Service, until};
use crate::terminal::{self, Progress};
use crate::tour::Tour;
use crate::{aws, cargo, go, interrupt, operator, prerequisites};

/// Everything is up. Ended in the order of these fields.
pub struct World {
    pub operator: Service,
    pub control_plane: ControlPlane,
    emulator: Emulator,
    pub sqs: Sqs,
    pub run: Run,
}

/// `cargo xtask demo`.
pub fn demo(once: bool) -> Result<ExitCode> {
    let mut world = World::start()?;
    let told = Tour::new(&world).tell();
    // The reason why a step fell short may be that something has ended.
    world.check()?;
    let code = told?;
    if once {
        return Ok(code);
    }
    world.stay()?;
    Ok(code)
}

/// `cargo xtask up`.
pub fn up() -> Result<ExitCode> {
    World::start()?.stay()?;
    Ok(ExitCode::SUCCESS)
}

impl World {
    fn start() -> Result<Self> {
        prerequisites::check(&control_plane::TOOLS, true)?;
        let run = Run::start()?;
        let program = cargo::build_operator(&run)?;
        for tool in control_plane::TOOLS {
            tool.path(&run)?;
        }
        let python = emulator::install(&run)?;

        let progress = Progress::start("starting etcd, the Kubernetes API server and the AWS emulator");
        let mut emulator = Emulator::start(&run, python, Policies::Kept)?;
        let mut control_plane = ControlPlane::start(&run)?;
        emulator.wait()?;
        aws::make_role(&emulator.endpoint)?;
        control_plane.wait(&run)?;
        progress.done();

        let progress = Progress::start("starting the operator with the rights that its chart gives it");
        operator::install(&run, &control_plane)?;
        let operator = operator::start(&run, &control_plane, &program, &emulator.endpoint)?;
        progress.done();
        Ok(Self { operator, control_plane, sqs: Sqs::new(&emulator.endpoint), emulator, run })
    }

    /// Fails when one of the programs has ended.
    fn check(&mut self) -> Result<()> {
        self.control_plane.check()?;
        self.emulator.service.check()?;
        self.operator.check()
    }

    /// Shows how to explore, and waits for Ctrl-C.
    fn stay(mut self) -> Result<()> {
        self.show_how_to_explore();
        let ended = until(Duration::MAX, || self.check().map(|()| None::<()>));
        match ended {
            Err(error) if error.is::<interrupt::Interrupted>() => {
                println!("\nstopping");
                Ok(())
            }
            other => other,
        }
    }

    fn show_how_to_explore(&self) {
        let admin = &self.control_plane.admin;
        terminal::heading("Yours to explore, until Ctrl-C; copy into another terminal");
        println!("export KUBECONFIG={}", admin.kubeconfig.display());
        if let Some(folder) = admin.program.parent().filter(|_| !is_on_path(go::KUBECTL.name)) {
            println!("export PATH=\"$PATH:{}\"    # for kubectl", folder.display());
        }
        // Version 1 of the AWS CLI reads AWS_DEFAULT_REGION, and no endpoint from the environment for SQS.
        println!("export AWS_ENDPOINT_URL={} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}", self.emulator.endpoint);
        println!("export AWS_ACCESS_KEY_ID={ACCOUNT} AWS_SECRET_ACCESS_KEY={SECRET_KEY}");
        println!();
        println!("kubectl get queues --all-namespaces --output wide");
        println!("kubectl explain queue.spec.deadLetter");
        println!("kubectl apply --filename examples/");
        println!("aws --endpoint-url $AWS_ENDPOINT_URL sqs list-queues");
        println!("tail -f {}", self.operator.log().display());
        println!();
        println!(
            "No controller-manager runs here: a deleted namespace stays Terminating, and Secrets stay when their Queue goes."
        );
    }
}

fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
