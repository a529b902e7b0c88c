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

fn text(format: &str, value: f32) -> String {
    Format::by_name(format).expect("known").explain(value).expect("finite").to_string()
}

fn texts() {
    insta::assert_snapshot!(text("mxfp8", 0.7), @"");
    insta::assert_snapshot!(text("hbfp8", 1.0), @"");
    insta::assert_snapshot!(text("nvfp4", -0.3), @"");
    insta::assert_snapshot!(text("int4-asym", 0.7), @"");
    insta::assert_snapshot!(text("e5m2@stochastic-8", 70000.0), @"");
    insta::assert_snapshot!(text("interplay-mxfp6", 1.001), @"");
}

/// For every format the outcome of its own rounding is what the quantiser gives, and chances add up.
fn outcomes_are_what_quantize_does() {
    let values = [0.0, 1.0, -0.7, 0.3, 1e-40, -3.4e38, 448.0, 464.0, 1234.5];
    for format in Format::all() {
        for value in values {
            let Ok(explained) = format.explain(value) else { continue };
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
            }
        }
    }
}
