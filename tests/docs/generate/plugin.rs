//! The reference of the plugin.

use clap::{Arg, ArgAction, Command, CommandFactory};
use prism_queue::cli::Cli;

use super::flags::paragraphs;
use super::markdown::{HEADER, code, codes};

/// The page.
pub fn page() -> String {
    let introduction = [
        HEADER,
        "# kubectl queue\n",
        "A plugin of kubectl: the program `kubectl-queue` on the `PATH`. How to get it: [install.md](../install.md#2-the-iam-policy).\n",
    ]
    .join("\n");
    introduction + &commands(&Cli::command(), "kubectl queue")
}

/// Those that do something.
fn commands(command: &Command, line: &str) -> String {
    let with = |sub: &Command| (format!("{line} {}", sub.get_name()), sub.clone());
    let subcommands: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").map(with).collect();
    if subcommands.is_empty() {
        return one(command, line);
    }
    subcommands.iter().map(|(line, command)| commands(command, line)).collect()
}

fn one(command: &Command, line: &str) -> String {
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    let flags = command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()));
    format!("\n## `{line}`\n{}{}", paragraphs(&about), flags.map(flag).collect::<String>())
}

fn flag(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    format!("\n### `--{}`\n\n{}\n{}", arg.get_long().unwrap(), facts(arg).join(" · "), paragraphs(&help))
}

/// Its value, its letter, and what it is when left out.
fn facts(arg: &Arg) -> Vec<String> {
    let words: Vec<String> = arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let value = match (words.is_empty(), arg.get_value_names()) {
        (false, _) => codes(words.iter().map(String::as_str), "or"),
        (true, Some([name])) => code(name),
        (true, _) => panic!("how is --{} written?", arg.get_id()),
    };
    let letter = arg.get_short().map(|letter| code(&format!("-{letter}")));
    let is_repeated = matches!(arg.get_action(), ArgAction::Append).then(|| "may be repeated".to_owned());
    let default = arg.get_default_values().first().map(|value| format!("default {}", code(&value.to_string_lossy())));
    let otherwise = if arg.is_required_set() { "required" } else { "optional" };
    let rest = default.unwrap_or_else(|| otherwise.to_owned());
    std::iter::once(value).chain(letter).chain([rest]).chain(is_repeated).collect()
}
