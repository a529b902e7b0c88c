//! Similarity of texts: how well the cosines of embeddings rank pairs as people do, by Spearman's rank correlation.

use std::path::Path;

use super::stats::Estimate;
use crate::Error;

/// What turns a text into a vector.
pub trait Embed {
    /// The vector of `text`; all texts have vectors of one length.
    ///
    /// # Errors
    /// The text cannot be tokenised, or the model fails.
    fn embed(&mut self, text: &str) -> Result<Vec<f32>, Error>;
}

impl<F: FnMut(&str) -> Result<Vec<f32>, Error>> Embed for F {
    fn embed(&mut self, text: &str) -> Result<Vec<f32>, Error> {
        self(text)
    }
}

/// Two texts and how similar people find them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// One text.
    pub first: String,
    /// The other.
    pub second: String,
    /// The judgement; only its order counts.
    pub judged: f64,
}

/// The pairs in `text`: a line each, two texts and a number with tabs between, as in WordSim-353 and SimLex-999; lines that begin
/// with `#` and empty ones are left out. `origin` names the text in messages.
///
/// # Errors
/// A line has another layout, or there is no pair.
pub fn pairs(origin: &Path, text: &str) -> Result<Vec<Pair>, Error> {
    let malformed = |problem: String| Error::Malformed { path: origin.to_owned(), problem };
    let pair = |(index, line): (usize, &str)| -> Result<Pair, Error> {
        let fields: Vec<&str> = line.split('\t').map(str::trim).collect();
        let found = match fields[..] {
            [first, second, judged] if !first.is_empty() && !second.is_empty() => {
                judged.parse().ok().map(|judged| Pair { first: first.to_owned(), second: second.to_owned(), judged })
            }
            _ => None,
        };
        found.filter(|pair| pair.judged.is_finite()).ok_or_else(|| {
            malformed(format!("line {} is `{line}`, not two texts and a number with tabs between", index + 1))
        })
    };
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let pairs = lines.map(pair).collect::<Result<Vec<_>, _>>()?;
    if pairs.is_empty() { Err(malformed("there is no pair in it".into())) } else { Ok(pairs) }
}

/// The rank correlation between the cosines of the pairs' embeddings and the judgements.
///
/// # Errors
/// An embedding fails, is zero, not finite or of another length; or those of [`spearman`].
pub fn similarity(embed: &mut dyn Embed, pairs: &[Pair]) -> Result<Estimate, Error> {
    let cosines = pairs.iter().map(|pair| {
        let (first, second) = (embed.embed(&pair.first)?, embed.embed(&pair.second)?);
        cosine(&first, &second).ok_or_else(|| {
            Error::Invalid(format!(
                "the vectors of `{}` and `{}` have no angle: lengths {} and {}, or one is zero or not finite",
                pair.first,
                pair.second,
                first.len(),
                second.len()
            ))
        })
    });
    let cosines = cosines.collect::<Result<Vec<_>, _>>()?;
    spearman(&cosines, &pairs.iter().map(|pair| pair.judged).collect::<Vec<_>>())
}

/// The cosine of the angle between two vectors, in `f64`.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    let cosine = dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt());
    (a.len() == b.len() && cosine.is_finite()).then_some(cosine)
}

/// Spearman's rank correlation of two samples: Pearson's of the ranks, where equal values share the mean of their ranks.
///
/// The standard error is `(1 - r^2) sqrt((1 + r^2 / 2) / (n - 3))`: that of `atanh(r)` by D. G. Bonett and T. A. Wright, "Sample size
/// requirements for estimating Pearson, Kendall and Spearman correlations", Psychometrika 65, 2000, carried over to `r` to first
/// order.
///
/// # Errors
/// Fewer than 4 pairs, samples of two lengths, a value that is not a number, or a sample whose values are all equal.
pub fn spearman(a: &[f64], b: &[f64]) -> Result<Estimate, Error> {
    let n = a.len();
    if n < 4 || n != b.len() || a.iter().chain(b).any(|value| value.is_nan()) {
        return Err(Error::Invalid(format!(
            "samples of {n} and {} values have no rank correlation with an error: give as many of both, at least 4, and no NaN",
            b.len()
        )));
    }
    let (a, b) = (ranks(a), ranks(b));
    let centre = (n as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| (x - centre) * (y - centre)).sum::<f64>();
    let (over, aa, bb) = (product(&a, &b), product(&a, &a), product(&b, &b));
    if aa == 0.0 || bb == 0.0 {
        return Err(Error::Invalid("all values of a sample are equal, so it has no ranks to correlate".into()));
    }
    let r = over / (aa.sqrt() * bb.sqrt());
    let stderr = (1.0 - r * r).max(0.0) * ((1.0 + r * r / 2.0) / (n as f64 - 3.0)).sqrt();
    Ok(Estimate { mean: r, stderr: Some(stderr) })
}

/// The rank of each value, from 1 on; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for equal in order.chunk_by(|&i, &j| values[i] == values[j]) {
        // The mean of before + 1 to before + len.
        let shared = before as f64 + (equal.len() as f64 + 1.0) / 2.0;
        equal.iter().for_each(|&i| ranks[i] = shared);
        before += equal.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::math;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, -0.0, 0.0, 3.0]), [5.0, 3.0, 5.0, 1.5, 1.5, 5.0]);
    }

    #[test]
    fn correlation_by_hand() {
        // Ranks 1 2 3 4 5 against 2 1 4 3 5: differences squared sum to 4, so 1 - 6 * 4 / (5 * 24) = 0.8.
        let found = spearman(&[1.0, 2.0, 3.0, 4.0, 5.0], &[20.0, 10.0, 40.0, 30.0, 50.0]).unwrap();
        assert!((found.mean - 0.8).abs() < 1e-15);
        assert!((found.stderr.unwrap() - 0.36 * (1.32f64 / 2.0).sqrt()).abs() < 1e-15);
        // With a tie: ranks 1.5 1.5 3 4 against 1 2 3 4, deviations multiply to 4.5 of sqrt(4.5 * 5).
        let tied = spearman(&[1.0, 1.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((tied.mean - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-15);
        for (a, b) in [(&[1.0; 4][..], &[1.0, 2.0, 3.0, 4.0][..]), (&[1.0; 3], &[1.0; 3]), (&[f64::NAN; 4], &[1.0; 4])]
        {
            assert!(spearman(a, b).is_err());
        }
    }

    /// A vector at an angle of as many degrees as the text says.
    fn angle(text: &str) -> Result<Vec<f32>, Error> {
        let degrees: f32 = text.parse().map_err(|_| Error::Invalid("no angle".into()))?;
        let radians = f64::from(degrees.to_radians());
        Ok(vec![math::cos(radians) as f32, math::sin(radians) as f32])
    }

    #[test]
    fn near_vectors_are_similar() {
        let text = "# Word 1\tWord 2\tHuman (mean)\n0\t10\t9.5\n0\t50\t2.0\n20\t50\t6\n\n90\t0\t0.5\n";
        let pairs = pairs(Path::new("pairs.tsv"), text).unwrap();
        assert_eq!(pairs[1], Pair { first: "0".into(), second: "50".into(), judged: 2.0 });
        // Angles 10, 50, 30, 90: in the order of the judgements.
        assert!((similarity(&mut angle, &pairs).unwrap().mean - 1.0).abs() < 1e-15);
        let mut zero = |_: &str| Ok(vec![0.0]);
        assert!(similarity(&mut zero, &pairs).unwrap_err().to_string().contains("no angle"));
    }

    #[test]
    fn another_layout_is_refused() {
        for text in ["a\tb", "a\tb\tc", "a\t\t1", "a\tb\tNaN", "# only\n"] {
            assert!(pairs(Path::new("p.tsv"), text).unwrap_err().to_string().contains("p.tsv"), "{text}");
        }
    }
}
