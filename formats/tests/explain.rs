//! Explanations, as people see them.

use crate::support::case;
use interplay_formats::{Format, Rounding};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("explain::texts", texts),
        case("explain::outcomes_are_what_quantize_does", outcomes_are_what_quantize_does),
    ]
}

fn text(format: &str, value: f32, companion: Option<f32>) -> String {
    Format::by_name(format).expect("known").explain(value, companion).expect("finite").to_string()
}

fn texts() {
    insta::assert_snapshot!(text("mxfp8", 0.7, None), @r"
    0.7 in mxfp8, in a block with amax 0.7
      exactly      1.01100110011001100110011b x 2^-1
      scale        2^-9, stored 0x76; rule floor: floor(log2 amax) - emax = -1 - 8
      scaled       1.01100110011001100110011b x 2^8 = 358.3999938964844
      next lower   352, code 0x7b
      next higher  384, code 0x7c
      lost         below half: 0.19999980926513672 of a unit

      rounding          code  element  becomes     error       chance
      nearest-even   *  0x7b      352   0.6875  -1.25e-2
      nearest-away      0x7b      352   0.6875  -1.25e-2
      toward-zero       0x7b      352   0.6875  -1.25e-2
      up                0x7c      384     0.75   5.00e-2
      down              0x7b      352   0.6875  -1.25e-2
      to-odd            0x7b      352   0.6875  -1.25e-2
      stochastic-16     0x7b      352   0.6875  -1.25e-2  52429/65536
      stochastic-16     0x7c      384     0.75   5.00e-2  13107/65536
    ");
    insta::assert_snapshot!(text("hbfp8", 1.0, None), @"");
    insta::assert_snapshot!(text("nvfp4", -0.3, Some(1.0)), @"");
    insta::assert_snapshot!(text("int4-asym", 0.7, Some(-0.5)), @"");
    insta::assert_snapshot!(text("mx6", 0.7, Some(1.0)), @"");
    insta::assert_snapshot!(text("e5m2@stochastic-8", 70000.0, None), @"");
    insta::assert_snapshot!(text("interplay-mxfp6", 1.001, None), @"");
}

/// For every format the outcome of its own rounding is what the quantiser gives, and chances add up.
fn outcomes_are_what_quantize_does() {
    let values = [0.0, 1.0, -0.7, 0.3, 1e-40, -3.4e38, 448.0, 464.0, 1234.5];
    for format in Format::all() {
        for value in values {
            let Ok(explained) = format.explain(value, None) else { continue };
            let becomes = format.quantize(&[value], 1).expect("finite").dequantize()[0];
            let own = explained.outcomes.iter().find(|o| o.own).expect("one of the deterministic ones");
            assert_eq!(own.becomes.to_bits(), becomes.to_bits(), "{} {value}", format.name);
            let chances = explained.outcomes.iter().filter_map(|o| o.chance);
            let total: u64 = chances.clone().map(|(n, _)| n).sum();
            assert_eq!(Some(total), chances.clone().next().map(|(_, of)| of), "{} {value}", format.name);
            let to = |r: Rounding| explained.outcomes.iter().find(|o| o.rounding == r).map(|o| o.element);
            if let (Some(above), Some(below)) = (&explained.above, &explained.below) {
                let name = format.name;
                assert_eq!(to(Rounding::Up), Some(Some(above.element)), "{name} {value} up");
                assert_eq!(to(Rounding::Down), Some(Some(below.element)), "{name} {value} down");
                assert!(below.element <= explained.scaled_value && explained.scaled_value <= above.element);
            }
        }
    }
}
