//! The numbers, and what may stand beside them.

use super::*;

const OURS: Setup<'_> = Setup {
    model: "facebook/opt-125m",
    data: "wikitext2",
    window: 2048,
    whole: true,
    metric: "perplexity",
    fine_tuned: false,
    format: "fp32",
    sparsity: "dense",
    order: "none",
    method: "magnitude",
    calibration: "none",
    value: 27.66,
};

fn llama2(format: &str, sparsity: &str, order: &str) -> f64 {
    let found = all().iter().filter(|p| p.publication == "interplay" && p.model == "llama-2-7b");
    let is = |p: &&Published| p.sparsity == sparsity && p.format.as_deref() == Some(format);
    let mut found = found.filter(is).filter(|p| p.order.as_deref() == Some(order));
    found.next().unwrap().value
}

#[test]
fn every_table_is_whole_and_every_number_has_a_source() {
    let count = |key: &str| all().iter().filter(|p| p.publication == key).count();
    let keys =
        ["interplay", "sparsegpt_hbfp", "sparsegpt", "wanda", "ria", "besa", "pqp", "smoothquant", "expectation"];
    assert_eq!(keys.map(count), [30, 4, 1, 3, 11, 35, 64, 1, 27]);
    assert_eq!(all().len(), 176, "a publication without a count");
    for p in all() {
        let sure = ["read: ", "third-party: ", "recomputed: "].iter().any(|how| p.source.starts_with(how));
        assert!(sure && p.source.len() > 20 && p.value > 0.0, "{p:?}");
        assert!(p.source.starts_with("recomputed") || p.data == "wikitext2", "{p:?}");
    }
    let twice =
        |p: &&Published| all().iter().filter(|q| Published { value: p.value, ..(*q).clone() } == **p).count() > 1;
    assert_eq!(all().iter().find(twice), None);
}

#[test]
fn numbers_stand_in_their_columns() {
    assert_eq!([llama2("hbfp6", "2:4", "sq"), llama2("hbfp6", "2:4", "qs")], [10.68, 18.64]);
    let of = |key: &str, model: &str, method: &str| {
        let mut found = all().iter().filter(|p| p.publication == key && p.model == model && p.method == method);
        found.next().unwrap().value
    };
    assert_eq!([of("pqp", "llama-3.1-8b", "sparsegpt"), of("pqp", "llama-7b", "pqp")], [92.41, 7.08]);
    assert_eq!([of("besa", "llama-2-70b", "besa"), of("ria", "llama-3-8b", "ria permuted")], [4.09, 20.05]);
}

/// Both rows of the bound, and S→Q above it, that the reference notes computed of the same table.
#[test]
fn orthogonality_bounds_follow_from_the_table() {
    let bounds = [
        ("50%", [6.34, 6.36, 6.35, 6.31, 6.43], [0.60, 0.04, 0.03, 0.01, 0.08]),
        ("2:4", [9.33, 9.35, 9.34, 9.30, 9.42], [0.04, 0.00, -0.02, 0.09, 1.26]),
    ];
    for (sparsity, bound, excess) in bounds {
        for (i, format) in ["int8", "mxfp8", "mxfp6", "hbfp8", "hbfp6"].into_iter().enumerate() {
            let (dense, pruned) = (llama2("fp32", "dense", "none"), llama2("fp32", sparsity, "none"));
            let found = llama2(format, "dense", "none") + pruned - dense;
            assert!((found - bound[i]).abs() < 0.005, "{sparsity} {format}: {found}");
            let above = llama2(format, sparsity, "sq") - found;
            assert!((above - excess[i]).abs() < 0.005, "{sparsity} {format}: {above}");
        }
    }
}

#[test]
fn only_full_agreement_is_comparable() {
    let dense = all().iter().find(|p| p.publication == "sparsegpt_hbfp" && p.method == "none").unwrap();
    assert_eq!(dense.comparable(&OURS), Ok(()));
    let others = [
        Setup { model: "opt-350m", ..OURS },
        Setup { data: "c4", ..OURS },
        Setup { window: 256, ..OURS },
        Setup { whole: false, ..OURS },
        Setup { metric: "cross_entropy", ..OURS },
        Setup { fine_tuned: true, ..OURS },
        Setup { format: "bf16", ..OURS },
        Setup { sparsity: "2:4", method: "none", ..OURS },
        Setup { order: "sq", ..OURS },
        Setup { method: "wanda", ..OURS },
        Setup { calibration: "c4 128x2048", ..OURS },
    ];
    for ours in others {
        assert_eq!(dense.comparable(&ours).unwrap_err().len(), 1, "{ours:?}");
    }
    let strip: [fn(&mut Published); 4] =
        [|p| p.window = None, |p| p.fine_tuned = None, |p| p.format = None, |p| p.order = None];
    for strip in strip {
        let mut less = dense.clone();
        strip(&mut less);
        let reasons = less.comparable(&OURS).unwrap_err();
        assert!(reasons.len() == 1 && reasons[0].contains("not stated"), "{reasons:?}");
    }
}

#[test]
fn what_cannot_be_compared_is_shown_without_ours() {
    let pruned = Setup { model: "lm", format: "hbfp8", sparsity: "50%", order: "sq", value: 77.77, ..OURS };
    let ours = [OURS, pruned, Setup { method: "pqp", order: "qs", ..pruned }];
    let text = markdown(&beside(&ours));
    let line = |words: &str| text.lines().find(|line| line.contains(words)).unwrap_or_default();
    let dense = line("opt-125m, fp32, dense");
    assert!(dense.contains("| 27.65 ") && dense.contains("| 27.66 "), "{text}");
    let trained = line("opt-125m, hbfp8, 50%, sq");
    assert!(trained.contains("model opt-125m, ours lm; window not stated; fine-tuned, ours is not"), "{text}");
    assert!(line("pqp: llama-2-7b, unstated format, 50%, qs, pqp ").contains("format not stated"), "{text}");
    // Neither our incomparable number, nor another order's, nor another method's.
    assert!(["77.77", "34.71", ", wanda "].iter().all(|other| !text.contains(other)), "{text}");
    assert_eq!(text.matches("- pqp: ").count(), 1, "{text}");
    assert_eq!(markdown(&[]), "");
}

#[test]
fn models_are_known_by_their_last_name() {
    for name in ["meta-llama/Llama-2-7b-hf", "/models/LLaMA-2-7B/", r"C:\models\llama-2-7b"] {
        assert_eq!(model(name), "llama-2-7b");
    }
    assert_eq!(model("meta-llama/Meta-Llama-3-8B"), "llama-3-8b");
}

#[test]
fn a_field_that_is_none_and_a_column_too_few_are_refused() {
    let (head, rest) = FILE.split_once("publication = ").unwrap();
    let reason = |text: &str| format!("{:#}", parse(text).unwrap_err());
    let unknown = reason(&format!("{head}colour = 1\npublication = {rest}"));
    assert!(unknown.contains("unknown field `colour`"), "{unknown}");
    let short = reason(&FILE.replacen("[5.12, ", "[", 1));
    assert!(short.contains("`format`: give one a value"), "{short}");
}
