//! The forms of multiple-choice tasks: which fields a line has, how they become a prompt, and where the answer stands.
//!
//! The fields are those of the public data sets, the prompts those of EleutherAI's lm-evaluation-harness, without examples
//! before the question.

use crate::Error;
use crate::load::nearest;

/// A task form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The task's name; its file is `NAME.jsonl`.
    pub name: &'static str,
    /// What is asked.
    pub about: &'static str,
    /// The prompt: text with fields in braces; `{field|capitalise}` raises the first letter and lowers the others.
    pub(super) prompt: &'static str,
    /// Where the choices are.
    pub(super) choices: Choices,
    /// Where the answer is.
    pub(super) answer: Answer,
    /// Whether texts carry the marks of a how-to site: `[title]` and other words in brackets.
    pub(super) bracketed: bool,
}

/// Where the choices of an item are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choices {
    /// One field each.
    Fields(&'static [&'static str]),
    /// The same for every item.
    Fixed(&'static [&'static str]),
    /// A field with a list of texts.
    List(&'static str),
    /// A field with `text`, a list of texts, and `label`, a list of their labels.
    Labelled(&'static str),
    /// The fields fill the first `_` of the prompt; what follows it is the continuation, the same for each.
    Blank(&'static [&'static str]),
}

/// Where the number of the right choice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// In a field, as a number, a number in quotes, or a truth value; the first choice has the number `first`.
    Index { field: &'static str, first: u64 },
    /// In a field that repeats one of the labels.
    Label(&'static str),
}

/// What both ARC sets have in common.
const ARC: Form = Form {
    name: "arc_easy",
    about: "science questions of schools, the easy set",
    prompt: "Question: {question}\nAnswer:",
    choices: Choices::Labelled("choices"),
    answer: Answer::Label("answerKey"),
    bracketed: false,
};

/// Every form.
pub const FORMS: [Form; 7] = [
    Form {
        name: "piqa",
        about: "which of two ways reaches a goal",
        prompt: "Question: {goal}\nAnswer:",
        choices: Choices::Fields(&["sol1", "sol2"]),
        answer: Answer::Index { field: "label", first: 0 },
        bracketed: false,
    },
    Form {
        name: "boolq",
        about: "yes or no, by a passage",
        prompt: "{passage}\nQuestion: {question}?\nAnswer:",
        choices: Choices::Fixed(&["no", "yes"]),
        answer: Answer::Index { field: "label", first: 0 },
        bracketed: false,
    },
    Form {
        name: "hellaswag",
        about: "how a scene goes on",
        prompt: "{activity_label}: {ctx_a} {ctx_b|capitalise}",
        choices: Choices::List("endings"),
        answer: Answer::Index { field: "label", first: 0 },
        bracketed: true,
    },
    Form {
        name: "winogrande",
        about: "whom a sentence speaks of",
        prompt: "{sentence}",
        choices: Choices::Blank(&["option1", "option2"]),
        answer: Answer::Index { field: "answer", first: 1 },
        bracketed: false,
    },
    ARC,
    Form { name: "arc_challenge", about: "science questions of schools, the hard set", ..ARC },
    Form {
        name: "openbookqa",
        about: "questions on elementary science facts",
        prompt: "{question_stem}",
        choices: Choices::Labelled("choices"),
        answer: Answer::Label("answerKey"),
        bracketed: false,
    },
];

impl Form {
    /// The form called `name`, in any case.
    ///
    /// # Errors
    /// There is none; the message has the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let lower = name.trim().to_lowercase();
        FORMS.iter().find(|form| form.name == lower).ok_or_else(|| {
            let known = FORMS.map(|form| form.name);
            let near = nearest(&lower, known.into_iter())
                .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            Error::Invalid(format!("there is no task `{name}`; it is one of {}{near}", known.join(", ")))
        })
    }
}
