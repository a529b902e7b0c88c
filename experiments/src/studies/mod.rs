//! The studies: one file each, one entry each.

pub mod methods;
pub mod orders;

/// What a study asks.
pub struct Study {
    /// The name on the command line.
    pub name: &'static str,
    /// The question in one sentence.
    pub question: &'static str,
}

/// Every study.
pub const ALL: &[Study] = &[orders::STUDY, methods::STUDY];
