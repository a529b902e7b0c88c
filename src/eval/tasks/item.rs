//! From a line of a task's file to the texts that are scored.

use std::path::Path;

use serde_json::Value;

use super::form::{Answer, Choices, Form};
use crate::Error;
use crate::load::text;

/// One question with its choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The choices, two or more.
    pub choices: Vec<Choice>,
    /// The index of the right one.
    pub answer: usize,
}

/// One choice: a text that a model is to continue, and the continuation that is scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What stands before.
    pub context: String,
    /// What is scored; it begins with the blank that parts it from the context.
    pub continuation: String,
    /// The characters of the continuation without that blank, by which its score is normalised.
    pub length: usize,
}

/// The items of the file of `form` at `path`, one JSON object a line, at most `limit`.
///
/// # Errors
/// The file cannot be read or holds no item, or a line is not of the form; the message names file, line and field.
pub fn read(form: &Form, path: &Path, limit: usize) -> Result<Vec<Item>, Error> {
    let text = text::read(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(limit);
    let items = lines.map(|(index, line)| {
        parse(form, line).map_err(|problem| Error::Malformed {
            path: path.to_owned(),
            problem: format!("line {}: {problem}; a line of `{}` is one JSON object", index + 1, form.name),
        })
    });
    let items = items.collect::<Result<Vec<_>, _>>()?;
    if items.is_empty() {
        return Err(Error::Malformed { path: path.to_owned(), problem: "there is no item in it".into() });
    }
    Ok(items)
}

/// The item on `line`, or what is wrong with it.
fn parse(form: &Form, line: &str) -> Result<Item, String> {
    let value: Value = serde_json::from_str(line).map_err(|e| format!("this is not JSON: {e}"))?;
    let prompt = cleaned(form, &filled(form.prompt, &value)?);
    let (texts, labels) = choices(form, &value)?;
    if texts.len() < 2 {
        return Err(format!("there are {} choices, but at least 2 are needed", texts.len()));
    }
    let answer = answer(form, &value, &labels)?;
    if answer >= texts.len() {
        return Err(format!("the answer is choice {answer}, counted from 0, but there are {} choices", texts.len()));
    }
    let choice = |text: &String| match form.choices {
        Choices::Blank(_) => {
            let (before, after) = prompt.split_once('_').ok_or("the sentence has no `_` to fill")?;
            Choice::new(format!("{before}{text}"), after.trim())
        }
        _ => Choice::new(prompt.clone(), &cleaned(form, text)),
    };
    Ok(Item { choices: texts.iter().map(choice).collect::<Result<_, _>>()?, answer })
}

impl Choice {
    fn new(context: String, text: &str) -> Result<Self, String> {
        if context.trim().is_empty() || text.trim().is_empty() {
            return Err("the prompt or a choice is empty".into());
        }
        Ok(Self { context, continuation: format!(" {text}"), length: text.chars().count() })
    }
}

/// The texts of the choices, and their labels where they have them.
fn choices(form: &Form, value: &Value) -> Result<(Vec<String>, Vec<String>), String> {
    let texts = match form.choices {
        Choices::Fixed(texts) => texts.iter().map(|&text| text.to_owned()).collect(),
        Choices::Fields(fields) | Choices::Blank(fields) => {
            fields.iter().map(|field| string(value, field)).collect::<Result<_, _>>()?
        }
        Choices::List(field) => strings(value, field)?,
        Choices::Labelled(field) => {
            let both = value.get(field).ok_or_else(|| format!("there is no field `{field}`"))?;
            let (texts, labels) = (strings(both, "text")?, strings(both, "label")?);
            if texts.len() != labels.len() {
                return Err(format!("`{field}` has {} texts for {} labels", texts.len(), labels.len()));
            }
            return Ok((texts, labels));
        }
    };
    Ok((texts, Vec::new()))
}

fn answer(form: &Form, value: &Value, labels: &[String]) -> Result<usize, String> {
    match form.answer {
        Answer::Label(field) => {
            let key = string(value, field)?;
            let found = labels.iter().position(|label| label == key.trim());
            found.ok_or_else(|| format!("`{field}` is `{key}`, which is none of the labels {labels:?}"))
        }
        Answer::Index { field, first } => {
            let given = value.get(field).ok_or_else(|| format!("there is no field `{field}`"))?;
            let number = match given {
                Value::Bool(truth) => Some(u64::from(*truth)),
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64(),
            };
            let index = number.and_then(|number| number.checked_sub(first)).and_then(|i| usize::try_from(i).ok());
            index.ok_or_else(|| format!("`{field}` is {given}, but a number from {first} on is needed"))
        }
    }
}

/// The text in `field`.
fn string(value: &Value, field: &str) -> Result<String, String> {
    let text = value.get(field).ok_or_else(|| format!("there is no field `{field}`"))?;
    text.as_str().map(str::to_owned).ok_or_else(|| format!("`{field}` is not a text"))
}

/// The list of texts in `field`.
fn strings(value: &Value, field: &str) -> Result<Vec<String>, String> {
    let list = value.get(field).and_then(Value::as_array).ok_or_else(|| format!("there is no list `{field}`"))?;
    let texts = list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<_>>();
    texts.ok_or_else(|| format!("`{field}` holds something else than texts"))
}

/// `template` with its fields filled in.
fn filled(template: &str, value: &Value) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (field, after) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        match field.strip_suffix("|capitalise") {
            Some(field) => out.push_str(&capitalised(&string(value, field)?)),
            None => out.push_str(&string(value, field)?),
        }
        rest = after;
    }
    Ok(out + rest)
}

/// The first letter large, the others small.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

/// `text` without a how-to site's marks, where the form has them: ` [title]` ends a sentence, other brackets go with what they
/// hold, and the double blanks that stay are single ones.
fn cleaned(form: &Form, text: &str) -> String {
    if !form.bracketed {
        return text.to_owned();
    }
    let text = text.trim().replace(" [title]", ". ");
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some((before, inside)) = rest.split_once('[') {
        let Some((_, after)) = inside.split_once(']') else { break };
        out.push_str(before);
        rest = after;
    }
    (out + rest).replace("  ", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(form: &str, line: &str) -> Result<Item, String> {
        parse(Form::by_name(form).unwrap(), line)
    }

    fn texts(item: &Item) -> Vec<(&str, &str, usize)> {
        item.choices.iter().map(|c| (c.context.as_str(), c.continuation.as_str(), c.length)).collect()
    }

    #[test]
    fn prompts_are_those_of_the_harness() {
        let piqa = item("piqa", r#"{"goal":"Dry a cup","sol1":"Wipe it.","sol2":"Fill it.","label":0}"#).unwrap();
        let prompt = "Question: Dry a cup\nAnswer:";
        assert_eq!(texts(&piqa), [(prompt, " Wipe it.", 8), (prompt, " Fill it.", 8)]);
        assert_eq!(piqa.answer, 0);
        let boolq = item("boolq", r#"{"passage":"Ice is cold.","question":"is ice cold","label":true}"#).unwrap();
        let prompt = "Ice is cold.\nQuestion: is ice cold?\nAnswer:";
        assert_eq!((texts(&boolq), boolq.answer), (vec![(prompt, " no", 2), (prompt, " yes", 3)], 1));
        let book =
            r#"{"question_stem":"Plants need","choices":{"text":["é","sun"],"label":["A","B"]},"answerKey":"B"}"#;
        let book = item("openbookqa", book).unwrap();
        assert_eq!((texts(&book), book.answer), (vec![("Plants need", " é", 1), ("Plants need", " sun", 3)], 1));
    }

    #[test]
    fn a_blank_is_filled_and_the_rest_is_scored() {
        let line = r#"{"sentence":"Ann thanked Bea, for _ had helped. ","option1":"Ann","option2":"Bea","answer":"2"}"#;
        let found = item("winogrande", line).unwrap();
        let want = [("Ann thanked Bea, for Ann", " had helped.", 11), ("Ann thanked Bea, for Bea", " had helped.", 11)];
        assert_eq!((&texts(&found)[..], found.answer), (&want[..], 1));
    }

    #[test]
    fn marks_of_a_how_to_site_are_taken_out() {
        let line = r#"{"activity_label":"Tea","ctx_a":"Boil water. [header] Pour","ctx_b":"the CUP","endings":
            ["is full [step] now","a [title]b"],"label":"1"}"#;
        let found = item("hellaswag", line).unwrap();
        let prompt = "Tea: Boil water. Pour The cup";
        assert_eq!((texts(&found), found.answer), (vec![(prompt, " is full now", 11), (prompt, " a. b", 4)], 1));
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said() {
        let message = |form: &str, line: &str| item(form, line).unwrap_err();
        assert!(message("piqa", "{").contains("not JSON"));
        assert!(message("piqa", r#"{"goal":"g","sol1":"a"}"#).contains("`sol2`"));
        assert!(message("piqa", r#"{"goal":"g","sol1":"a","sol2":"b","label":2}"#).contains("2 choices"));
        assert!(message("piqa", r#"{"goal":"g","sol1":"a","sol2":"","label":1}"#).contains("empty"));
        let blank = r#"{"sentence":"s","option1":"a","option2":"b","answer":"0"}"#;
        assert!(message("winogrande", blank).contains("from 1 on"));
        assert!(message("winogrande", &blank.replace("\"0\"", "\"1\"")).contains("no `_`"));
        let arc = r#"{"question":"q","choices":{"text":["a","b"],"label":["A","B"]},"answerKey":"C"}"#;
        assert!(message("arc_easy", arc).contains("none of the labels"));
        assert!(message("arc_easy", &arc.replace("\"B\"]", "\"B\",\"C\"]")).contains("2 texts for 3 labels"));
    }
}
