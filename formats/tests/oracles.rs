//! Recorded results of other people's libraries. Unmarked rows must agree bit for bit; every marked row, where the
//! oracle is known to be wrong, must follow from a named rule or from the defect, computed here exactly.

use crate::support::{Pack, oracle};
use crate::{oracles_integer, oracles_mx, oracles_nvfp4, oracles_scalar};
use interplay_formats::{Format, Pattern};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let blocks = [
        oracle("blocks/mx_torchao", |pack| oracles_mx::torchao(&pack)),
        oracle("blocks/mx_microxcaling", |pack| oracles_mx::microxcaling(&pack)),
        oracle("blocks/nvfp4", |pack| oracles_nvfp4::all(&pack)),
        oracle("blocks/hbfp", |pack| oracles_integer::hbfp(&pack)),
        oracle("blocks/int", |pack| oracles_integer::int(&pack)),
    ];
    let sparse = [oracle("sparse/masks", |pack| masks(&pack))];
    oracles_scalar::trials().into_iter().chain(blocks).chain(sparse).collect()
}

pub fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap_or_else(|e| panic!("{e}"))
}

/// numpy's stable sort.
fn masks(pack: &Pack) {
    let columns = [
        ("mask_1of4", "1:4"),
        ("mask_2of4", "2:4"),
        ("mask_2of8", "2:8"),
        ("mask_4of8", "4:8"),
        ("mask_half_per_matrix", "50%"),
        ("mask_half_per_row", "50%-row"),
    ];
    for kind in ["normal", "ties", "sparse", "heavy"] {
        let w = pack.floats(&format!("{kind}/w"));
        for (column, pattern) in columns {
            let pattern: Pattern = pattern.parse().expect("a pattern");
            let mask = pattern.magnitude_mask(&w, 64).expect("finite");
            let got: Vec<u64> = mask.kept().iter().map(|&k| u64::from(k)).collect();
            assert_eq!(got, pack.get(&format!("{kind}/{column}")), "{kind} {pattern}");
        }
    }
}
