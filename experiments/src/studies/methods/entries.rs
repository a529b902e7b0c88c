//! Who prunes, who rounds, and the cells that come of them: one record each, `{p}` standing for the pattern and `{f}` for the format.

use anyhow::{Context, Result, bail};
use interplay::compress::Recipe;
use interplay_formats::{Format, Pattern};

/// What stands for a pruner or a quantiser where there is none.
pub(super) const NONE: &str = "none";

/// A way to prune.
#[derive(Debug)]
pub(super) struct Pruner {
    /// The name in tables.
    pub(super) name: &'static str,
    /// Its step of a recipe.
    step: &'static str,
    /// The step that also rounds, in one pass; empty where there is none.
    joint: &'static str,
    /// Whether it learns shares of rows, which an N:M pattern fixes.
    learned: bool,
    /// Whether `--quick` has it.
    quick: bool,
}

const fn once(name: &'static str, step: &'static str, quick: bool) -> Pruner {
    Pruner { name, step, joint: "", learned: false, quick }
}

/// Every pruner of the table, with the scope that its publication has.
pub(super) const PRUNERS: [Pruner; 8] = [
    once("magnitude", "magnitude({p})", true),
    once("wanda", "wanda({p})", true),
    once("ria", "ria({p})", false),
    once("bawa", "bawa({p})", false),
    once("jsq", "jsq({p})", false),
    Pruner { joint: "sparsegpt({p},{f})", ..once("sparsegpt", "sparsegpt({p})", true) },
    Pruner { learned: true, ..once("besa", "besa({p})", false) },
    Pruner { learned: true, ..once("pqp", "pqp({p})", false) },
];

/// A way to round.
#[derive(Debug)]
pub(super) struct Quantiser {
    /// The name in tables.
    pub(super) name: &'static str,
    /// Its step of a recipe.
    step: &'static str,
    /// Whether `--quick` has it.
    quick: bool,
}

/// Every quantiser of the table.
pub(super) const QUANTISERS: [Quantiser; 3] = [
    Quantiser { name: "rtn", step: "rtn({f})", quick: true },
    Quantiser { name: "gptq", step: "gptq({f})", quick: true },
    Quantiser { name: "awq", step: "awq({f})", quick: false },
];

/// What the table spans.
pub(super) struct Span {
    pub(super) pruners: Vec<&'static Pruner>,
    pub(super) quantisers: Vec<&'static Quantiser>,
    pub(super) formats: Vec<&'static Format>,
    pub(super) patterns: Vec<Pattern>,
}

/// One cell of the table.
#[derive(Clone)]
pub(super) struct Point {
    /// The part of the study.
    pub(super) part: &'static str,
    pub(super) pruner: &'static str,
    pub(super) quantiser: &'static str,
    /// The format that weights are rounded to, FP32 where nobody rounds.
    pub(super) format: &'static Format,
    pub(super) pattern: Pattern,
    /// What is done; `None` is the model as it is.
    pub(super) recipe: Option<Recipe>,
    /// The weights that the recipe's masks are put on, where they are not the recipe's own.
    pub(super) on: Option<On>,
}

/// Weights that another recipe's masks are put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    /// The given ones, which stay FP32.
    Given,
    /// The given ones, rounded once they are pruned.
    RoundedAfter,
    /// The given ones, rounded before they are pruned.
    RoundedBefore,
}

/// The part that [`points`] makes.
pub(super) const TABLE: &str = "table";

impl Point {
    /// `sq`, `qs`, `joint`, or `none`.
    pub(super) fn order(&self) -> &'static str {
        match self.on {
            Some(On::Given) => NONE,
            Some(On::RoundedAfter) => "sq",
            Some(On::RoundedBefore) => "qs",
            None => self.recipe.as_ref().map_or(NONE, Recipe::order),
        }
    }

    /// The recipe as text, or what its masks are put on.
    pub(super) fn text(&self) -> String {
        let recipe = self.recipe.as_ref().map_or_else(|| NONE.to_owned(), Recipe::to_string);
        match self.on {
            None => recipe,
            Some(On::Given) => format!("masks of {recipe} on the given weights"),
            Some(On::RoundedAfter) => format!("masks of {recipe} on the given weights, then rtn({})", self.format.name),
            Some(On::RoundedBefore) => format!("rtn({}), then masks of {recipe}", self.format.name),
        }
    }
}

/// Looks up pruners and quantisers by name; where a list names none of a kind, all of the kind stay.
///
/// # Errors
/// A name of neither.
pub(super) fn chosen(names: &[String], quick: bool) -> Result<(Vec<&'static Pruner>, Vec<&'static Quantiser>)> {
    let (mut pruners, mut quantisers) = (Vec::new(), Vec::new());
    for name in names {
        let wanted = name.trim().to_lowercase();
        match (PRUNERS.iter().find(|p| p.name == wanted), QUANTISERS.iter().find(|q| q.name == wanted)) {
            (Some(pruner), _) => pruners.push(pruner),
            (_, Some(quantiser)) => quantisers.push(quantiser),
            _ => {
                let all: Vec<_> = PRUNERS.iter().map(|p| p.name).chain(QUANTISERS.iter().map(|q| q.name)).collect();
                bail!("the study has no method `{name}`: --methods takes {}", all.join(", "))
            }
        }
    }
    if pruners.is_empty() {
        pruners = PRUNERS.iter().filter(|p| p.quick || !quick).collect();
    }
    if quantisers.is_empty() {
        quantisers = QUANTISERS.iter().filter(|q| q.quick || !quick).collect();
    }
    Ok((pruners, quantisers))
}

impl Span {
    /// The cells, and a sentence for each combination that there is not.
    ///
    /// # Errors
    /// A pattern or a format that a method does not take.
    pub(super) fn points(&self) -> Result<(Vec<Point>, Vec<String>)> {
        let (mut points, mut skipped) = (Vec::new(), Vec::new());
        let dense = Point {
            part: TABLE,
            pruner: NONE,
            quantiser: NONE,
            format: Format::fp32(),
            pattern: Pattern::Dense,
            recipe: None,
            on: None,
        };
        for &format in &self.formats {
            for quantiser in &self.quantisers {
                points.push(Point { format, quantiser: quantiser.name, ..dense.clone() }.with(&[quantiser.step])?);
            }
        }
        for &pattern in &self.patterns {
            for pruner in &self.pruners {
                if pruner.learned && !matches!(pattern, Pattern::Unstructured { .. }) {
                    skipped.push(format!("{} learns the share of each row, which {pattern} fixes", pruner.name));
                    continue;
                }
                let alone = Point { pruner: pruner.name, pattern, ..dense.clone() };
                if let (true, Err(e)) = (pruner.learned, alone.clone().with(&[pruner.step])) {
                    skipped.push(format!("{} at {pattern}: {e}", pruner.name));
                    continue;
                }
                self.pruned(&alone, pruner, &mut points)?;
            }
        }
        points.insert(0, dense);
        Ok((points, skipped))
    }

    /// One pruner under one pattern: alone, and with every format and quantiser in every order.
    fn pruned(&self, alone: &Point, pruner: &Pruner, points: &mut Vec<Point>) -> Result<()> {
        points.push(alone.clone().with(&[pruner.step])?);
        for &format in &self.formats {
            let of = |quantiser| Point { format, quantiser, ..alone.clone() };
            if !pruner.joint.is_empty() {
                points.push(of("joint").with(&[pruner.joint])?);
            }
            // AWQ's searches take as long as the rest of the table, so that it comes with the pruners of `--quick` alone.
            for quantiser in self.quantisers.iter().filter(|quantiser| quantiser.quick || pruner.quick) {
                points.push(of(quantiser.name).with(&[pruner.step, quantiser.step])?);
                points.push(of(quantiser.name).with(&[quantiser.step, pruner.step])?);
            }
        }
        Ok(())
    }
}

impl Point {
    /// The same with a recipe of these steps.
    ///
    /// # Errors
    /// The steps do not take the point's pattern or format.
    pub(super) fn with(self, steps: &[&str]) -> Result<Self> {
        let pattern = self.pattern.to_string();
        let filled: Vec<String> =
            steps.iter().map(|step| step.replace("{p}", &pattern).replace("{f}", self.format.name)).collect();
        let recipe = Recipe::from_steps(&filled).with_context(|| format!("cannot do {}", filled.join(", ")))?;
        Ok(Self { recipe: Some(recipe), ..self })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    fn span(patterns: &[&str]) -> Span {
        let (pruners, quantisers) = chosen(&[], false).unwrap();
        let patterns = patterns.iter().map(|p| Pattern::from_str(p).unwrap()).collect();
        Span { pruners, quantisers, formats: vec![Format::by_name("mxfp4").unwrap()], patterns }
    }

    #[test]
    fn every_method_comes_alone_and_in_every_order() {
        let (points, skipped) = span(&["50%"]).points().unwrap();
        // Dense, three quantisers alone; eight pruners alone and in two orders with two quantisers; three with AWQ; one joint pass.
        assert_eq!((points.len(), skipped.len()), (1 + 3 + 8 * (1 + 2 * 2) + 3 * 2 + 1, 0));
        let count = |order| points.iter().filter(|p| p.order() == order).count();
        assert_eq!((count("sq"), count("qs"), count("joint"), count(NONE)), (19, 19, 1, 12));
    }

    #[test]
    fn learned_shares_have_no_groups() {
        let (points, skipped) = span(&["2:4"]).points().unwrap();
        assert!(points.iter().all(|p| p.pruner != "besa" && p.pruner != "pqp"));
        assert!(skipped.iter().all(|s| s.contains("2:4")) && skipped.len() == 2, "{skipped:?}");
    }

    #[test]
    fn an_unknown_method_is_told_what_there_is() {
        let error = chosen(&["wnda".to_owned()], false).unwrap_err().to_string();
        assert!(error.contains("wnda") && error.contains("wanda") && error.contains("gptq"), "{error}");
        let (pruners, quantisers) = chosen(&["ria".to_owned()], true).unwrap();
        assert_eq!((pruners.len(), quantisers.len()), (1, 2));
    }
}
