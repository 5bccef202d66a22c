//! The reference of the command line.

use clap::{Arg, ArgAction, Command, CommandFactory};
use prism_queue::runtime::settings::Cli;

use super::markdown::{HEADER, code, codes, prose};

/// The page.
pub fn page() -> String {
    let introduction = [
        HEADER,
        "# Flags\n",
        "Each flag is an environment variable as well; a flag on the command line wins. The chart sets them from its \
         [values](../../charts/prism-queue/values.yaml).\n",
    ]
    .join("\n");
    introduction + &Cli::command().get_subcommands().map(subcommand).collect::<String>()
}

fn subcommand(command: &Command) -> String {
    let about = command.get_long_about().or(command.get_about()).unwrap().to_string();
    let flags: String = command.get_arguments().filter(|arg| arg.get_env().is_some()).map(flag).collect();
    format!("\n## `prism-queue {}`\n{}{flags}", command.get_name(), paragraphs(&about))
}

fn flag(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string();
    format!("\n### `--{}`\n\n{}\n{}", arg.get_long().unwrap(), facts(arg).join(" · "), paragraphs(&help))
}

/// Its variable, its value, and what it is when left out.
fn facts(arg: &Arg) -> Vec<String> {
    let mut facts = vec![code(&arg.get_env().unwrap().to_string_lossy())];
    let words: Vec<String> = arg.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let is_switch = arg.get_num_args().is_some_and(|count| count.min_values() == 0);
    facts.push(match (words.is_empty(), arg.get_value_names()) {
        (false, _) => codes(words.iter().map(String::as_str), "or"),
        (true, Some([name])) if matches!(arg.get_action(), ArgAction::Set) && !is_switch => code(name),
        _ => panic!("how is --{} written?", arg.get_id()),
    });
    let defaults: Vec<String> =
        arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    facts.push(match (arg.is_required_set(), defaults.iter().find(|default| !default.is_empty())) {
        (true, _) => "required".to_owned(),
        (false, Some(default)) => format!("default {}", code(default)),
        (false, None) => "optional".to_owned(),
    });
    facts
}

/// Clap takes the full stop from a text of one paragraph.
pub fn paragraphs(text: &str) -> String {
    let sentence = |paragraph: &str| format!("\n{}.\n", prose(paragraph).trim_end_matches('.'));
    text.split("\n\n").map(sentence).collect()
}
