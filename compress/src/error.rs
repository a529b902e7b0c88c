//! The one error type of this crate.

/// What went wrong: what was given, what is allowed, what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The formats crate refused.
    #[error(transparent)]
    Format(#[from] interplay_formats::Error),
    /// A method needs a statistic that was not gathered.
    #[error("{method} needs {what}, which calibration did not gather")]
    Missing {
        /// Who needs it.
        method: &'static str,
        /// What is needed.
        what: &'static str,
    },
    /// Rows of inputs of another length than the layer takes.
    #[error("{what} has {given} values, but the layer asks for {expected}")]
    Length {
        /// What was measured.
        what: &'static str,
        /// Its length.
        given: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A Hessian that stays singular whatever is added to its diagonal.
    #[error(
        "the Hessian of the layer's inputs is singular even with a damping of {damping}; give more calibration tokens"
    )]
    Singular {
        /// The largest damping tried, as a share of the mean diagonal.
        damping: f64,
    },
    /// A name, number or combination that no method takes.
    #[error("{0}")]
    Invalid(String),
}
