//! From the text extract to a folder that holds everything an evaluation needs: model, tokenizer, held-out text, record.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::export::{json_bytes, safetensors_bytes};
use super::kneser_ney::KneserNey;
use super::lm::{self, Recipe, Trained};
use super::text::{self, Document, Split};
use super::{Point, Progress, bpe, loss_csv};
use crate::Error;
use crate::files;
use crate::load::text::sha256;

/// What a finished run says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Number of parameters.
    pub parameters: usize,
    /// Tokens of the training text.
    pub train_tokens: usize,
    /// Tokens of the held-out text.
    pub held_out_tokens: usize,
    /// The point whose parameters were kept.
    pub best: Point,
    /// Held-out perplexity of the language model.
    pub perplexity: f64,
    /// Perplexity of the Kneser-Ney trigram on the same windows.
    pub kneser_ney_perplexity: f64,
}

/// The texts of a run, as tokens.
struct Corpus {
    split: Split,
    held_out_text: String,
    tokenizer: Tokenizer,
    train: Vec<u32>,
    held_out: Vec<u32>,
    extract_sha256: String,
}

impl Corpus {
    /// Reads the extract, splits it and learns the tokenizer from the training side.
    fn read(extract: &Path, vocabulary: usize) -> Result<Self, Error> {
        let content = fs::read(extract).map_err(|source| Error::Io { path: extract.to_owned(), source })?;
        let malformed = |problem: &str| Error::Malformed { path: extract.to_owned(), problem: problem.to_owned() };
        let content = String::from_utf8(content).map_err(|_| malformed("the text extract is not UTF-8"))?;
        let split = text::split(&content);
        if split.held_out.is_empty() {
            return Err(malformed("fewer than ten documents in `<doc id=\"…\" title=\"…\">` markup; give wiki.utf8"));
        }
        let bodies: Vec<String> = split.train.iter().map(|document| document.body.clone()).collect();
        let tokenizer = bpe::train(&bodies, vocabulary)?;
        let held_out_text = text::join(&split.held_out);
        let train = bpe::encode(&tokenizer, &bodies.join(text::SEPARATOR))?;
        let held_out = bpe::encode(&tokenizer, &held_out_text)?;
        Ok(Self { split, held_out_text, tokenizer, train, held_out, extract_sha256: sha256(content.as_bytes()) })
    }
}

/// Trains on the documents of `extract` and writes the folder `out`, every file whole or not at all.
///
/// `command` is what the record names as the way to repeat the run. `report` sees every step and may stop the run.
///
/// # Errors
/// The extract cannot be read or is no extract, the recipe does not fit it, or a file cannot be written.
pub fn run(
    extract: &Path,
    out: &Path,
    recipe: &Recipe,
    command: &str,
    report: &mut dyn FnMut(Progress) -> bool,
) -> Result<Summary, Error> {
    let corpus = Corpus::read(extract, recipe.vocabulary)?;
    let trigrams = KneserNey::train(&corpus.train, recipe.vocabulary);
    let baseline = trigrams.perplexity(&corpus.held_out, recipe.context);
    let trained = lm::train(recipe, &trigrams, &corpus.train, &corpus.held_out, report)?;
    let summary = Summary {
        parameters: trained.parameters,
        train_tokens: corpus.train.len(),
        held_out_tokens: corpus.held_out.len(),
        best: trained.best,
        perplexity: trained.best.held_out_loss.exp(),
        kneser_ney_perplexity: baseline,
    };
    write(out, recipe, command, &corpus, &trained, &summary)?;
    Ok(summary)
}

fn write(
    out: &Path,
    recipe: &Recipe,
    command: &str,
    corpus: &Corpus,
    trained: &Trained,
    summary: &Summary,
) -> Result<(), Error> {
    let tokenizer = corpus.tokenizer.to_string(true).map_err(|error| Error::Invalid(format!("tokenizer: {error}")))?;
    let mut config = serde_json::to_value(recipe.config()).map_err(|error| Error::Invalid(format!("JSON: {error}")))?;
    config["architectures"] = json!(["OPTForCausalLM"]);
    config["torch_dtype"] = json!("float32");
    let contents: [(&str, Vec<u8>); 7] = [
        ("config.json", json_bytes(&config)?),
        ("tokenizer.json", tokenizer.into_bytes()),
        ("model.safetensors", safetensors_bytes(&trained.tensors)?),
        ("heldout.txt", corpus.held_out_text.clone().into_bytes()),
        ("loss.csv", loss_csv(&trained.curve).into_bytes()),
        ("ATTRIBUTION.md", attribution(&corpus.split.held_out).into_bytes()),
        ("training.json", Vec::new()),
    ];
    let checksums = contents[..6].iter().map(|(name, bytes)| ((*name).to_owned(), sha256(bytes).into())).collect();
    let record = record(recipe, command, corpus, trained, summary, Value::Object(checksums));
    files::folder(out)?;
    for (name, bytes) in contents {
        let bytes = if bytes.is_empty() { json_bytes(&record)? } else { bytes };
        files::write(&out.join(name), &bytes)?;
    }
    Ok(())
}

fn record(
    recipe: &Recipe,
    command: &str,
    corpus: &Corpus,
    trained: &Trained,
    summary: &Summary,
    files: Value,
) -> Value {
    let ids = |documents: &[Document]| documents.iter().map(|document| document.id.clone()).collect::<Vec<_>>();
    let titles: Vec<_> = corpus.split.held_out.iter().map(|document| document.title.as_str()).collect();
    json!({
        "schema_version": 1,
        "command": command,
        "versions": super::versions(),
        "recipe": recipe,
        "data": { "wiki_sha256": corpus.extract_sha256 },
        "split": {
            "rule": format!("every {}th document of more than {} characters is held out; shorter ones only train", text::EVERY, text::LONG),
            "train_documents": corpus.split.train.len(),
            "held_out_ids": ids(&corpus.split.held_out),
            "held_out_titles": titles,
        },
        "evaluation": {
            "window_tokens": recipe.context,
            "targets": corpus.held_out.len() / recipe.context * (recipe.context - 1),
            "rule": "non-overlapping windows, each on its own, its first token not predicted",
        },
        "result": summary,
        "curve": trained.curve,
        "files_sha256": files,
    })
}

fn attribution(held_out: &[Document]) -> String {
    let mut page = String::from(
        "# Attribution\n\n\
         `model.safetensors` and `tokenizer.json` were trained by `interplay train lm` on articles of the English Wikipedia, and\n\
         `heldout.txt` contains the text of the articles listed below (markup removed, white space stripped at the ends).\n\n\
         Text of Wikipedia: by the contributors to the articles, licensed under the Creative Commons Attribution-ShareAlike\n\
         License (CC BY-SA), https://creativecommons.org/licenses/by-sa/4.0/. The authors of an article are listed on its history\n\
         page; `https://en.wikipedia.org/?curid=ID` leads to the article. `heldout.txt` is under the same licence. The extract is\n\
         `exllamav2/conversion/standard_cal_data/wiki.utf8` of the Python package exllamav2 0.3.2.\n\n\
         | id | title |\n|---|---|\n",
    );
    for document in held_out {
        page.push_str(&format!("| {} | {} |\n", document.id, document.title.replace('|', "\\|")));
    }
    page
}
