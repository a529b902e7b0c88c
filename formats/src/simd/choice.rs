//! One choice of instructions for the kernels of every crate, made by whoever runs the program.

use crate::Error;
use std::sync::atomic::{AtomicU8, Ordering};

/// Which instructions kernels may use. Results do not depend on it, only speed does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// What every CPU of the build target has: SSE2 on x86-64, without fused multiply-adds.
    Scalar,
    /// At most AVX2 and FMA.
    Avx2,
    /// At most AVX-512 F, BW, DQ and VL, and VNNI where the CPU has it.
    Avx512,
    /// All that this CPU has.
    Auto,
}

/// The choice, as an index of [`Simd::ALL`].
static CHOSEN: AtomicU8 = AtomicU8::new(Simd::ALL.len() as u8 - 1);

impl Simd {
    /// Every choice, the least first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Auto];

    /// The name: `scalar`, `avx2`, `avx512` or `auto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Auto => "auto",
        }
    }

    /// A choice by its name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownSimd`].
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let lower = name.trim().to_lowercase();
        let near = |choice: &Self| (strsim::jaro_winkler(&lower, choice.name()) * 1e6) as u32;
        let nearest = Self::ALL.into_iter().max_by_key(near).unwrap_or(Self::Auto);
        match Self::ALL.into_iter().find(|choice| choice.name() == lower) {
            Some(choice) => Ok(choice),
            None => Err(Error::UnknownSimd { given: name.to_owned(), nearest: nearest.name() }),
        }
    }

    /// The choices that this CPU can follow, the least first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|choice| choice.runs_here()).collect()
    }

    /// Makes this the choice of every crate from now on.
    ///
    /// # Errors
    /// [`Error::NoSimd`]; the former choice then stays.
    pub fn choose(self) -> Result<(), Error> {
        if !self.runs_here() {
            let best = Self::available().into_iter().filter(|choice| *choice != Self::Auto).max();
            return Err(Error::NoSimd { asked: self.name(), best: best.unwrap_or(Self::Scalar).name() });
        }
        CHOSEN.store(self as u8, Ordering::Relaxed);
        Ok(())
    }

    /// The choice that holds: [`Simd::Auto`] until somebody chose.
    pub fn chosen() -> Self {
        Self::ALL.get(usize::from(CHOSEN.load(Ordering::Relaxed))).copied().unwrap_or(Self::Auto)
    }

    /// Whether this CPU can follow it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn runs_here(self) -> bool {
        match self {
            Self::Scalar | Self::Auto => true,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Avx512 => {
                let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
                let all = is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl");
                Self::Avx2.runs_here() && wide && all
            }
        }
    }

    /// Whether this CPU can follow it.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn runs_here(self) -> bool {
        matches!(self, Self::Scalar | Self::Auto)
    }
}

#[cfg(test)]
mod tests {
    use super::Simd;

    #[test]
    fn names() {
        for choice in Simd::ALL {
            assert_eq!(Simd::by_name(&choice.name().to_uppercase()), Ok(choice));
            assert_eq!(Simd::ALL[choice as usize], choice);
        }
        let message = Simd::by_name("avx51").map_or_else(|e| e.to_string(), |_| String::new());
        assert!(message.contains("did you mean `avx512`?"), "{message}");
        assert!(Simd::available().starts_with(&[Simd::Scalar]) && Simd::available().ends_with(&[Simd::Auto]));
    }
}
