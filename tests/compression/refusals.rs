//! What a run answers to input that does not fit: the layer's name, and what would do.

use std::ops::ControlFlow;

use interplay::compress::Recipe;
use interplay::compression::{Calibration, Compressed, Event, Options, Outcome, compress};
use interplay::formats::Format;
use interplay::models::Checkpoint;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::generated::{BERT, DECODERS, LLAMA, POST_NORM, ids, model, with_dead};
use super::model::{compressed, logits, options};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("compression::a_dead_input_stops_no_method", dead),
        Trial::test("compression::a_singular_hessian_is_damped_and_told", singular),
        Trial::test("compression::calibration_that_does_not_fit_is_refused", calibration),
        Trial::test("compression::a_pattern_that_does_not_divide_names_the_layer", divides),
        Trial::test("compression::an_unknown_step_is_told_the_nearest", unknown),
        Trial::test("compression::norms_that_feed_no_layer_are_not_smoothed", post_norm),
        Trial::test("compression::a_recipe_that_scales_what_is_rounded_is_refused", order),
    ]
}

/// The warnings of a run with as many sequences.
fn warnings(
    model: &dyn Checkpoint,
    count: i64,
    length: usize,
    options: &Options,
) -> Result<(Compressed, Vec<String>), Failed> {
    let (mut store, mut told) = (Compressed::default(), Vec::new());
    let calibration = Calibration::of((0..count).map(|i| ids(length, 40, i)).collect())?;
    let outcome = compress(model, &calibration, options, &mut store, &mut |event| {
        if let Event::Warning { layer, text } = event {
            told.push(format!("{layer}: {text}"));
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!(outcome, Outcome::Complete);
    Ok((store, told))
}

fn error(model: &dyn Checkpoint, length: usize, recipe: &str) -> Result<String, Failed> {
    match warnings(model, 2, length, &options(recipe)?) {
        Err(error) => Ok(error.message().unwrap_or_default().to_owned()),
        Ok(_) => Err(format!("{recipe} was accepted").into()),
    }
}

fn dead() -> Result<(), Failed> {
    let recipes = [
        "wanda(50%), rtn(int4)",
        "ria(2:4)",
        "bawa(50%)",
        "jsq(50%), forward, smoothquant(0.5, maxima=last), rtn(int8)",
        "sparsegpt(2:4), gptq(int4-asym)",
        "sparsegpt(50%, mxfp4)",
        "smoothquant(0.5), gptq(hbfp4)",
        "awq(int4-asym-g32)",
        "gptq(int4-asym), pqp-metric(50%)",
        "saliency(50%, update=yes)",
    ];
    for (name, config) in DECODERS {
        let model = with_dead(config, 3)?;
        for recipe in recipes {
            let (compressed, _) = compressed(&*model, (0..3).map(|i| ids(12, 40, i)).collect(), &options(recipe)?)?;
            let plan = compressed.plan(Format::fp32(), None);
            let mut session = Session::new(compressed.checkpoint(model.clone()), plan)?;
            let finite = logits(&mut session, &ids(12, 40, 8))?.iter().all(|v| v.is_finite());
            assert!(finite, "{name}: {recipe}");
        }
    }
    // A solver zeroes the weights of what never comes; LLaMA's norms have no shift.
    let model = with_dead(LLAMA, 3)?;
    let (compressed, _) = compressed(&*model, (0..3).map(|i| ids(12, 40, i)).collect(), &options("gptq(int4-asym)")?)?;
    let q = &compressed.layers["layers.0.self_attn.q_proj"];
    assert!(q.values.chunks(q.k).all(|row| row[..3].iter().all(|w| *w == 0.0)));
    Ok(())
}

fn singular() -> Result<(), Failed> {
    let model = model(LLAMA)?;
    for recipe in ["sparsegpt(50%, damping=0)", "gptq(int4, damping=0)", "wanda(50%, update=yes, damping=0)"] {
        // Two tokens span two of 32 inputs.
        let (store, told) = warnings(&*model, 1, 2, &options(recipe)?)?;
        assert!(store.reports.iter().all(|r| r.damping_raised == Some(0.01)), "{recipe}: {:?}", store.reports);
        assert_eq!(told.len(), 14, "{recipe}");
        for (told, report) in told.iter().zip(&store.reports) {
            assert!(told.starts_with(&report.layer) && told.contains("0.01"), "{recipe}: {told}");
        }
        let (store, told) = warnings(&*model, 1, 2, &options(&recipe.replace(", damping=0", ""))?)?;
        assert!(store.reports.iter().all(|r| r.damping_raised.is_none()), "{recipe}");
        assert_eq!(told, [""; 0]);
    }
    Ok(())
}

fn calibration() -> Result<(), Failed> {
    let model = model(LLAMA)?;
    let contains = |error: String, part: &str| assert!(error.contains(part), "{error}");
    contains(error(&*model, 17, "wanda(50%)")?, "--length 16");
    contains(error(&*super::generated::model(BERT)?, 8, "wanda(50%)")?, "only language models");
    let refused = |sequences| Calibration::of(sequences).err().map(|e| e.to_string()).unwrap_or_default();
    contains(refused(vec![]), "at least one sequence");
    contains(refused(vec![vec![1, 2], vec![1]]), "all of one length");
    for id in [40, -1] {
        let calibration = Calibration::of(vec![vec![1, id]])?;
        let options = options("wanda(50%)")?;
        let refused =
            compress(&*model, &calibration, &options, &mut Compressed::default(), &mut |_| ControlFlow::Continue(()));
        contains(refused.err().map(|e| e.to_string()).unwrap_or_default(), &format!("the token {id}"));
    }
    Ok(())
}

fn divides() -> Result<(), Failed> {
    let model = model(LLAMA)?;
    for recipe in ["wanda(64:2:8)", "sparsegpt(64:2:8)", "ria(2:5, permute=serpentine)", "sparsegpt(4:6p)"] {
        let error = error(&*model, 8, recipe)?;
        assert!(error.contains("layers.0.self_attn.q_proj"), "{recipe}: {error}");
    }
    Ok(())
}

fn unknown() -> Result<(), Failed> {
    for (recipe, near) in [("wnda(2:4)", "wanda"), ("wanda(2:4), gpqt(int4)", "gptq")] {
        let error = recipe.parse::<Recipe>().err().ok_or("accepted")?.to_string();
        assert!(error.contains(&format!("did you mean `{near}`")), "{error}");
    }
    Ok(())
}

fn post_norm() -> Result<(), Failed> {
    let model = model(POST_NORM)?;
    for recipe in ["smoothquant(0.5)", "awq(int4)"] {
        let error = error(&*model, 8, recipe)?;
        assert!(error.contains("norms do not feed"), "{recipe}: {error}");
    }
    // Without scales the same model is compressed as any other.
    warnings(&*model, 2, 8, &options("awq(int4, scale=no)")?)?;
    Ok(())
}

fn order() -> Result<(), Failed> {
    for recipe in ["rtn(int4), smoothquant(0.5)", "sparsegpt(2:4, int4), smoothquant(0.5)"] {
        let error = recipe.parse::<Recipe>().err().ok_or("accepted")?.to_string();
        assert!(error.contains("put `smoothquant` before"), "{error}");
    }
    Ok(())
}
