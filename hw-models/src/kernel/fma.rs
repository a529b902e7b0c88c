//! `fp32`: one chain of fused multiply-adds for each output, k increasing from +0.

use super::{Left, NR, Panel, Unit, chain};

/// The unit itself; it has nothing to configure.
pub(crate) struct FmaChain;

impl Unit for FmaChain {
    type Lane = f32;

    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f32, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        chain::<_, MR, FUSED>(&left.elements, right.elements, out);
    }
}
