//! Sessions on the zoo's architectures with generated weights.

use std::sync::Arc;

use interplay::burn::Activation;
use interplay::eval::Eager;
use interplay::models::Checkpoint;
use interplay::models::opt::{OptCheckpoint, OptConfig};
use interplay::models::vit::{VitCheckpoint, VitConfig};
use interplay::plan::Plan;
use interplay::session::{Session, compare};
use libtest_mimic::{Failed, Trial};

use super::host::burns;
use super::modules::tensor;
use super::zoo::{Generated, logits};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::session_in_fp32_equals_eager", fp32),
        Trial::test("exec::session_names_layers_as_the_contract_does", names),
        Trial::test("exec::session_counts_bits_and_macs", counts),
        Trial::test("exec::session_compares_layers", comparison),
        Trial::test("exec::session_refuses_a_lost_rule", lost),
        Trial::test("exec::session_runs_every_order_of_a_vision_model", vision),
    ]
}

pub fn opt() -> Result<Arc<dyn Checkpoint>, Failed> {
    let config = OptConfig {
        vocab_size: 40,
        hidden_size: 32,
        num_hidden_layers: 2,
        ffn_dim: 64,
        num_attention_heads: 4,
        max_position_embeddings: 16,
        ..OptConfig::default()
    };
    Ok(Arc::new(OptCheckpoint::new(config, Arc::new(Generated))?))
}

fn vit() -> Result<Arc<dyn Checkpoint>, Failed> {
    let config = VitConfig {
        hidden_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 4,
        intermediate_size: 64,
        image_size: 8,
        patch_size: 4,
        num_channels: 1,
        id2label: (0..10).map(|i| (i, i.to_string())).collect(),
        ..VitConfig::default()
    };
    Ok(Arc::new(VitCheckpoint::new(config, Arc::new(Generated))?))
}

pub fn ids(length: usize) -> Activation {
    Activation::ids(&(0..2 * length as i64).map(|i| i * 7 % 40).collect::<Vec<_>>(), length)
}

fn fp32() -> Result<(), Failed> {
    let mut session = Session::on(burns(), opt()?, Plan::fp32())?;
    for length in [5, 9] {
        let eager = logits(&mut Eager::new(&*opt()?), ids(length))?;
        assert_eq!(logits(&mut session, ids(length))?, eager);
        assert_eq!(eager.len(), 2 * length * 40);
    }
    let images = Activation::Images(tensor([3, 1, 8, 8], 2));
    let mut session = Session::on(burns(), vit()?, Plan::from_toml("preset = \"all\"")?)?;
    assert_eq!(logits(&mut session, images.clone())?, logits(&mut Eager::new(&*vit()?), images)?);
    Ok(())
}

fn names() -> Result<(), Failed> {
    let session = Session::new(opt()?, Plan::fp32())?;
    let block = ["q_proj", "k_proj", "v_proj", "qk", "pv", "out_proj"].map(|n| format!("self_attn.{n}"));
    let block: Vec<_> = block.into_iter().chain(["fc1".into(), "fc2".into()]).collect();
    let layers = (0..2).flat_map(|i| block.iter().map(move |n| format!("decoder.layers.{i}.{n}")));
    assert_eq!(session.layer_names(), layers.chain(["lm_head".into()]).collect::<Vec<_>>());
    let session = Session::new(vit()?, Plan::fp32())?;
    let layer = |n: &str| format!("vit.encoder.layer.0.{n}");
    let expected = [
        "vit.embeddings.patch_embeddings.projection".to_owned(),
        layer("attention.attention.query"),
        layer("attention.attention.key"),
        layer("attention.attention.value"),
        layer("attention.attention.qk"),
        layer("attention.attention.pv"),
        layer("attention.output.dense"),
        layer("intermediate.dense"),
        layer("output.dense"),
        "classifier".to_owned(),
    ];
    assert_eq!(session.layer_names(), expected);
    Ok(())
}

fn counts() -> Result<(), Failed> {
    let mut session = Session::new(opt()?, Plan::from_toml("format = \"mxfp8\"")?)?;
    let linears = 2 * (4 * 32 * 32 + 2 * 32 * 64) as u64;
    let others = (40 * 32 + 18 * 32 + 2 * (4 * 32 + 64 + 32 + 4 * 32) + 2 * 32) as u64;
    let footprint = session.footprint()?;
    assert_eq!((footprint.configured.values, footprint.configured.scales), (8 * linears, linears / 4));
    assert_eq!(footprint.total.other, 32 * others);
    session.set_plan(Plan::fp32())?;
    assert_eq!(session.footprint()?.total.total(), 32 * (linears + others));

    let input = ids(5);
    let macs = 10 * linears + 2 * 2 * 2 * 4 * (5 * 5 * 8) + 10 * 32 * 40;
    let workload = session.workload(&input)?;
    assert_eq!(workload.layers.iter().map(|l| l.gemm.m * l.gemm.k * l.gemm.n * l.gemm.count).sum::<u64>(), macs);
    let trace = session.trace(&input)?;
    assert_eq!(trace.iter().map(|o| o.macs).sum::<u64>(), macs);
    let product = trace.iter().find(|o| o.macs > 0).ok_or("no product")?;
    assert_eq!((product.operation.as_str(), product.stage), ("Float::Matmul", 1));
    let [q] = &product.products[..] else { return Err("a linear layer is one product".into()) };
    assert_eq!((q.name.as_str(), q.datapath), ("decoder.layers.0.self_attn.q_proj", "fake"));
    assert_eq!((q.m * q.k * q.n * q.count) as u64, product.macs);
    session.set_plan(Plan::from_toml("format = \"mxfp8\"")?)?;
    let trace = session.trace(&input)?;
    let datapath = |name: &str| trace.iter().flat_map(|o| &o.products).find(|p| p.name == name).map(|p| p.datapath);
    assert_eq!(datapath("decoder.layers.1.fc2"), Some("block"));
    assert_eq!(datapath("decoder.layers.1.self_attn.qk"), Some("fake"));
    assert_eq!(trace.iter().flat_map(|o| &o.products).count(), session.placements()?.len());
    Ok(())
}

fn comparison() -> Result<(), Failed> {
    let mut reference = Session::new(opt()?, Plan::fp32())?;
    let errors = |reference: &mut Session, format: &str| -> Result<Vec<f64>, Failed> {
        let mut session = Session::new(opt()?, Plan::from_toml(&format!("preset = \"all\"\nformat = \"{format}\""))?)?;
        let errors = compare(reference, &mut session, &[ids(5), ids(9)])?;
        assert_eq!(errors.len(), 16);
        Ok(errors.into_iter().map(|e| e.error).collect())
    };
    assert!(errors(&mut reference, "fp32")?.iter().all(|&e| e == 0.0));
    let (fine, coarse) = (errors(&mut reference, "hbfp8")?, errors(&mut reference, "hbfp4")?);
    assert!(fine.iter().zip(&coarse).all(|(f, c)| 0.0 < *f && f < c && *c < 1.0), "{fine:?} {coarse:?}");
    let mut other = Session::new(vit()?, Plan::fp32())?;
    assert!(compare(&mut reference, &mut other, &[ids(5)]).is_err());
    Ok(())
}

fn lost() -> Result<(), Failed> {
    let plan = Plan::from_toml("[[layer]]\nmatch = \"decoder.layers.7.fc1\"\nformat = \"int8\"")?;
    let error = Session::new(opt()?, plan).err().ok_or("accepted")?.to_string();
    assert!(error.contains("`decoder.layers.7.fc1`; the nearest name it has is `decoder.layers.0.fc1`"), "{error}");
    Ok(())
}

/// The patch convolution has one channel, so every quantisation block holds one element while 2:4 groups span four of them.
fn vision() -> Result<(), Failed> {
    let images = Activation::Images(tensor([2, 1, 8, 8], 2));
    let mut session = Session::new(vit()?, Plan::fp32())?;
    let mut seen = std::collections::BTreeSet::from([logits(&mut session, images.clone())?]);
    for format in ["int8", "hbfp4"] {
        for order in ["sq", "qs"] {
            let text = |datapath| {
                format!("format = \"{format}\"\nsparsity = \"2:4\"\norder = \"{order}\"\ndatapath = \"{datapath}\"")
            };
            session.set_plan(Plan::from_toml(&text("fake"))?)?;
            let fake = logits(&mut session, images.clone())?;
            session.set_plan(Plan::from_toml(&text("auto"))?)?;
            let unit = logits(&mut session, images.clone())?;
            let close = |(a, b): (&u32, &u32)| (f32::from_bits(*a) - f32::from_bits(*b)).abs() < 1e-4;
            assert!(fake.iter().zip(&unit).all(close), "{format} {order}");
            assert!(seen.insert(unit), "{format} {order} changes nothing");
        }
    }
    let patch = session.placements()?.into_iter().find_map(|p| p.footprint).ok_or("nothing stored")?;
    // 32 rows of 16 positions: half of the codes, a scale a position, a bit of metadata a position.
    assert_eq!((patch.values, patch.scales, patch.metadata), (4 * 32 * 8, 10 * 32 * 16, 32 * 16));
    Ok(())
}
