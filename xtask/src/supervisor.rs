//! One run of the task runner: a private folder, and the programs started in it.
//! Dropping a run, or ending by any other way, ends the programs and removes the folder.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use anyhow::{Context, Result, bail};

use crate::guard::LOCK;
use crate::interrupt;
use crate::terminal::Progress;

/// How often a condition is looked at again.
const INTERVAL: Duration = Duration::from_millis(50);
/// How many lines of a log are shown when its program ended early.
const LOG_LINES: usize = 20;

/// A private folder, removed when the run is over and its last program has ended.
pub struct Run {
    folder: PathBuf,
    // Declared last: dropped after all else.
    _sweeper: Guarded,
}

impl Run {
    pub fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("prism-queue-").tempdir().context("cannot make a folder")?.keep();
        File::create(folder.join(LOCK))?;
        let child = own_executable()?.arg("sweep").arg(&folder).spawn().context("cannot start the sweeper")?;
        Ok(Self { folder, _sweeper: Guarded(child) })
    }

    /// A path in the run's folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file into the run's folder, which nobody else can enter.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Starts a program that runs beside this one; its output goes to a log in the run's folder.
    pub fn serve(&self, name: &'static str, program: &Program) -> Result<Service> {
        let log = self.path(format!("{name}.log"));
        let output = File::create(&log)?;
        let errors = output.try_clone()?;
        let child = program.guarded(&self.path(LOCK))?.stdout(output).stderr(errors).spawn()?;
        Ok(Service { name, log, guarded: Guarded(child) })
    }

    /// Runs a program to its end, its output going where ours goes.
    pub fn run(&self, program: &Program) -> Result<ExitStatus> {
        self.finish(program.guarded(&self.path(LOCK))?.spawn()?, None)
    }

    /// The same with its standard output going to `output`.
    pub fn run_into(&self, program: &Program, output: File) -> Result<ExitStatus> {
        self.finish(program.guarded(&self.path(LOCK))?.stdout(output).spawn()?, None)
    }

    /// The same with all that it prints kept; `progress` tells the time that it takes.
    pub fn run_quietly(&self, program: &Program, progress: Option<&mut Progress>) -> Result<Output> {
        let (mut output, mut errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
        let mut command = program.guarded(&self.path(LOCK))?;
        let child = command.stdout(output.try_clone()?).stderr(errors.try_clone()?).spawn()?;
        let status = self.finish(child, progress)?;
        Ok(Output { status, stdout: text(&mut output)?, stderr: text(&mut errors)? })
    }

    #[allow(clippy::unused_self, reason = "a program runs within a run")]
    fn finish(&self, child: Child, mut progress: Option<&mut Progress>) -> Result<ExitStatus> {
        let mut guarded = Guarded(child);
        loop {
            if let Some(status) = guarded.0.try_wait()? {
                return Ok(status);
            }
            interrupt::check()?;
            if let Some(progress) = &mut progress {
                progress.tick();
            }
            thread::sleep(INTERVAL);
        }
    }
}

/// What a program that was run to its end left behind.
pub struct Output {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The standard output, or an error holding what the program said.
    pub fn checked(self, what: &str) -> Result<String> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        let said = format!("{}{}", self.stdout, self.stderr);
        bail!("{what} failed ({}):\n{}", self.status, last_lines(&said, LOG_LINES));
    }
}

/// A program with its arguments and environment, not started yet.
pub struct Program {
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    folder: PathBuf,
    grace: Duration,
}

impl Program {
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            command: vec![program.as_ref().to_owned()],
            environment: Vec::new(),
            folder: crate::root(),
            grace: Duration::from_secs(2),
        }
    }

    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.push(argument.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Where it runs; the root of the checkout when not said.
    pub fn folder(mut self, folder: PathBuf) -> Self {
        self.folder = folder;
        self
    }

    /// How long it may take to end when told to.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    fn guarded(&self, lock: &Path) -> Result<Command> {
        let mut command = own_executable()?;
        command
            .args(["guard", "--grace-ms", &self.grace.as_millis().to_string(), "--lock"])
            .arg(lock)
            .arg("--")
            .args(&self.command)
            .current_dir(&self.folder);
        // What the developer has set up for a real account or cluster never reaches what is started here.
        for (name, _) in env::vars_os() {
            let shown = name.to_string_lossy();
            if shown.starts_with("AWS_") || shown.starts_with("PRISM_") || shown == "KUBECONFIG" {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

fn own_executable() -> Result<Command> {
    // `cargo test --workspace` may replace the file that we were started from: Linux keeps it under this name.
    let kept = Path::new("/proc/self/exe");
    let mut command = Command::new(if kept.exists() { kept.to_owned() } else { env::current_exe()? });
    command.arg0("xtask").stdin(Stdio::piped()).process_group(0);
    Ok(command)
}

/// A guard, told to end when dropped.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Closes the pipe first, which is what tells a guard to end its program.
        let _ = self.0.wait();
    }
}

/// A program that runs beside this one until it is dropped.
pub struct Service {
    name: &'static str,
    log: PathBuf,
    guarded: Guarded,
}

impl Service {
    /// Fails, with the end of its log, when the program has ended.
    pub fn check(&mut self) -> Result<()> {
        let Some(status) = self.guarded.0.try_wait()? else { return Ok(()) };
        bail!("{} ended early ({status})\n{}", self.name, self.end_of_log());
    }

    /// Waits until `condition` gives something, while the program lives.
    pub fn until<T>(&mut self, limit: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let found = poll(limit, || {
            self.check()?;
            condition()
        })?;
        found.with_context(|| format!("{} is not ready after {} s; {}", self.name, limit.as_secs(), self.end_of_log()))
    }

    /// What it said last.
    pub fn end_of_log(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        format!("the end of its log:\n{}", last_lines(&log, LOG_LINES))
    }

    pub fn log(&self) -> &Path {
        &self.log
    }
}

/// Waits until `condition` gives something; fails after `limit`, on its first error, or on Ctrl-C.
pub fn until<T>(limit: Duration, condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    poll(limit, condition)?.with_context(|| format!("waited for {} s in vain", limit.as_secs()))
}

/// The same with nothing for an answer after `limit`.
fn poll<T>(limit: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    // A limit past the end of time is none.
    let deadline = Instant::now().checked_add(limit);
    loop {
        interrupt::check()?;
        if let Some(found) = condition()? {
            return Ok(Some(found));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
        thread::sleep(INTERVAL);
    }
}

fn text(file: &mut File) -> Result<String> {
    io::Seek::rewind(file)?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(file, &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
