//! What holds for every run: the same bytes however it is run, weights on their grid, masks exact, smoothing that changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use interplay::compress::Layer;
use interplay::compression::{Calibration, Compressed, Event, Folder, LayerReport, Outcome, compress};
use interplay::formats::{Format, Pattern};
use interplay::models::embedded::lm;
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::generated::{self, ids, model};
use super::model::{compressed, logits, near, options, run};

pub fn cases() -> Vec<Trial> {
    let mut cases = vec![
        Trial::test("compression::permuting_and_pruning_nothing_changes_nothing", permuting),
        Trial::test("compression::a_run_has_one_result_on_any_threads", threads),
        Trial::test("compression::a_stopped_run_goes_on", stopped),
        Trial::test("compression::what_is_not_counted_is_not_read", uncounted),
        Trial::test("compression::a_damaged_block_is_an_error", damaged),
        Trial::test("compression::another_runs_folder_is_refused", refused),
        Trial::test("compression::a_block_comes_back_from_its_file", comes_back),
        Trial::test("compression::an_update_after_rounding_is_told", off_the_grid),
    ];
    cases.extend(FORMATS.iter().map(|format| {
        Trial::test(format!("compression::every_order_stays_on_the_grid_of_{format}"), || orders(format))
    }));
    cases.extend(generated::DECODERS.iter().map(|(name, config)| {
        Trial::test(format!("compression::smoothing_changes_nothing_{name}"), || smoothing(config))
    }));
    cases
}

const FORMATS: [&str; 6] = ["int4", "int8-asym", "int4-asym-g32", "mxfp4", "nvfp4", "hbfp4"];

/// Few steps that between them use every kind of statistic.
const RECIPES: [&str; 5] = [
    "smoothquant(0.5), wanda(2:4), gptq(int4-asym)",
    "ria(2:4, permute=assignment), awq(int4-g32)",
    "sparsegpt(50%, mxfp4)",
    "jsq(50%), forward, smoothquant(0.5, maxima=last), rtn(int8)",
    "rtn(nvfp4), besa(50%)",
];

fn sequences(count: usize, length: usize, vocabulary: i64) -> Vec<Vec<i64>> {
    (0..count as i64).map(|i| ids(length, vocabulary, i)).collect()
}

fn calibration() -> Result<Calibration, Failed> {
    Ok(Calibration::of(sequences(3, 12, 40))?)
}

fn permuting() -> Result<(), Failed> {
    let dense = lm().open()?.checkpoint;
    let ids = ids(24, 2048, 9);
    let want = logits(&mut Session::new(dense.clone(), Plan::fp32())?, &ids)?;
    for recipe in ["wanda(2:4, permute=serpentine)", "ria(2:4, permute=assignment, parts=2)"] {
        let (mut compressed, _) = compressed(&*dense, sequences(2, 16, 2048), &options(recipe)?)?;
        let mut moved = 0;
        for (name, layer) in &mut compressed.layers {
            let order = layer.order.clone().ok_or("no order")?;
            moved += usize::from(!order.is_sorted());
            let mask = layer.mask.as_ref().ok_or("no mask")?;
            let kept = mask.kept().chunks(layer.k).flat_map(|row| order.iter().map(|&j| row[j])).collect::<Vec<_>>();
            let groups = kept.chunks(4).all(|group| group.iter().filter(|kept| **kept).count() == 2);
            assert!(groups, "{recipe}: {name}: a group of inputs as permuted does not keep 2");
            let back = |row: &[f32]| {
                let permuted: Vec<f32> = order.iter().map(|&j| row[j]).collect();
                let mut row = vec![f32::NAN; row.len()];
                order.iter().zip(permuted).for_each(|(&j, w)| row[j] = w);
                row
            };
            let values = layer.original.chunks(layer.k).flat_map(back).collect();
            *layer = Arc::new(Layer::new(layer.k, values));
        }
        assert!(moved > 0, "{recipe}: no input has moved");
        let mut session = Session::new(compressed.checkpoint(dense.clone()), compressed.plan(Format::fp32(), None))?;
        near(&logits(&mut session, &ids)?, &want, 1e-6, recipe);
    }
    Ok(())
}

/// Every file of a folder.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failed> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path())?);
    }
    Ok(files)
}

/// What an uninterrupted run leaves in a folder.
fn whole(recipe: &str) -> Result<BTreeMap<String, Vec<u8>>, Failed> {
    let folder = tempfile::tempdir()?;
    let model = model(generated::LLAMA)?;
    run(&*model, &calibration()?, &options(recipe)?, &mut Folder::open(folder.path(), recipe)?)?;
    files(folder.path())
}

fn threads() -> Result<(), Failed> {
    for recipe in RECIPES {
        let once = whole(recipe)?;
        let names: Vec<&str> = once.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["block-0000.safetensors", "block-0001.safetensors", "blocks-done.json", "streams-0002.safetensors"]
        );
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let again = pool.install(|| whole(recipe)).map_err(|e| format!("{recipe}: {e:?}"))?;
            assert!(again == once, "{recipe}: other bytes on {threads} threads");
        }
    }
    Ok(())
}

/// Stops a run in `folder` as soon as `at` says so.
fn stop(folder: &Path, recipe: &str, mut at: impl FnMut(&Event<'_>) -> bool) -> Result<usize, Failed> {
    let mut store = Folder::open(folder, recipe)?;
    let (model, options) = (model(generated::LLAMA)?, options(recipe)?);
    let outcome = compress(&*model, &calibration()?, &options, &mut store, &mut |event| {
        if at(&event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    match outcome {
        Outcome::Stopped(blocks) => Ok(blocks),
        Outcome::Complete => Err("nobody stopped the run".into()),
    }
}

fn go_on(folder: &Path, recipe: &str) -> Result<(), Failed> {
    let model = model(generated::LLAMA)?;
    run(&*model, &calibration()?, &options(recipe)?, &mut Folder::open(folder, recipe)?)?;
    Ok(())
}

fn stopped() -> Result<(), Failed> {
    for recipe in RECIPES {
        let want = whole(recipe)?;
        // Between two blocks, and inside of the second, where the block in hand is thrown away.
        for steps in [0, 1, 2] {
            let folder = tempfile::tempdir()?;
            let mut seen = 0;
            let blocks = stop(folder.path(), recipe, |event| match event {
                Event::Block { index, .. } if *index == 1 => {
                    seen = 1;
                    steps == 0
                }
                Event::Step { .. } if seen > 0 => {
                    seen += 1;
                    seen > steps
                }
                _ => false,
            })?;
            assert_eq!((blocks, Folder::open(folder.path(), recipe)?.blocks()), (1, 1));
            go_on(folder.path(), recipe)?;
            assert!(files(folder.path())? == want, "{recipe}: other bytes when it goes on");
        }
    }
    Ok(())
}

/// A folder in which one of two blocks is finished.
fn half(recipe: &str) -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    stop(folder.path(), recipe, |event| matches!(event, Event::Block { index: 1, .. }))?;
    Ok(folder)
}

fn uncounted() -> Result<(), Failed> {
    let recipe = RECIPES[0];
    let want = whole(recipe)?;
    for name in ["block-0001.safetensors", ".interplay-1-0.partial"] {
        let folder = half(recipe)?;
        fs::write(folder.path().join(name), &want["block-0001.safetensors"][..1000])?;
        assert_eq!(Folder::open(folder.path(), recipe)?.blocks(), 1);
        go_on(folder.path(), recipe)?;
        let mut got = files(folder.path())?;
        // What another process left is removed by the next one, not by the one in which this test runs.
        got.retain(|file, _| file.as_str() != name || want.contains_key(file));
        assert!(got == want, "{name} has changed the run");
    }
    Ok(())
}

fn cut(path: &Path) -> Result<(), Failed> {
    let bytes = fs::read(path)?;
    Ok(fs::write(path, &bytes[..bytes.len() - 7])?)
}

/// The message of what must not succeed.
fn message<T>(result: Result<T, interplay::Error>) -> Result<String, Failed> {
    match result {
        Err(error) => Ok(error.to_string()),
        Ok(_) => Err("this was accepted".into()),
    }
}

fn damaged() -> Result<(), Failed> {
    let recipe = RECIPES[0];
    let folder = half(recipe)?;
    cut(&folder.path().join("block-0000.safetensors"))?;
    let error = message(Folder::open(folder.path(), recipe)?.block(0))?;
    assert!(error.contains("block-0000.safetensors"), "{error}");

    let folder = half(recipe)?;
    cut(&folder.path().join("streams-0001.safetensors"))?;
    let mut store = Folder::open(folder.path(), recipe)?;
    let model = model(generated::LLAMA)?;
    let error =
        message(compress(&*model, &calibration()?, &options(recipe)?, &mut store, &mut |_| ControlFlow::Continue(())))?;
    assert!(error.contains("streams-0001.safetensors"), "{error}");

    let folder = half(recipe)?;
    fs::write(folder.path().join("blocks-done.json"), "{\"run\":")?;
    let error = message(Folder::open(folder.path(), recipe))?;
    assert!(error.contains("blocks-done.json"), "{error}");
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let folder = half(RECIPES[0])?;
    let before = files(folder.path())?;
    let error = message(Folder::open(folder.path(), RECIPES[1]))?;
    assert!(error.contains(RECIPES[0]) && error.contains("blocks-done.json"), "{error}");
    assert!(files(folder.path())? == before, "the other run's folder has changed");
    Ok(())
}

fn comes_back() -> Result<(), Failed> {
    for recipe in RECIPES {
        let (folder, model) = (tempfile::tempdir()?, model(generated::LLAMA)?);
        let mut store = Folder::open(folder.path(), recipe)?;
        run(&*model, &calibration()?, &options(recipe)?, &mut store)?;
        let (memory, _) = compressed(&*model, sequences(3, 12, 40), &options(recipe)?)?;
        let mut read = Compressed::default();
        for index in 0..store.blocks() {
            read.add(store.block(index)?);
        }
        // The text of a report holds its numbers to the last place but one.
        let rounded = |reports: &[LayerReport]| {
            let near = |v: f64| format!("{v:.13e}");
            let numbers = |r: &LayerReport| {
                [Some(r.sparsity), Some(r.weight_error), r.output_error, r.without_update, r.damping_raised]
                    .map(|v| v.map(near))
            };
            reports.iter().map(|r| (r.layer.clone(), r.rows, r.k, r.on_grid, numbers(r))).collect::<Vec<_>>()
        };
        assert_eq!(rounded(&read.reports), rounded(&memory.reports), "{recipe}");
        assert_eq!(read.vectors, memory.vectors, "{recipe}");
        assert!(read.layers.keys().eq(memory.layers.keys()), "{recipe}");
        for (name, layer) in &read.layers {
            let want = &memory.layers[name];
            assert_eq!(bits(&layer.values), bits(&want.values), "{recipe}: {name}");
            assert_eq!(layer.quantized, want.quantized, "{recipe}: {name}");
            assert_eq!((&layer.mask, &layer.order), (&want.mask, &want.order), "{recipe}: {name}");
        }
    }
    Ok(())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// A recipe of each order and what it prunes.
fn orders(format: &str) -> Result<(), Failed> {
    let dense = lm().open()?.checkpoint;
    let recipes = [
        format!("wanda(2:4), rtn({format})"),
        format!("sparsegpt(2:4), gptq({format})"),
        format!("magnitude(50%-row), awq({format})"),
        format!("gptq({format}), pqp-metric(50%)"),
        format!("rtn({format}), ria(2:4)"),
        format!("sparsegpt(2:4, {format})"),
        format!("sparsegpt(50%-row, {format})"),
    ];
    for recipe in recipes {
        let (compressed, _) = compressed(&*dense, sequences(2, 32, 2048), &options(&recipe)?)?;
        assert_eq!(compressed.reports.len(), 18);
        for report in &compressed.reports {
            let what = format!("{recipe}: {}", report.layer);
            let layer = &compressed.layers[&report.layer];
            let quantized = layer.quantized.as_ref().ok_or("no stored form")?;
            assert_eq!(report.on_grid, Some(true), "{what}");
            assert_eq!(quantized.format().name, format, "{what}");
            assert!(quantized.dequantize() == layer.values, "{what}: the stored form has other values");
            exact(layer, &what)?;
        }
    }
    Ok(())
}

/// Pruned weights are zero, and as many are pruned as the pattern says, row by row.
fn exact(layer: &Layer, what: &str) -> Result<(), Failed> {
    let mask = layer.mask.as_ref().ok_or("no mask")?;
    let pruned = |(w, kept): (&f32, &bool)| *kept || *w == 0.0;
    assert!(layer.values.iter().zip(mask.kept()).all(pruned), "{what}: a pruned weight is not zero");
    for row in mask.kept().chunks(layer.k) {
        match mask.pattern() {
            Pattern::NofM { n, m } => {
                let groups = row.chunks(m).all(|group| group.iter().filter(|kept| **kept).count() == n);
                assert!(groups, "{what}: a group does not keep {n}");
            }
            _ => {
                let kept = row.iter().filter(|kept| **kept).count();
                // A fraction of each solver's block of columns; both halves of 192 are even.
                assert_eq!(kept, layer.k / 2, "{what}");
            }
        }
    }
    Ok(())
}

fn off_the_grid() -> Result<(), Failed> {
    for (recipe, leaves) in [
        ("rtn(int4), wanda(50%, update=yes)", true),
        ("sparsegpt(2:4, int4), wanda(50%, update=yes)", true),
        ("gptq(int4-g16, order=diagonal)", true),
        ("gptq(int4-g16, order=diagonal, scales=static)", false),
        ("gptq(int4-g32), wanda(50%)", false),
    ] {
        let (model, mut store, mut told) = (model(generated::LLAMA)?, Compressed::default(), Vec::new());
        compress(&*model, &calibration()?, &options(recipe)?, &mut store, &mut |event| {
            if let Event::Warning { layer, text } = event {
                told.push(format!("{layer}: {text}"));
            }
            ControlFlow::Continue(())
        })?;
        assert!(store.reports.iter().all(|report| report.on_grid == Some(!leaves)), "{recipe}");
        let warned = |(told, report): (&String, &LayerReport)| told.starts_with(&report.layer) && told.contains("FP32");
        assert_eq!(told.len(), if leaves { store.reports.len() } else { 0 }, "{recipe}: {told:?}");
        assert!(told.iter().zip(&store.reports).all(warned), "{recipe}: {told:?}");
    }
    Ok(())
}

/// The dense model and the smoothed one before anything is rounded.
fn smoothing(config: &str) -> Result<(), Failed> {
    let dense = model(config)?;
    let ids = ids(12, 40, 5);
    let want = logits(&mut Session::new(dense.clone(), Plan::fp32())?, &ids)?;
    for recipe in ["smoothquant(0.5)", "smoothquant(0.9), rtn(int8)", "awq(int4-asym-g32)"] {
        let (mut compressed, _) = compressed(&*dense, sequences(3, 12, 40), &options(recipe)?)?;
        for layer in compressed.layers.values_mut() {
            *layer = Arc::new(Layer::new(layer.k, layer.original.clone()));
        }
        assert!(!compressed.vectors.is_empty(), "{recipe}");
        let mut session = Session::new(compressed.checkpoint(dense.clone()), compressed.plan(Format::fp32(), None))?;
        near(&logits(&mut session, &ids)?, &want, 3e-6, recipe);
    }
    Ok(())
}
