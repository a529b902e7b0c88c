//! Help in lines that fit the terminal, with examples that a shell takes as they stand.
//!
//! What follows the options of a command is text of four kinds of lines: prose without an indent, which is filled; examples, `  interplay …`, which
//! are broken behind a backslash and take their comment before them where one line is too short; other indented lines, which go on under
//! their second column; and empty ones.

use clap::Command;
use terminal_size::terminal_size;

use crate::report::wrap::wrapped;

/// Help is no wider, because long lines of prose are hard to read.
const WIDEST: usize = 110;
/// Where nothing says how wide a line is.
const USUAL: usize = 100;
/// What an example and its comment begin with.
const INDENT: &str = "  ";
/// What an example goes on with.
const FURTHER: &str = "      ";

/// Characters of a line of help: the terminal's, or those of `COLUMNS`.
pub fn width() -> usize {
    let terminal = terminal_size().map(|(width, _)| usize::from(width.0));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|width| *width > 0);
    terminal.or_else(told).unwrap_or(USUAL).min(WIDEST)
}

/// The command and all below it, with help in lines of `width` characters.
pub fn fitted(command: Command, width: usize) -> Command {
    let after = command.get_after_help().map(|text| fill(&text.to_string(), width));
    let command = command.term_width(width).mut_subcommands(|command| fitted(command, width));
    match after {
        Some(text) => command.after_help(text),
        None => command,
    }
}

/// A text in lines of `width` characters.
fn fill(text: &str, width: usize) -> String {
    let (mut lines, mut prose) = (Vec::new(), String::new());
    for line in text.lines().chain([""]) {
        let is_prose = !line.is_empty() && !line.starts_with(' ');
        if is_prose {
            prose += if prose.is_empty() { "" } else { " " };
            prose += line;
            // A heading has its own line.
            if !line.ends_with(':') {
                continue;
            }
        }
        if !prose.is_empty() {
            lines.extend(wrapped(&std::mem::take(&mut prose), width));
        }
        match line.strip_prefix(INDENT) {
            Some(example) if example.starts_with("interplay") => lines.extend(example_lines(example, width)),
            Some(other) => lines.extend(hanging(other, width)),
            None if is_prose => {}
            None => lines.push(String::new()),
        }
    }
    lines.pop();
    lines.join("\n")
}

/// An example with its comment, in one line or in several.
fn example_lines(example: &str, width: usize) -> Vec<String> {
    if INDENT.len() + example.chars().count() <= width {
        return vec![format!("{INDENT}{example}")];
    }
    let (command, comment) = example.split_once(" # ").unwrap_or((example, ""));
    let comment = Some(comment).filter(|comment| !comment.is_empty());
    let comment = comment.map_or_else(Vec::new, |comment| wrapped(comment, width.saturating_sub(INDENT.len() + 2)));
    let mut lines: Vec<String> = comment.into_iter().map(|line| format!("{INDENT}# {line}")).collect();
    let mut line = INDENT.to_owned();
    for word in words(command.trim_end()) {
        let blank = if line.trim().is_empty() { "" } else { " " };
        // A backslash and the blank before it must fit as well.
        if !blank.is_empty() && line.chars().count() + blank.len() + word.chars().count() + 2 > width {
            lines.push(line + " \\");
            line = format!("{FURTHER}{word}");
        } else {
            line = line + blank + word;
        }
    }
    lines.push(line);
    lines
}

/// The words of a command as they are written: what stands in quotes is one.
fn words(command: &str) -> Vec<&str> {
    let mut quote = None;
    let apart = |letter: char| {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), _) if open == letter => quote = None,
            _ => {}
        }
        quote.is_none() && letter == ' '
    };
    command.split(apart).filter(|word| !word.is_empty()).collect()
}

/// An indented line that goes on under its second column, where it has one.
fn hanging(line: &str, width: usize) -> Vec<String> {
    let column = line.find("  ").map_or(0, |gap| line.len() - line[gap..].trim_start().len());
    let (first, rest) = line.split_at(column);
    let rest = wrapped(rest, width.saturating_sub(INDENT.len() + first.chars().count()).max(1));
    let begin = |at: usize| if at == 0 { first.to_owned() } else { " ".repeat(first.chars().count()) };
    rest.iter().enumerate().map(|(at, line)| format!("{INDENT}{}{line}", begin(at))).collect()
}

#[cfg(test)]
#[path = "../tests/shown.rs"]
mod shown;

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    /// The command and all below it.
    fn all(command: &Command) -> Vec<&Command> {
        std::iter::once(command).chain(command.get_subcommands().flat_map(all)).collect()
    }

    /// What follows the options of every command.
    fn examples(command: &Command) -> Vec<String> {
        all(command).into_iter().filter_map(|command| Some(command.get_after_help()?.to_string())).collect()
    }

    fn parses(words: &[String]) {
        if let Err(error) = Cli::try_parse_from(words) {
            // A backend that this build lacks is a right word all the same.
            let lacking =
                error.kind() == ErrorKind::ValueValidation && error.to_string().contains("build with `--features");
            assert!(lacking, "{words:?}: {error}");
        }
    }

    #[test]
    fn commands_of_the_help_are_commands_at_every_width() {
        let whole: Vec<_> = examples(&Cli::command()).iter().map(|text| shown::commands(text)).collect();
        assert!(whole.iter().flatten().count() > 80, "{whole:?}");
        whole.iter().flatten().for_each(|words| parses(words));
        for width in [60, 80, 110] {
            let fitted = examples(&fitted(Cli::command(), width));
            let broken: Vec<_> = fitted.iter().map(|text| shown::commands(text)).collect();
            assert_eq!(broken, whole, "an example at {width} characters is another command");
            let long: Vec<_> =
                fitted.iter().flat_map(|text| text.lines()).filter(|line| line.chars().count() > width).collect();
            assert!(long.is_empty(), "{long:#?}");
        }
    }

    #[test]
    fn help_fits_80_characters() {
        let mut command = fitted(Cli::command(), 80);
        command.build();
        for mut command in all(&command).into_iter().cloned() {
            let help = command.render_long_help().to_string() + &command.render_help().to_string();
            // The line of usage is clap's own, which never breaks it.
            let lines = help.lines().filter(|line| !line.starts_with("Usage:"));
            let long: Vec<_> = lines.filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{}: {long:#?}", command.get_name());
        }
    }

    #[test]
    fn commands_of_the_pages_are_commands() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let pages = docs.filter(|path| path.extension().is_some_and(|end| end == "md")).chain([root.join("README.md")]);
        let commands: Vec<_> = pages.flat_map(|path| shown::of_page(&std::fs::read_to_string(path).unwrap())).collect();
        assert!(commands.len() > 80, "{commands:?}");
        commands.iter().for_each(|words| parses(words));
    }

    #[test]
    fn a_long_example_is_broken_behind_a_backslash() {
        let text = "Examples:\n  interplay list formats\n  interplay compress --pipeline 'wanda(2:4), gptq(mxfp4)' --out q   # two methods\n\nProse that\ngoes on.";
        let expected = "Examples:\n  interplay list formats\n  # two methods\n  interplay compress --pipeline \\\n      'wanda(2:4), gptq(mxfp4)' \\\n      --out q\n\nProse that goes on.";
        assert_eq!(fill(text, 33), expected);
        assert_eq!(fill(text, 110), text.replace("that\ngoes", "that goes"));
    }

    #[test]
    fn columns_go_on_below_themselves() {
        assert_eq!(
            fill("Recipes:\n  sq  sparse training in FP32", 20),
            "Recipes:\n  sq  sparse\n      training in\n      FP32"
        );
    }
}
