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
    insta::assert_snapshot!(text("hbfp8", 1.0, None), @r"
    1 in hbfp8, in a block with amax 1
      exactly      1b x 2^0
      scale        exponent 0; rule enclosing: the least e with amax <= 2^e, one unit is 2^-7
      scaled       1b x 2^7 = 128
      next lower   127, code 127
      next higher  none: beyond the range
      lost         nothing

      rounding          code  element    becomes     error       chance
      nearest-even   *   127      127  0.9921875  -7.81e-3
      nearest-away       127      127  0.9921875  -7.81e-3
      toward-zero        127      127  0.9921875  -7.81e-3
      up                 127      127  0.9921875  -7.81e-3
      down               127      127  0.9921875  -7.81e-3
      to-odd             127      127  0.9921875  -7.81e-3
      stochastic-16      127      127  0.9921875  -7.81e-3  65536/65536
    ");
    insta::assert_snapshot!(text("nvfp4", -0.3, Some(1.0)), @r"
    -0.3 in nvfp4, in a block with amax 1
      exactly      -1.0011001100110011001101b x 2^-2
      scale        448, stored 0x7e, under the tensor scale 3.7202382e-4; rule nvfp4-te: values are multiplied by 6
      scaled       -1.11001100110011001100111b x 2^0 = -1.8000000715255737
      next lower   -2, code 0xc
      next higher  -1.5, code 0xb
      lost         above half: 0.6000001430511475 of a unit

      rounding          code  element      becomes     error       chance
      nearest-even   *   0xc       -2  -0.33333334  -3.33e-2
      nearest-away       0xc       -2  -0.33333334  -3.33e-2
      toward-zero        0xb     -1.5        -0.25   5.00e-2
      up                 0xb     -1.5        -0.25   5.00e-2
      down               0xc       -2  -0.33333334  -3.33e-2
      to-odd             0xb     -1.5        -0.25   5.00e-2
      stochastic-16      0xb     -1.5        -0.25   5.00e-2  26215/65536
      stochastic-16      0xc       -2  -0.33333334  -3.33e-2  39321/65536
    ");
    insta::assert_snapshot!(text("int4-asym", 0.7, Some(-0.5)), @r"
    0.7 in int4-asym, in a block with amax 0.7
      exactly      1.01100110011001100110011b x 2^-1
      scale        0.080000006, zero point 6; rule min-max: fl32((hi - lo) / 15) over [-0.5, 0.7], zero point RNE(-lo / factor)
      scaled       1.00010111111111111111111b x 2^3 = 8.749999046325684
      next lower   8, code 14
      next higher  9, code 15
      lost         above half: 0.7499990463256836 of a unit

      rounding          code  element     becomes     error       chance
      nearest-even   *    15        9        0.72   2.00e-2
      nearest-away        15        9        0.72   2.00e-2
      toward-zero         14        8  0.64000005  -6.00e-2
      up                  15        9        0.72   2.00e-2
      down                14        8  0.64000005  -6.00e-2
      to-odd              15        9        0.72   2.00e-2
      stochastic-16       14        8  0.64000005  -6.00e-2  16385/65536
      stochastic-16       15        9        0.72   2.00e-2  49151/65536
    ");
    insta::assert_snapshot!(text("mx6", 0.7, Some(1.0)), @r"
    0.7 in mx6, in a block with amax 1
      exactly      1.01100110011001100110011b x 2^-1
      scale        exponent 1, bit 1; rule above: the least e with amax < 2^e, one unit is 2^-4
      scaled       1.01100110011001100110011b x 2^3 = 11.199999809265137
      next lower   11, code 11
      next higher  12, code 12
      lost         below half: 0.19999980926513672 of a unit

      rounding          code  element  becomes     error       chance
      nearest-even   *    11       11   0.6875  -1.25e-2
      nearest-away        11       11   0.6875  -1.25e-2
      toward-zero         11       11   0.6875  -1.25e-2
      up                  12       12     0.75   5.00e-2
      down                11       11   0.6875  -1.25e-2
      to-odd              11       11   0.6875  -1.25e-2
      stochastic-16       11       11   0.6875  -1.25e-2  52429/65536
      stochastic-16       12       12     0.75   5.00e-2  13107/65536
    ");
    insta::assert_snapshot!(text("e5m2@stochastic-8", 70000.0, None), @r"
    70000 in e5m2@stochastic-8
      exactly      1.000100010111b x 2^16
      next lower   57344, code 0x7b
      next higher  none: beyond the range
      lost         below half: 0.2724609375 of a unit

      rounding         code  element  becomes    error   chance
      nearest-even     0x7b    57344    57344  -1.27e4
      nearest-away     0x7b    57344    57344  -1.27e4
      toward-zero      0x7b    57344    57344  -1.27e4
      up               0x7b    57344    57344  -1.27e4
      down             0x7b    57344    57344  -1.27e4
      to-odd           0x7b    57344    57344  -1.27e4
      stochastic-8  *  0x7b    57344    57344  -1.27e4  187/256
      stochastic-8  *  0x7b    57344    57344  -1.27e4   69/256
    ");
    insta::assert_snapshot!(text("interplay-mxfp6", 1.001, None), @r"
    1.001 in interplay-mxfp6, in a block with amax 1
      exactly      1.00000000010000011000101b x 2^0
      narrowed     1
      scale        2^-2, stored 0x7d; rule floor: floor(log2 amax) - emax = 0 - 2
      scaled       1b x 2^2 = 4
      next lower   4, code 0x18
      next higher  4, code 0x18
      lost         nothing

      rounding          code  element  becomes     error       chance
      nearest-even      0x18        4        1  -1.00e-3
      nearest-away   *  0x18        4        1  -1.00e-3
      toward-zero       0x18        4        1  -1.00e-3
      up                0x18        4        1  -1.00e-3
      down              0x18        4        1  -1.00e-3
      to-odd            0x18        4        1  -1.00e-3
      stochastic-16     0x18        4        1  -1.00e-3  65536/65536
    ");
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
