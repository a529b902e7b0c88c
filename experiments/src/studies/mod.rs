//! The studies: one file each, one entry each.

mod accumulator;
mod adaptive;
mod combined;
mod evaluated;
mod finetune;
pub mod methods;
mod orders;
mod pareto;
mod propagation;
mod ranking;
mod theory_dot;
mod theory_tensor;
mod training;

use std::str::FromStr;

use anyhow::{Result, anyhow};
use interplay_formats::{Format, Pattern};

use crate::engine::kind::Kind;

/// What a study asks.
pub struct Study {
    /// The name on the command line.
    pub name: &'static str,
    /// The question in one sentence.
    pub question: &'static str,
}

/// Every kind of study that the engine runs.
pub const KINDS: &[&Kind] = &[
    &theory_tensor::KIND,
    &theory_dot::KIND,
    &orders::KIND,
    &finetune::KIND,
    &propagation::KIND,
    &ranking::KIND,
    &accumulator::KIND,
    &pareto::KIND,
    &adaptive::KIND,
    &combined::KIND,
];

/// Every study.
pub fn all() -> impl Iterator<Item = Study> {
    KINDS.iter().map(|kind| Study { name: kind.name, question: kind.question }).chain([methods::STUDY])
}

/// The kind of study of that name.
///
/// # Errors
/// There is none; the nearest name is named.
pub fn kind(name: &str) -> Result<&'static Kind> {
    let wanted = name.trim().to_lowercase();
    KINDS.iter().copied().find(|kind| kind.name == wanted).ok_or_else(|| {
        let near = all().map(|study| study.name).min_by_key(|known| strsim::damerau_levenshtein(known, &wanted));
        anyhow!(
            "there is no study `{name}`; the nearest is `{}`. Give a name of `interplay list studies`, or a TOML file",
            near.unwrap_or_default()
        )
    })
}

/// The names that were given, or the default ones.
fn names(given: &[String], default: &[&str]) -> Vec<String> {
    if given.is_empty() { default.iter().map(|&name| name.to_owned()).collect() } else { given.to_vec() }
}

/// Formats by their names, the default ones where none is given.
fn formats(given: &[String], default: &[&str]) -> Result<Vec<&'static Format>> {
    names(given, default).iter().map(|name| Ok(Format::by_name(name)?)).collect()
}

/// Patterns as they are written, the default ones where none is given.
fn patterns(given: &[String], default: &[&str]) -> Result<Vec<Pattern>> {
    names(given, default).iter().map(|name| Ok(Pattern::from_str(name)?)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::engine::frame::Frame;
    use crate::report::figure::Figure;

    /// The committed folders with a table, each with the figure of the table.
    fn committed() -> Vec<(PathBuf, Figure)> {
        let figures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../figures");
        let mut folders: Vec<PathBuf> =
            std::fs::read_dir(figures).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        let figure = |folder: PathBuf| {
            let frame = Frame::parse(&std::fs::read(folder.join("data.csv")).unwrap()).unwrap();
            let figure = match frame.study() {
                Some(name) => (kind(name).unwrap().figure)(&frame),
                None => methods::redrawn(&frame),
            };
            (folder.clone(), figure.unwrap())
        };
        folders.into_iter().map(figure).collect()
    }

    #[test]
    fn no_text_of_a_committed_figure_overlaps_a_mark_an_axis_or_another_text() {
        let all = committed();
        assert!(all.len() > KINDS.len(), "only {} committed figures", all.len());
        for (folder, figure) in all {
            let found = figure.scene().collisions();
            assert!(found.is_empty(), "{}: {found:#?}", folder.display());
        }
    }

    /// A few plain sentences each, without the marks of Markdown and without numbers that are not there.
    #[test]
    fn answers_of_committed_tables_are_short_and_plain() {
        for (folder, _) in committed() {
            let frame = Frame::parse(&std::fs::read(folder.join("data.csv")).unwrap()).unwrap();
            let Some(name) = frame.study() else { continue };
            let summary = (kind(name).unwrap().summary)(&frame);
            assert!((1..=8).contains(&summary.len()), "{name}: {summary:#?}");
            for sentence in &summary {
                let marks = ["**", "`", "|", "NaN", "  "].into_iter().find(|mark| sentence.contains(mark));
                assert!(marks.is_none() && sentence.ends_with('.') && sentence.len() < 600, "{name}: {sentence}");
            }
        }
    }

    #[test]
    fn committed_figures_are_those_of_their_tables() {
        for (folder, figure) in committed() {
            let drawn = std::fs::read_to_string(folder.join("figure.svg")).unwrap();
            assert!(drawn == figure.svg(), "{}: run `interplay figures` and commit it", folder.display());
        }
    }
}
