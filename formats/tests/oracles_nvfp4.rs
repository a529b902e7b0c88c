//! vectors/blocks/nvfp4: torchao and TransformerEngine's reference quantiser.

use crate::oracles::format;
use crate::support::{Pack, codes, same_bits};
use interplay_formats::{Scales, catalog};

const TENSOR: usize = 16 * 64;

/// Every recipe of the pack and the record of the same rule.
const RECIPES: [(&str, &str); 6] = [
    ("torchao_two_level", "nvfp4-torchao"),
    ("torchao_one_level", "nvfp4-torchao-one-level"),
    ("te_1x16", "nvfp4"),
    ("te_16x16", "nvfp4-te-16x16"),
    ("te_4over6_mae_1x16", "nvfp4-four-over-six"),
    ("te_4over6_mse_1x16", "nvfp4-four-over-six-mse"),
];

/// Scales, codes and tensor scales of all tensors; values from the codes by the recipe's own two products.
pub fn all(pack: &Pack) {
    let (x, amax) = (pack.floats("x"), pack.floats("amax"));
    let torchao = pack.floats("torchao_two_level/per_tensor_scale");
    for (recipe, name) in RECIPES {
        let (scale, code) = (pack.get(&format!("{recipe}/scale")), pack.get(&format!("{recipe}/codes")));
        for tensor in 0..16 {
            let what = format!("{recipe} tensor {tensor}");
            let x = &x[tensor * TENSOR..][..TENSOR];
            assert_eq!(x.iter().fold(0.0f32, |m, v| m.max(v.abs())), amax[tensor], "{what}");
            let q = format(name).quantize(x, 64).unwrap_or_else(|e| panic!("{what}: {e}"));
            let Scales::Code(scales) = q.scales() else { panic!("{what}: coded scales") };
            // Tiles of 16 x 16: the pack repeats a scale in each of its rows.
            let rows = q.format().block_rows(16);
            let scale_of = |i: usize| u64::from(scales[i / 64 / rows * 4 + i % 64 / 16]);
            for i in (0..TENSOR).step_by(16) {
                assert_eq!(scale_of(i), scale[(tensor * TENSOR + i) / 16], "{what}: scale of element {i}");
            }
            assert_eq!(codes(&q), code[tensor * TENSOR..][..TENSOR], "{what}: codes");
            if recipe == "torchao_two_level" {
                assert_eq!(q.tensor_scale().map(f32::to_bits), Some(torchao[tensor].to_bits()), "{what}");
            }
            assert_eq!(q.tensor_scale().is_some(), recipe != "torchao_one_level", "{what}");
            let second = q.tensor_scale().unwrap_or(1.0);
            let value = |i: usize| {
                let element = catalog::E2M1.decode(code[tensor * TENSOR + i]).to_f32();
                element * catalog::UE4M3.decode(scale_of(i)).to_f32() * second
            };
            same_bits(&q.dequantize(), &(0..TENSOR).map(value).collect::<Vec<f32>>(), &what);
            assert!(format(name).quantize_reference(x, 64).is_ok_and(|slow| slow == q), "{what}: both paths");
        }
    }
}
