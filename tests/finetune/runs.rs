//! What a run computes.

use std::fs;

use interplay::plan::Plan;
use interplay::session::Session;
use interplay::train::engine::Decay;
use interplay::train::finetune::{Data, Masks, Outcome, Settings, run};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use super::small::{decoder, settings, stopped_at, viewer, whole};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("finetune::every_recipe_learns_and_repeats_on_any_threads", every_recipe),
        Trial::test("finetune::a_stopped_run_ends_with_the_same_bytes", stopped),
        Trial::test("finetune::a_vision_transformer_learns_goes_on_and_repeats", vision),
        Trial::test("finetune::a_frozen_mask_stays_after_a_stop", frozen),
        Trial::test("finetune::a_unit_of_ones_own", own_unit),
        Trial::test("finetune::settings_decide", settings_decide),
        Trial::test("finetune::what_is_not_finite_stops_the_run", diverges),
        Trial::test("finetune::settings_that_make_no_run_are_errors", refused),
    ]
}

fn number(value: &Value) -> Result<f64, Failed> {
    Ok(value.as_f64().ok_or_else(|| format!("{value} is no number"))?)
}

fn every_recipe() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    for recipe in ["sq", "qs", "common"] {
        let settings = settings(recipe);
        let result = whole(&settings, &subject, &folder.path().join(recipe))?;
        let (before, after) = (&result["before"]["plan"][0], &result["after"]["plan"][0]);
        assert_eq!(before["name"], "perplexity");
        assert!(number(&after["value"])? < 0.9 * number(&before["value"])?, "{recipe}: {before} to {after}");
        let again = folder.path().join(format!("{recipe}-one"));
        assert_eq!(single.install(|| whole(&settings, &subject, &again))?, result, "{recipe} on one thread");
    }
    // The folder is a model that opens, and that scores as was said.
    let model = interplay::load::open(&folder.path().join("qs"))?;
    let mut session =
        Session::new(model.checkpoint, Plan::from_toml("format = \"hbfp6\"\nsparsity = \"50%\"\norder = \"qs\"")?)?;
    let Data::Text(text) = &subject.data else { return Err("a decoder has a text".into()) };
    let windows = interplay::eval::windows(&text.held_out, 16, 3)?;
    let found = interplay::eval::perplexity(&mut session, &windows)?.value();
    let result = whole(&settings("qs"), &subject, &folder.path().join("qs"));
    assert!(result.is_ok(), "a folder with a run's checkpoints is the run's");
    assert_eq!(found, number(&result?["after"]["plan"][0]["value"])?);
    Ok(())
}

fn stopped() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    for recipe in ["sq", "qs"] {
        let settings = settings(recipe);
        let expected = whole(&settings, &subject, &folder.path().join(format!("{recipe}-whole")))?;
        for (name, stops) in [("a", &[1][..]), ("b", &[3, 4, 9]), ("c", &[6, 10])] {
            let out = folder.path().join(format!("{recipe}-{name}"));
            assert_eq!(stopped_at(stops, &settings, &subject, &out)?, expected, "{recipe} stopped at {stops:?}");
        }
    }
    Ok(())
}

fn vision() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = viewer(&folder.path().join("start"))?;
    let settings = Settings { batch: 20, window: None, held_out: None, ..settings("qs") };
    let result = whole(&settings, &subject, &folder.path().join("whole"))?;
    let (before, after) = (&result["before"]["plan"], &result["after"]["plan"]);
    assert_eq!((&after[0]["name"], &after[1]["name"]), (&Value::from("cross_entropy"), &Value::from("top1")));
    assert!(number(&after[0]["value"])? < number(&before[0]["value"])?, "{before} to {after}");
    assert_eq!(stopped_at(&[5], &settings, &subject, &folder.path().join("stopped"))?, result);
    Ok(())
}

fn frozen() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let frozen = Settings { mask: Masks::Freeze, ..settings("common") };
    let expected = whole(&frozen, &subject, &folder.path().join("frozen"))?;
    assert_ne!(whole(&settings("common"), &subject, &folder.path().join("moving"))?, expected);
    // The mask is that of the first weights, not of those at the stop.
    assert_eq!(stopped_at(&[6], &frozen, &subject, &folder.path().join("stopped"))?, expected);
    Ok(())
}

const UNIT: &str = r#"
[datapath]
name = "narrow-accumulator"
inputs = "blocks"
accumulator = "e5m4"
rounding = "toward-zero"
"#;

fn own_unit() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let on_unit = |steps| {
        let record = Some(UNIT.to_owned());
        Settings { datapath_record: record, sparsity: "dense".into(), order: None, steps, ..settings("common") }
    };
    let result = whole(&on_unit(10), &subject, &folder.path().join("own"))?;
    let natural = Settings { datapath_record: None, ..on_unit(10) };
    let elsewhere = whole(&natural, &subject, &folder.path().join("natural"))?;
    assert_ne!(result["after"], elsewhere["after"], "the unit's accumulator changes nothing");
    assert!(number(&result["after"]["plan"][0]["value"])? < number(&result["before"]["plan"][0]["value"])?);
    Ok(())
}

fn settings_decide() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let plain = settings("common");
    let variants = [
        plain.clone(),
        Settings { seed: 2, ..plain.clone() },
        Settings { order: Some("qs".into()), ..plain.clone() },
        Settings { gradients: None, ..plain.clone() },
        Settings { schedule: Decay::Cosine, ..plain.clone() },
        Settings { warmup: 3, ..plain.clone() },
        Settings { clip: Some(0.01), ..plain.clone() },
        Settings { clip: None, ..plain.clone() },
        Settings { dropout: 0.0, ..plain.clone() },
        Settings { weight_decay: 0.5, ..plain.clone() },
        Settings { sparsity: "2:4".into(), ..plain },
    ];
    let mut seen: Vec<Value> = Vec::new();
    for (index, settings) in variants.iter().enumerate() {
        let result = whole(settings, &subject, &folder.path().join(index.to_string()))?;
        let model = result["files"]["model.safetensors"].clone();
        assert!(!seen.contains(&model), "variant {index} changes nothing");
        seen.push(model);
    }
    Ok(())
}

fn diverges() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    for recipe in ["sq", "common"] {
        let wild = Settings { rate: 1e30, warmup: 9, checkpoint_every: 1, ..settings(recipe) };
        let out = folder.path().join(recipe);
        let Outcome::Diverged { reason, kept } = run(&wild, &subject, &out, &mut |_| true)? else {
            return Err("a rate of 1e30 does no harm".into());
        };
        assert!(reason.contains("step"), "{reason}");
        assert!(!out.join("config.json").exists() && !out.join("model.safetensors").exists());
        // What is kept is whole, and the run goes on from it to the same end.
        let again = run(&wild, &subject, &out, &mut |_| true)?;
        assert_eq!(again, Outcome::Diverged { reason, kept });
        let names = fs::read_dir(out.join(".checkpoints")).map(Iterator::count).unwrap_or(0);
        assert_eq!(names > 0, kept.is_some());
    }
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let plain = settings("common");
    for (settings, parts) in [
        (Settings { recipe: "comon".into(), ..plain.clone() }, ["comon", "`common`"]),
        (Settings { format: "hbpf6".into(), ..plain.clone() }, ["hbpf6", "hbfp6"]),
        (Settings { order: None, ..plain.clone() }, ["order", "sq"]),
        (Settings { order: Some("qs".into()), ..settings("sq") }, ["recipe `sq`", "common"]),
        (Settings { gradients: Some("hbfp8".into()), ..settings("sq") }, ["FP32", "hbfp8"]),
        (Settings { batch: 3, ..plain.clone() }, ["batch of 3", "2"]),
        (Settings { batch: 40, ..plain.clone() }, ["too few", "smaller batch"]),
        (Settings { window: Some(17), ..plain.clone() }, ["17", "2 to 16"]),
        (Settings { warmup: 10, ..plain.clone() }, ["10 steps", "warm-up"]),
        (Settings { rate: f64::NAN, ..plain.clone() }, ["learning rate", "above 0"]),
        (Settings { clip: Some(0.0), ..plain.clone() }, ["norm", "above 0"]),
        (Settings { beta_2: 1.0, ..plain.clone() }, ["betas", "below 1"]),
        (Settings { epsilon: 0.0, ..plain.clone() }, ["epsilon", "above 0"]),
        (Settings { evaluate_every: 0, ..plain.clone() }, ["evaluations", "at least 1"]),
        (Settings { datapath: Some("blok".into()), ..plain.clone() }, ["blok", "block"]),
        (Settings { datapath_record: Some("[datapath]\n".into()), ..plain.clone() }, ["name", ""]),
        (Settings { preset: "papr".into(), ..plain.clone() }, ["papr", "paper"]),
        (Settings { sparsity: "64:2:7".into(), ..plain }, ["decoder.layers.0", "64"]),
    ] {
        let out = folder.path().join("out");
        let error = run(&settings, &subject, &out, &mut |_| true).err().ok_or(parts[0])?.to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        assert!(!out.exists(), "{error}: a refused run left a folder");
    }
    Ok(())
}
