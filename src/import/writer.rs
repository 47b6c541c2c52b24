//! The text of an import: what is lost, the settings, and what else there is to say.

use super::Imported;
use super::draft::{ImportDraft, Remark, Weight};
use crate::config::{Config, Problem, TextPlace};

pub(super) fn write(mut draft: ImportDraft, by: &str, from: &str) -> Imported {
    let settings = settings(&mut draft);
    let is_lossy = draft
        .remarks
        .iter()
        .any(|remark| matches!(remark.weight, Weight::Lost | Weight::Unknown));
    let mut text = format!("# Made by {by} from {from}.\n");
    text.push_str(match is_lossy {
        true => "# Not everything can be kept: read on.\n",
        false => "# Nothing that IMAP users see is lost.\n",
    });
    draft.remarks.sort_by_key(|remark| remark.weight);
    list(
        &mut text,
        &draft.remarks,
        Weight::Lost,
        "What your users will miss, and what to do:",
    );
    text.push('\n');
    text.push_str(match settings.is_empty() {
        true => "# Every setting is at its default.\n",
        false => &settings,
    });
    list(
        &mut text,
        &draft.remarks,
        Weight::Note,
        "What else to know:",
    );
    list(
        &mut text,
        &draft.remarks,
        Weight::Stays,
        "What is not about IMAP:",
    );
    list(
        &mut text,
        &draft.remarks,
        Weight::Unknown,
        "Not understood; look whether your users would miss it:",
    );
    Imported { text, is_lossy }
}

/// The TOML, each line with its origin.  `roost check` accepts it: what contradicts something else
/// is left out, and told.
fn settings(draft: &mut ImportDraft) -> String {
    let mut lines: Vec<String> = Vec::new();
    let toml = draft.config.to_toml(false);
    let mut section = String::new();
    let mailboxes = &draft.config.mailboxes;
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[') {
            let mailbox = mailboxes.iter().find(|mailbox| mailbox.section() == line);
            section = match mailbox {
                Some(mailbox) => format!("mailbox.{}", mailbox.name),
                None => name.trim_end_matches(']').to_owned(),
            };
        }
        let key = line.split(" = ").next().unwrap_or("");
        let name = format!("{section}.{key}");
        let origin = draft.origins.iter().find(|(known, _)| *known == name);
        lines.push(match origin {
            Some((_, origin)) if !line.is_empty() => format!("{line}  # {origin}"),
            _ => line.to_owned(),
        });
    }
    // Each round takes one line away.
    for _ in 0..lines.len() {
        let Some((at, problem)) = first_mistake(&lines) else {
            break;
        };
        let Some(line) = lines.get_mut(at) else {
            break;
        };
        let text = format!(
            "{}: {}",
            line.split("  #").next().unwrap_or(line),
            problem.text
        );
        draft.remark(Weight::Lost, "left out", text);
        *line = format!("#{line}");
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn first_mistake(lines: &[String]) -> Option<(usize, Problem)> {
    let problems = Config::load(&lines.join("\n"), &[]).err()?;
    let mut mistakes = problems.into_iter().filter(|problem| !problem.is_warning);
    mistakes.find_map(|problem| match problem.place {
        TextPlace::File { line, .. } => Some((line.checked_sub(1)?, problem)),
        TextPlace::CommandLine | TextPlace::Nowhere => None,
    })
}

fn list(text: &mut String, remarks: &[Remark], weight: Weight, head: &str) {
    let mut remarks = remarks
        .iter()
        .filter(|remark| remark.weight == weight)
        .peekable();
    if remarks.peek().is_none() {
        return;
    }
    text.push_str(&format!("\n# {head}\n"));
    for remark in remarks {
        let whole = match remark.text.as_str() {
            "" => remark.subject.clone(),
            words => format!("{}: {words}", remark.subject),
        };
        text.push_str(&comment(&whole));
    }
}

/// An item of a list, in lines of a comment.
fn comment(words: &str) -> String {
    let mut text = String::from("# -");
    let mut length = text.len();
    // What came from a file may have anything in it.
    let words = words.replace(char::is_control, " ");
    for word in words.split_whitespace() {
        if length + 1 + word.chars().count() > COLUMNS && length > 3 {
            text.push_str("\n#  ");
            length = 3;
        }
        text.push(' ');
        text.push_str(word);
        length += 1 + word.chars().count();
    }
    text.push('\n');
    text
}

const COLUMNS: usize = 100;
