//! Every named criterion with the parameters of its publication; one entry adds a name.

use super::Criterion;
use crate::Error;

/// A criterion that has a name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub criterion: Criterion,
    /// What it is, in a line.
    pub summary: &'static str,
}

/// All of them.
pub const CRITERIA: [Named; 8] = [
    named("magnitude", Criterion::Magnitude, "the weight's magnitude"),
    named("wanda", Criterion::Wanda, "magnitude times the norm of the input"),
    named("ria", Criterion::Ria { power: 0.5, activations: true }, "share of row and column, times the input's norm"),
    named("ri", Criterion::Ria { power: 0.5, activations: false }, "share of row and column alone"),
    named("bawa", BAWA, "share of the norms of row and column, times the input's norm"),
    named("jsq", Criterion::Jsq { rho: 2.1 }, "wanda plus the output's range without the weight"),
    named("saliency", Criterion::Saliency, "SparseGPT's error of the output without the weight"),
    named("pqp", Criterion::Pqp, "the weight as it is times the scaled ria of the weight as it was"),
];

/// The exponents of PQP's code.
const BAWA: Criterion = Criterion::Bawa { output: 1.0, input: 1.0, activations: 0.5 };

const fn named(name: &'static str, criterion: Criterion, summary: &'static str) -> Named {
    Named { name, criterion, summary }
}

impl Criterion {
    /// Its name, whatever its parameters are.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Magnitude => "magnitude",
            Self::Wanda => "wanda",
            Self::Ria { activations: true, .. } => "ria",
            Self::Ria { activations: false, .. } => "ri",
            Self::Bawa { .. } => "bawa",
            Self::Jsq { .. } => "jsq",
            Self::Saliency => "saliency",
            Self::Pqp => "pqp",
        }
    }

    /// The criterion of this name, with the parameters of its publication; letters of either case.
    ///
    /// # Errors
    /// An unknown name, with the nearest known one.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let wanted = name.trim().to_ascii_lowercase();
        if let Some(named) = CRITERIA.iter().find(|named| named.name == wanted) {
            return Ok(named.criterion);
        }
        let distance = |named: &&Named| strsim::damerau_levenshtein(named.name, &wanted);
        let nearest = CRITERIA.iter().min_by_key(distance).map_or("", |named| named.name);
        let all = CRITERIA.map(|named| named.name).join(", ");
        Err(Error::Invalid(format!("unknown criterion `{name}`; did you mean `{nearest}`? The criteria are {all}")))
    }
}
