//! What the machine must have, checked before anything else is done.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};

use crate::go::Tool;

type Version = (u32, u32);

/// What the modules under `tools/` ask for.
const GO: Version = (1, 26);
/// From this version on, Go fetches a newer toolchain that a go.mod asks for, unless told not to.
const GO_THAT_FETCHES: Version = (1, 21);
const PYTHON: Version = (3, 10);

const GET_GO: &str = "Go 1.26, to build Kubernetes' programs once (1.21 and newer fetch it by themselves)
      https://go.dev/doc/install          or, from Debian 13 or Ubuntu 24.04 on, sudo apt-get install golang-go";
const GET_PYTHON: &str = "Python 3.10 or newer, to run the AWS emulator
      sudo apt-get install python3 python3-venv";
const GET_VENV: &str = "Python's module venv, to install the AWS emulator apart from the system
      sudo apt-get install python3-venv";

/// Fails unless `tools` and, when asked for, the emulator can be had here; names all that is missing, and how to get it.
pub fn check(tools: &[Tool], emulator: bool) -> Result<()> {
    let mut missing = Vec::new();
    let mut build = false;
    for tool in tools {
        build |= tool.is_missing()?;
    }
    if build {
        missing.extend(lack_of_go(go_version(), env::var("GOTOOLCHAIN").is_ok_and(|chosen| chosen == "local")));
    }
    if emulator {
        missing.extend(lack_of_python(python()));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine lacks\n    {}", missing.join("\n    "))
}

fn lack_of_go(version: Option<Version>, fetches_nothing: bool) -> Option<&'static str> {
    let enough = if fetches_nothing { GO } else { GO_THAT_FETCHES };
    version.is_none_or(|version| version < enough).then_some(GET_GO)
}

fn lack_of_python(found: Option<(Version, bool)>) -> Option<&'static str> {
    match found {
        Some((version, true)) if version >= PYTHON => None,
        Some((version, false)) if version >= PYTHON => Some(GET_VENV),
        _ => Some(GET_PYTHON),
    }
}

fn go_version() -> Option<Version> {
    // Answers such as `go1.26.3`, whatever toolchain a go.mod would ask for.
    let answer = answer("go", &["env", "GOVERSION"], &[("GOTOOLCHAIN", "local")])?;
    version(answer.trim().strip_prefix("go")?)
}

/// The version of `python3`, and whether it can make virtual environments.
fn python() -> Option<(Version, bool)> {
    // Debian and Ubuntu ship `venv` without `ensurepip`, which it needs, unless python3-venv is installed.
    const ASK: &str = "import sys, importlib.util as u\n\
        print('%d.%d' % sys.version_info[:2], all(map(u.find_spec, ['venv', 'ensurepip'])))";
    let answer = answer("python3", &["-c", ASK], &[])?;
    let (number, venv) = answer.trim().split_once(' ')?;
    Some((version(number)?, venv == "True"))
}

fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn answer(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Option<String> {
    let output = Command::new(program).args(arguments).envs(environment.iter().copied()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_print_them() {
        assert_eq!(version("1.26.8"), Some((1, 26)));
        assert_eq!(version("1.26rc1"), Some((1, 26)));
        assert_eq!(version("3.9"), Some((3, 9)));
        assert_eq!(version("devel"), None);
    }

    #[test]
    fn an_older_go_will_do_where_it_may_fetch_a_newer_one() {
        assert_eq!(lack_of_go(Some((1, 24)), false), None);
        assert_eq!(lack_of_go(Some((1, 24)), true), Some(GET_GO));
        assert_eq!(lack_of_go(Some((1, 26)), true), None);
        assert_eq!(lack_of_go(Some((1, 19)), false), Some(GET_GO));
        assert_eq!(lack_of_go(None, false), Some(GET_GO));
    }

    #[test]
    fn python_without_venv_is_told_from_no_python() {
        assert_eq!(lack_of_python(Some(((3, 10), true))), None);
        assert_eq!(lack_of_python(Some(((3, 12), false))), Some(GET_VENV));
        assert_eq!(lack_of_python(Some(((3, 9), true))), Some(GET_PYTHON));
        assert_eq!(lack_of_python(None), Some(GET_PYTHON));
    }
}
