//! Exports: a folder that this library opens again as the model that was compressed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use interplay::compression::{Calibration, Compressed, Export, Folder, Origin};
use interplay::formats::Format;
use interplay::load;
use interplay::models::embedded::lm;
use interplay::models::{Checkpoint, Input};
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::generated::ids;
use super::model::{logits, near, options, run};
use crate::oracles;

const FORMATS: [&str; 4] = ["int4", "mxfp4", "nvfp4", "hbfp4"];

/// The exported model is the same one, most often bit for bit; the session multiplies stored weights where the loaded model may add its bias
/// in the product.
const SAME: f32 = 1e-6;
/// Rotary pairs that are halves are summed in another order than neighbours.
const REORDERED: f32 = 2e-6;

const FOLDERS: [(&str, &str); 3] = [
    ("llama_sharded", "data/checkpoints/llama-mha-untied-sharded"),
    ("gpt2", "data/checkpoints/gpt2"),
    ("opt_pre_norm", "data/checkpoints/opt-pre-ln"),
];

pub fn cases() -> Vec<Trial> {
    let mut cases = vec![
        Trial::test("compression::export_of_the_embedded_model", || {
            export(&Origin::Embedded(lm()), lm().open()?.checkpoint, SAME)
        }),
        Trial::test("compression::export_of_a_gguf_file", || {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/gguf/tiny-q8_0.gguf");
            export(&Origin::of(&path), load::open(&path)?.checkpoint, REORDERED)
        }),
        Trial::test("compression::an_export_replaces_only_its_own", replaces),
        Trial::test("compression::an_export_lacks_its_configuration_to_the_last", last),
    ];
    cases.extend(FOLDERS.map(|(name, path)| {
        oracles::case(&format!("compression::export_of_{name}"), path, |path| {
            export(&Origin::of(path), load::open(path)?.checkpoint, SAME)
        })
    }));
    cases
}

/// A compressed model in a folder of blocks, and in memory.
struct Kept {
    folder: tempfile::TempDir,
    blocks: Folder,
    compressed: Compressed,
}

fn keep(model: &dyn Checkpoint, recipe: &str) -> Result<Kept, Failed> {
    let folder = tempfile::tempdir()?;
    let mut blocks = Folder::open(folder.path(), recipe)?;
    let calibration = Calibration::of((0..2).map(|i| ids(16, vocabulary(model), i)).collect())?;
    run(model, &calibration, &options(recipe)?, &mut blocks)?;
    let mut compressed = Compressed::default();
    for index in 0..blocks.blocks() {
        compressed.add(blocks.block(index)?);
    }
    Ok(Kept { folder, blocks, compressed })
}

fn vocabulary(model: &dyn Checkpoint) -> i64 {
    match model.input() {
        Input::Tokens { vocabulary, .. } => vocabulary as i64,
        _ => 1,
    }
}

fn export(origin: &Origin, model: Arc<dyn Checkpoint>, allowed: f32) -> Result<(), Failed> {
    let recipes = FORMATS.map(|format| format!("smoothquant(0.5), wanda(2:4), gptq({format})"));
    for recipe in recipes.into_iter().chain(["sparsegpt(50%)".to_owned()]) {
        let kept = keep(&*model, &recipe)?;
        let ids = ids(16, vocabulary(&*model), 7);
        let plan = kept.compressed.plan(Format::fp32(), None);
        let want = logits(&mut Session::new(kept.compressed.checkpoint(model.clone()), plan)?, &ids)?;
        let card = serde_json::json!({ "recipe": recipe });
        let export = Export { origin, blocks: &kept.blocks, card: &card };
        let mut both = Vec::new();
        for packed in [false, true] {
            let what = format!("{recipe}, packed: {packed}");
            let out = tempfile::tempdir()?;
            export.write(out.path(), packed)?;
            let loaded = load::open(out.path()).map_err(|e| format!("{what}: {e}"))?;
            let name = if packed { "model.packed.safetensors" } else { "model.safetensors" };
            assert!(loaded.files.contains(&out.path().join(name)), "{what}: {:?}", loaded.files);
            let got = logits(&mut Session::new(loaded.checkpoint, Plan::fp32())?, &ids)?;
            near(&got, &want, allowed, &what);
            assert_eq!(fs::read_to_string(out.path().join("compression.json"))?.trim_end(), format!("{card:#}"));
            both.push(got);
        }
        // Codes and scales are the values that the other file spells out.
        assert!(both[0] == both[1], "{recipe}: the two forms differ");
        kept.folder.close()?;
    }
    Ok(())
}

/// Every file below a folder.
fn names(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut names: Vec<_> = fs::read_dir(folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    names.sort();
    Ok(names)
}

fn replaces() -> Result<(), Failed> {
    let model = lm().open()?.checkpoint;
    let kept = keep(&*model, "wanda(2:4), rtn(int4)")?;
    let (origin, card) = (Origin::Embedded(lm()), serde_json::json!({}));
    let export = Export { origin: &origin, blocks: &kept.blocks, card: &card };
    let out = tempfile::tempdir()?;
    for (packed, file) in
        [(false, "model.safetensors"), (true, "model.packed.safetensors"), (false, "model.safetensors")]
    {
        export.write(out.path(), packed)?;
        let model = load::open(out.path())?;
        assert!(model.files.contains(&out.path().join(file)), "packed: {packed}: {:?}", model.files);
        assert!(model.tokenizer.is_some());
    }
    // Somebody else's model is left alone, and so is the model itself.
    let theirs = tempfile::tempdir()?;
    for name in ["config.json", "model.safetensors"] {
        fs::copy(out.path().join(name), theirs.path().join(name))?;
    }
    let before = names(theirs.path())?;
    let error = export.write(theirs.path(), true).err().ok_or("a model was overwritten")?.to_string();
    assert!(error.contains("another folder"), "{error}");
    assert_eq!(names(theirs.path())?, before);
    let origin = Origin::of(out.path());
    let export = Export { origin: &origin, blocks: &kept.blocks, card: &card };
    let error = export.write(out.path(), false).err().ok_or("the source was overwritten")?.to_string();
    assert!(error.contains("another folder"), "{error}");
    assert!(load::open(out.path()).is_ok());
    Ok(())
}

/// A run that fails on its way leaves no folder that opens.
fn last() -> Result<(), Failed> {
    let model = lm().open()?.checkpoint;
    let kept = keep(&*model, "wanda(2:4), rtn(int4)")?;
    let (origin, card) = (Origin::Embedded(lm()), serde_json::json!({}));
    let export = Export { origin: &origin, blocks: &kept.blocks, card: &card };
    let out = tempfile::tempdir()?;
    export.write(out.path(), false)?;
    let block = kept.folder.path().join("block-0002.safetensors");
    let bytes = fs::read(&block)?;
    fs::write(&block, &bytes[..bytes.len() - 100])?;
    for packed in [false, true] {
        let error = export.write(out.path(), packed).err().ok_or("a damaged block was exported")?.to_string();
        assert!(error.contains("block-0002.safetensors"), "{error}");
        assert!(load::open(out.path()).is_err(), "half a model opens");
        assert!(names(out.path())?.iter().all(|path| path.extension().is_none_or(|e| e != "partial")));
    }
    Ok(())
}
