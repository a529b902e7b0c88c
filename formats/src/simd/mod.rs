//! The only module with `unsafe`: code compiled for the widest vectors the CPU has, chosen at run time up to [`Simd::chosen`].
//!
//! Almost everything is ordinary Rust: the same source is compiled three times, and IEEE operations give the same bits
//! at any width (the compiler never contracts a product and a sum). Three jobs that the compiler does badly are written
//! with intrinsics: `pack` narrows codes to bit strings and `maxima` finds the largest magnitudes of neighbouring
//! blocks, both on integers only; `e2m1` takes blocks to nibbles. Plain code judges each. Other architectures use their
//! baseline.
#![allow(unsafe_code)]

mod choice;
mod e2m1;
mod maxima;
mod pack;

pub use choice::Simd;

pub(crate) use e2m1::e2m1;
pub(crate) use maxima::maxima;
#[cfg(test)]
pub(crate) use pack::GROUP;
pub(crate) use pack::pack;

/// Work that is compiled for each level; `run` must be `#[inline(always)]` to take the caller's target features.
pub trait Task {
    /// What it returns.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// What the code may assume of the CPU. Only [`Level::all`] can be had, so that a level is the proof that the CPU has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(Vectors);

/// How wide vectors are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Vectors {
    /// What every CPU of the target has.
    Baseline,
    /// 256 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The highest level of this CPU that [`Simd::chosen`] allows.
    pub fn detect() -> Self {
        let highest = match Simd::chosen() {
            Simd::Auto => return Self::highest(),
            Simd::Scalar => Vectors::Baseline,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => Vectors::Avx2,
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => Vectors::Avx512,
            #[cfg(not(target_arch = "x86_64"))]
            Simd::Avx2 | Simd::Avx512 => Vectors::Baseline,
        };
        Self(highest).min(Self::highest())
    }

    /// The highest level of this CPU; detection is cached by the standard library.
    fn highest() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let levels = [(Simd::Avx512, Vectors::Avx512), (Simd::Avx2, Vectors::Avx2)];
            if let Some((_, vectors)) = levels.into_iter().find(|(choice, _)| choice.runs_here()) {
                return Self(vectors);
            }
        }
        Self(Vectors::Baseline)
    }

    /// Bytes of a vector, for kernels whose tiles are to fill the registers.
    pub fn bytes(self) -> usize {
        match self.0 {
            Vectors::Baseline => 16,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2 => 32,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512 => 64,
        }
    }

    /// Every level of this CPU, the lowest first.
    pub fn all() -> Vec<Self> {
        let all = [
            Vectors::Baseline,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx2,
            #[cfg(target_arch = "x86_64")]
            Vectors::Avx512,
        ];
        all.into_iter().map(Self).filter(|level| *level <= Self::highest()).collect()
    }
}

/// Runs `task` at `level`.
pub fn run<T: Task>(level: Level, task: T) -> T::Output {
    match level.0 {
        Vectors::Baseline => task.run(),
        // SAFETY: the level is proof of AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { avx2(task) },
        // SAFETY: the level is proof of the four AVX-512 parts that `avx512` enables.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { avx512(task) },
    }
}

/// The same, compiled for 256-bit vectors at most.
pub(crate) fn run_narrow<T: Task>(level: Level, task: T) -> T::Output {
    match level.0 {
        Vectors::Baseline => task.run(),
        // SAFETY: both levels are proof of AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 | Vectors::Avx512 => unsafe { avx2(task) },
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn avx2<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
fn avx512<T: Task>(task: T) -> T::Output {
    task.run()
}
