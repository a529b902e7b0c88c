//! The only module with `unsafe`: runs one piece of ordinary Rust compiled for the widest vectors the CPU has.
//!
//! No intrinsics and no other arithmetic: the same source is compiled three times, and IEEE operations give the same
//! bits at any width (the compiler never contracts a product and a sum). Other architectures use their baseline.
#![allow(unsafe_code)]

/// Work that is compiled for each level; `run` must be `#[inline(always)]` to take the caller's target features.
pub(crate) trait Task {
    /// What it returns.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

/// What the code may assume of the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What every CPU of the target has.
    Baseline,
    /// 256-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The highest level of this CPU; detection is cached by the standard library.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            let avx512 = avx512 && is_x86_feature_detected!("avx2");
            if avx512 && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Self::Avx2;
            }
        }
        Self::Baseline
    }
}

/// Runs `task` at `level`, or at the highest level of this CPU where that is lower.
pub(crate) fn run<T: Task>(level: Level, task: T) -> T::Output {
    match level.min(Level::detect()) {
        Level::Baseline => task.run(),
        // SAFETY: `detect` found AVX2, and `min` never exceeds what it found.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(task) },
        // SAFETY: `detect` found the four AVX-512 parts that `avx512` enables.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512(task) },
    }
}

/// The same, compiled for 256-bit vectors at most.
pub(crate) fn run_narrow<T: Task>(level: Level, task: T) -> T::Output {
    match level.min(Level::detect()) {
        Level::Baseline => task.run(),
        // SAFETY: `detect` found AVX2 or more, and `min` never exceeds what it found.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 | Level::Avx512 => unsafe { avx2(task) },
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
