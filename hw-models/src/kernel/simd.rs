//! The choice of an instruction set, made at run time: the only module with `unsafe`.
//!
//! The kernels are plain loops; compiling them once for each instruction set lets the compiler vectorise them. Fused
//! multiply-adds and IEEE conversions give the same bits everywhere, so a path is a matter of speed only.
#![allow(unsafe_code)]

pub(super) mod bytes;

use super::FUSED;
use interplay_formats::simd::Simd;

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// Any machine. Where the build target has no fused multiply-add, FP64 arithmetic gives its bits, slower.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512F.
    Avx512,
    /// The same with AVX-512 BW, DQ, VL, and VNNI, the byte dot products.
    Avx512Vnni,
}

impl Path {
    const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Vnni];

    /// The paths that this machine can run, slowest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|path| path.runs_here()).collect()
    }

    /// The fastest path of this machine that [`Simd::chosen`] allows.
    pub fn best() -> Self {
        let highest = match Simd::chosen() {
            Simd::Scalar => Self::Portable,
            Simd::Avx2 => Self::Avx2,
            Simd::Avx512 | Simd::Auto => Self::Avx512Vnni,
        };
        Self::ALL.into_iter().rev().find(|path| *path <= highest && path.runs_here()).unwrap_or(Self::Portable)
    }

    /// Whether this machine has the instructions; the answer is cached by the standard library.
    pub(super) fn runs_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.runs_here() && is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => {
                let byte = is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni");
                let short = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512dq");
                Self::Avx512.runs_here() && byte && short
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Vnni => false,
        }
    }
}

/// Work on strips of rows, compiled for each instruction set; `run` must be `#[inline(always)]` to take its features.
pub(crate) trait Work {
    /// Bytes of a number that products accumulate in.
    const BYTES: usize;

    /// Does the work with strips of `MR` rows, with fused multiply-adds where `FUSED`.
    fn run<const MR: usize, const FUSED: bool>(self);
}

/// Does `work` on `path`, or on the portable one where this machine lacks the instructions.
pub(crate) fn run<W: Work>(path: Path, work: W) {
    #[cfg(target_arch = "x86_64")]
    if path.runs_here() {
        match path {
            // SAFETY: `runs_here` has just found AVX-512F, AVX2 and FMA, all that `avx512` is compiled for.
            Path::Avx512 | Path::Avx512Vnni => return unsafe { avx512(work) },
            // SAFETY: `runs_here` has just found AVX2 and FMA, all that `avx2` is compiled for.
            Path::Avx2 => return unsafe { avx2(work) },
            Path::Portable => {}
        }
    }
    work.run::<4, FUSED>();
}

/// Strip heights fill the 32 vector registers: 24 sums, the rest for operands.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn avx512<W: Work>(work: W) {
    if W::BYTES == 4 { work.run::<12, true>() } else { work.run::<6, true>() }
}

/// Strip heights fill the 16 vector registers: 12 sums in single precision, 16 in double.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<W: Work>(work: W) {
    if W::BYTES == 4 { work.run::<3, true>() } else { work.run::<2, true>() }
}
