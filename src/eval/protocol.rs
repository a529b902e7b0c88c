//! How a file becomes one text: the protocols of published perplexities.
//!
//! A protocol says which documents a file has, how many of them count, what stands between them, and how many windows of which
//! length are cut. A number is comparable with a published one only under the same protocol, window and stride.

use serde_json::Value;

use crate::Error;
use crate::load::nearest;

/// The window of the publications that follow these protocols, in tokens; less where the model's longest sequence is.
const PUBLISHED_WINDOW: usize = 2048;

/// What a file's documents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Documents {
    /// The whole file is one.
    Whole,
    /// Every line, with its newline; a line of blanks is an empty document.
    Lines,
    /// One JSON object a line, with the document in the field `text`.
    Json,
}

/// A way from a file to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Protocol {
    /// The name on the command line.
    pub name: &'static str,
    /// What it does, and who has it.
    pub about: &'static str,
    documents: Documents,
    /// How many documents count.
    first: usize,
    /// What stands between two documents.
    between: &'static str,
    /// Tokens a window, unless the caller says.
    pub window: Option<usize>,
    /// Windows, unless the caller says.
    pub windows: Option<usize>,
}

/// Every protocol.
pub const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        name: "text",
        about: "the file as it is",
        documents: Documents::Whole,
        first: usize::MAX,
        between: "",
        window: None,
        windows: None,
    },
    Protocol {
        name: "wikitext2",
        about: "lines of wiki.test.raw joined by two newlines, all windows of 2048 (SparseGPT, Wanda, SmoothQuant, AWQ)",
        documents: Documents::Lines,
        first: usize::MAX,
        between: "\n\n",
        window: Some(PUBLISHED_WINDOW),
        windows: Some(usize::MAX),
    },
    Protocol {
        name: "c4",
        about: "the first 1100 documents of validation shard 0 joined by a blank, 256 windows of 2048 (GPTQ's `new-eval`, SparseGPT, Wanda)",
        documents: Documents::Json,
        first: 1100,
        between: " ",
        window: Some(PUBLISHED_WINDOW),
        windows: Some(256),
    },
];

impl Protocol {
    /// The protocol called `name`, in any case.
    ///
    /// # Errors
    /// There is none; the message has the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let lower = name.trim().to_lowercase();
        PROTOCOLS.iter().find(|protocol| protocol.name == lower).ok_or_else(|| {
            let known = PROTOCOLS.map(|protocol| protocol.name);
            let near = nearest(&lower, known.into_iter())
                .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            Error::Invalid(format!("there is no protocol `{name}`; it is one of {}{near}", known.join(", ")))
        })
    }

    /// The text that `raw` is under this protocol.
    ///
    /// # Errors
    /// A line is no JSON object with a `text`, or nothing is left.
    pub fn text(&self, raw: &str) -> Result<String, Error> {
        let documents: Vec<String> = match self.documents {
            Documents::Whole => vec![raw.to_owned()],
            Documents::Lines => {
                let lines = raw.split_inclusive('\n').take(self.first);
                lines.map(|line| if line.trim().is_empty() { String::new() } else { line.to_owned() }).collect()
            }
            Documents::Json => {
                let lines = raw.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).take(self.first);
                lines.map(|(number, line)| document(number + 1, line)).collect::<Result<_, _>>()?
            }
        };
        let text = documents.join(self.between);
        if text.is_empty() { Err(Error::Invalid("the text is empty under this protocol".into())) } else { Ok(text) }
    }
}

/// The `text` of the JSON object on line `number`.
fn document(number: usize, line: &str) -> Result<String, Error> {
    let value: Value = serde_json::from_str(line).map_err(|e| {
        Error::Invalid(format!("line {number} is not JSON ({e}); unpack the shard first if it is a .gz"))
    })?;
    let text = value.get("text").and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| Error::Invalid(format!("line {number} has no field `text` with a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, raw: &str) -> Result<String, Error> {
        Protocol::by_name(name)?.text(raw)
    }

    #[test]
    fn rows_of_wikitext_are_joined_as_the_data_set_has_them() {
        assert_eq!(text("wikitext2", " \n = A = \n b\n").unwrap(), "\n\n = A = \n\n\n b\n");
        assert_eq!(text("text", "a\n\nb").unwrap(), "a\n\nb");
    }

    #[test]
    fn documents_of_c4_are_joined_by_a_blank() {
        let raw = "{\"text\":\"a\\nb\",\"url\":\"u\"}\n\n{\"text\":\"c\"}\n";
        assert_eq!(text("c4", raw).unwrap(), "a\nb c");
        let many = "{\"text\":\"x\"}\n".repeat(1200);
        assert_eq!(text("c4", &many).unwrap().len(), 1100 + 1099);
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(text("c4", "{\"text\":\"a\"}\n{}").unwrap_err().to_string().contains("line 2"));
        assert!(text("c4", "plain").unwrap_err().to_string().contains("line 1 is not JSON"));
        assert!(text("c5", "").unwrap_err().to_string().contains("nearest is `c4`"));
        assert!(text("text", "").is_err());
    }
}
