//! The fixed host: the same bits with every choice of instructions and any number of threads, near Burn's own, and what it refuses.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::Tensor;
use interplay::Error;
use interplay::burn::{Backend, Boundary, Captured, Host, Off, capture};
use interplay::eval::Eager;
use interplay::formats::simd::Simd;
use interplay::load;
use interplay::models::Checkpoint;
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::modules::{Fused, Vision, bits, grouped_convolution, strided_pixels, tensor};
use super::vision::MODELS;
use super::zoo::{ZOO, example, logits, open};
use crate::goldens::COMMITTED;

/// The host whose bits are eager Burn's.
pub fn burns() -> Backend {
    Backend::default().hosted(Host::Burn)
}

pub fn cases() -> Vec<Trial> {
    let mut cases = vec![
        Trial::test("exec::hosts_by_name", by_name),
        Trial::test("exec::fixed_host_of_fused_attention_and_convolutions", modules),
        Trial::test("exec::fixed_host_computes_or_refuses_every_operation", operations),
    ];
    let files = COMMITTED.map(|name| format!("zoo/{name}")).into_iter();
    let files = files.chain(["zoo/deit/1-head", "gguf/tiny-q8_0.gguf"].map(str::to_owned));
    cases.extend(files.map(|path| {
        let name = path.replace(['/', '-', '.'], "_");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(&path);
        Trial::test(format!("exec::fixed_host_{name}"), move || everywhere(&file_of(&file)?))
    }));
    cases.extend(ZOO.iter().map(|(name, config)| {
        Trial::test(format!("exec::fixed_host_generated_{name}"), || everywhere(&open(config)?))
    }));
    cases.extend(
        MODELS.map(|(name, model)| {
            Trial::test(format!("exec::fixed_host_generated_{name}"), move || everywhere(&model()?))
        }),
    );
    cases
}

fn file_of(path: &Path) -> Result<Arc<dyn Checkpoint>, Error> {
    Ok(load::open(path)?.checkpoint)
}

fn by_name() -> Result<(), Failed> {
    assert_eq!((Host::by_name(" Fixed ")?, Host::default()), (Host::Fixed, Host::Fixed));
    assert_eq!((Host::by_name("burn")?.name(), burns().host(), burns().name()), ("burn", Host::Burn, "flex"));
    let message = Host::by_name("burns").err().ok_or("accepted")?.to_string();
    assert!(message.contains("`burns`") && message.contains("did you mean `burn`"), "{message}");
    Ok(())
}

/// With every choice of instructions and several numbers of threads.
fn each(run: impl Fn() -> Result<Vec<u32>, Failed> + Sync) -> Result<Vec<u32>, Failed> {
    // The choice is the process's: another case must not change it meanwhile.
    static CHOICE: Mutex<()> = Mutex::new(());
    let _alone = CHOICE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut first: Option<Vec<u32>> = None;
    for simd in Simd::available() {
        for threads in [1, 2, 3, 8] {
            simd.choose()?;
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let got = pool.install(|| run().map_err(|e| e.message().unwrap_or_default().to_owned()))?;
            match &first {
                Some(first) => assert!(got == *first, "{} on {threads} threads gives other bits", simd.name()),
                None => first = Some(got),
            }
        }
    }
    Simd::Auto.choose()?;
    first.ok_or_else(|| "no instructions".into())
}

/// Both hosts add the same FP32 products in another order: the largest difference, as a share of the largest value, is noise.
fn near(fixed: &[u32], burns: &[u32]) {
    let values = |bits: &[u32]| -> Vec<f32> { bits.iter().map(|bits| f32::from_bits(*bits)).collect() };
    let (fixed, burns) = (values(fixed), values(burns));
    let largest = burns.iter().fold(0f32, |most, x| most.max(x.abs()));
    let gap = fixed.iter().zip(&burns).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
    assert_eq!(fixed.len(), burns.len());
    assert!(gap <= 2e-5 * largest && largest > 0.0, "a difference of {gap} where the largest value is {largest}");
}

fn everywhere(checkpoint: &Arc<dyn Checkpoint>) -> Result<(), Failed> {
    let input = example(&**checkpoint, 9);
    for plan in ["preset = \"none\"", "preset = \"all\"\nformat = \"mxfp8\"\ndatapath = \"fake\""] {
        let plan = Plan::from_toml(plan)?;
        let got = each(|| logits(&mut Session::new(Arc::clone(checkpoint), plan.clone())?, input.clone()))?;
        if plan == Plan::from_toml("preset = \"none\"")? {
            near(&got, &logits(&mut Eager::new(&**checkpoint), input.clone())?);
        }
    }
    Ok(())
}

fn module<I: Boundary + Sync, const D: usize>(captured: &Captured, x: &I, eager: Tensor<D>) -> Result<(), Failed> {
    let got = each(|| Ok(bits(captured.run::<_, Tensor<D>>(x.clone(), &mut Off)?)))?;
    near(&got, &bits(eager));
    Ok(())
}

fn modules() -> Result<(), Failed> {
    let (fused, x) = (Fused::new(8), tensor([1, 2, 5, 8], 2));
    module(&capture(&fused, |m, x: Tensor<4>| m.forward(x), &x)?, &x, fused.forward(x.clone()))?;
    let (grouped, x) = (grouped_convolution(), tensor([2, 4, 7, 8], 3));
    module(&capture(&grouped, |m, x: Tensor<4>| m.forward(x), &x)?, &x, grouped.forward(x.clone()))?;
    let (strided, x) = (strided_pixels(), tensor([2, 3, 3, 3], 5));
    module(&capture(&strided, |m, x: Tensor<4>| m.forward(x), &x)?, &x, strided.forward(x.clone()))?;
    let (vision, x) = (Vision::new(3, 16), tensor([2, 3, 16, 16], 1));
    module(&capture(&vision, |m, x: Tensor<4>| m.forward(x), &x)?, &x, vision.forward(x.clone()))
}

/// A module of one operation on a tensor.
#[derive(burn::module::Module, Debug)]
struct One {
    #[module(skip)]
    name: &'static str,
}

type Operation = fn(Tensor<3>) -> Tensor<3>;

const COMPUTED: [(&str, Operation); 16] = [
    ("exp", |x| x.exp()),
    ("log", |x| x.abs().log()),
    ("log1p", |x| x.abs().log1p()),
    ("tanh", |x| x.tanh()),
    ("erf", |x| x.erf()),
    ("sin", |x| x.sin()),
    ("cos", |x| x.cos()),
    ("power", |x| x.abs().powf_scalar(1.3)),
    ("powers of a line", |x| x.clone().abs().powf(x.slice([0..1, 0..1]) * 0.25 + 1.5)),
    ("whole powers", |x| x.clone().powi(x * 0.0 + 3.0)),
    ("sum of a middle dimension", |x| x.sum_dim(1)),
    ("mean of the first dimension", |x| x.mean_dim(0)),
    ("largest of the last dimension", |x| x.max_dim(2)),
    ("softmax of a middle dimension", |x| burn::tensor::activation::softmax(x, 1)),
    ("sum of all", |x| x.sum().reshape([1, 1, 1])),
    ("sigmoid", burn::tensor::activation::sigmoid),
];

const REFUSED: [(&str, Operation); 3] = [("Tan", |x| x.tan()), ("Sinh", |x| x.sinh()), ("ArcTan", |x| x.atan())];

fn operations() -> Result<(), Failed> {
    let x = tensor([3, 4, 35], 8);
    let one = |name| One { name };
    for (name, operation) in COMPUTED {
        let captured = capture(&one(name), |_, x: Tensor<3>| operation(x), &x)?;
        let got = each(|| Ok(bits(captured.run::<_, Tensor<3>>(x.clone(), &mut Off)?)))?;
        near(&got, &bits(operation(x.clone())));
    }
    for (name, operation) in REFUSED {
        let captured = capture(&one(name), |_, x: Tensor<3>| operation(x), &x)?;
        let error = captured.run::<_, Tensor<3>>(x.clone(), &mut Off).err().ok_or("computed")?.to_string();
        assert_eq!(
            error,
            format!("the fixed host has no `Float::{name}`; take the host `burn`, whose bits depend on the machine")
        );
        let own = captured.on(burns()).run::<_, Tensor<3>>(x.clone(), &mut Off)?;
        assert_eq!(bits(own), bits(operation(x.clone())), "{name}");
    }
    Ok(())
}
