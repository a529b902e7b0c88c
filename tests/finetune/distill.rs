//! Targets that lean towards the dense model that a run starts from.

use interplay::load::SafeTensors;
use interplay::train::finetune::{Settings, Start, Subject, identity, run};
use interplay::train::loss::{cross_entropy, lean, softmax};
use libtest_mimic::{Failed, Trial};

use super::small::{decoder, settings, stopped_at, viewer, whole};
use crate::exec::modules::values;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("finetune::distill_nothing_is_the_run_without_a_teacher", nothing),
        Trial::test("finetune::distill_from_itself_has_no_gradient", itself),
        Trial::test("finetune::distill_an_untouched_student_stays_its_teacher", untouched),
        Trial::test("finetune::distill_repeats_on_any_threads_and_goes_on", repeats),
        Trial::test("finetune::distill_is_part_of_the_run", part),
    ]
}

/// What older versions wrote is read, and what is written without a teacher is what they wrote.
fn nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let written = identity(&settings("qs"), &subject)?["settings"].clone();
    assert!(written.get("distill").is_none(), "{written}");
    let read: Settings = serde_json::from_value(written)?;
    assert_eq!(read, settings("qs"));
    let without = whole(&read, &subject, &folder.path().join("without"))?;
    let some = Settings { distill: 0.5, ..settings("qs") };
    let with = whole(&some, &subject, &folder.path().join("with"))?;
    assert_ne!(
        with["files"]["model.safetensors"], without["files"]["model.safetensors"],
        "the teacher changes nothing"
    );
    assert_eq!(with["before"], without["before"]);
    // A share that is nothing leaves every bit of a gradient.
    let (logits, classes) = (values(3 * 7, 1), [2, 0, 6]);
    let (_, gradient) = cross_entropy(&logits, &classes);
    let mut leant = gradient.clone();
    lean(&mut leant, &classes, 0.0, |_, out| out.fill(1.0 / 7.0));
    assert_eq!(leant, gradient);
    Ok(())
}

/// With `u = 2^-24` and `R` rows: the probability of either side has two roundings, and the right class two more of differences of at
/// most `1/R`, so that `6 u / R` is left, and less than another `u / R` of second order.
fn itself() -> Result<(), Failed> {
    let (rows, width) = (6, 11);
    let logits: Vec<f32> = values(rows * width, 5).into_iter().map(|x| 9.0 * x).collect();
    let classes: Vec<u32> = (0..rows as u32).map(|row| row * 5 % 11).collect();
    let (_, mut gradient) = cross_entropy(&logits, &classes);
    let before = gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
    lean(&mut gradient, &classes, 1.0, |row, out| softmax(&logits[row * width..][..width], out));
    let after = gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
    let bound = 7.0 * f32::EPSILON / 2.0 / rows as f32;
    assert!(after <= bound && before > 1e4 * bound, "{before} to {after}, at most {bound}");
    Ok(())
}

/// One dense FP32 step without dropout, at a rate and an epsilon of 1: AdamW then adds `-g / (1 + |g|)`, so that the parameters show the
/// gradient. Its logits' part is that of [`itself`], five orders below that of the right classes; the chain rule is linear in it and keeps
/// two of them.
fn untouched() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for (name, subject, window) in [
        ("text", decoder(&folder.path().join("text-start"))?, Some(16)),
        ("digits", viewer(&folder.path().join("digits-start"))?, None),
    ] {
        let start = folder.path().join(format!("{name}-start/model.safetensors"));
        let moved = |distill: f64| -> Result<f32, Failed> {
            let settings = Settings {
                format: "fp32".into(),
                sparsity: "dense".into(),
                window,
                distill,
                steps: 1,
                rate: 1.0,
                epsilon: 1.0,
                weight_decay: 0.0,
                dropout: 0.0,
                clip: None,
                ..settings("sq")
            };
            let out = folder.path().join(format!("{name}-{distill}"));
            whole(&settings, &subject, &out)?;
            farthest(&SafeTensors::open(&start)?, &SafeTensors::open(&out.join("model.safetensors"))?)
        };
        let (by_classes, by_itself) = (moved(0.0)?, moved(1.0)?);
        assert!(by_classes > 1e-2 && by_itself < 1e-3 * by_classes, "{name}: {by_itself} and {by_classes}");
    }
    Ok(())
}

/// The largest change of a parameter.
fn farthest(a: &SafeTensors, b: &SafeTensors) -> Result<f32, Failed> {
    let mut most = 0f32;
    for name in a.names() {
        let (a, b) = (a.floats(name)?, b.floats(name)?);
        assert_eq!(a.len(), b.len());
        most = a.iter().zip(&b).fold(most, |most, (a, b)| most.max((a - b).abs()));
    }
    Ok(most)
}

fn repeats() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let text = Settings { distill: 0.75, ..settings("qs") };
    let images = Settings { batch: 20, window: None, held_out: None, ..text.clone() };
    for (name, settings, subject) in [
        ("text", text, decoder(&folder.path().join("text-start"))?),
        ("digits", images, viewer(&folder.path().join("digits-start"))?),
    ] {
        let at = |run: &str| folder.path().join(format!("{name}-{run}"));
        let expected = whole(&settings, &subject, &at("whole"))?;
        assert_eq!(single.install(|| whole(&settings, &subject, &at("one")))?, expected, "{name} on one thread");
        // The teacher is the model of the beginning, not that of the stop.
        assert_eq!(stopped_at(&[1, 5], &settings, &subject, &at("stopped"))?, expected, "{name} stopped");
    }
    Ok(())
}

/// A folder knows the share of its run, and shares that are none are refused.
fn part() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let subject = decoder(&folder.path().join("start"))?;
    let (out, half) = (folder.path().join("out"), Settings { distill: 0.5, ..settings("sq") });
    whole(&half, &subject, &out)?;
    let refused = |distill: f64, subject: &Subject, part: &str| -> Result<(), Failed> {
        let settings = Settings { distill, ..half.clone() };
        let error = run(&settings, subject, &out, &mut |_| true).err().ok_or("it was taken")?.to_string();
        assert!(error.contains(part), "{error}");
        Ok(())
    };
    refused(0.25, &subject, "`settings.distill` is 0.5 there and 0.25 here")?;
    refused(0.0, &subject, "`settings.distill` is 0.5 there and null here")?;
    for share in [-0.1, 1.5, f64::NAN, f64::INFINITY] {
        refused(share, &subject, "0 to 1")?;
    }
    // Another teacher is another start, which is another run.
    let start = folder.path().join("start");
    let mut bytes = std::fs::read(start.join("model.safetensors"))?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(start.join("model.safetensors"), bytes)?;
    let other = Subject { start: Start::open(&start)?, ..subject };
    refused(0.5, &other, "checksums.model.safetensors")
}
