//! An FP32 evaluation needs its weights once.
//!
//! Memory is counted, not timed or sampled: this program's allocator knows the most bytes that were ever in use at once, and the
//! system says which pages of the weights' file are mapped. Both are of a process that does nothing else: the case runs this program
//! once more, with [`MEASURE`] in its environment.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use interplay::eval::perplexity;
use interplay::load;
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

/// The folder to measure, for a process that measures.
const MEASURE: &str = "INTERPLAY_MEASURE_MEMORY";

/// A LLaMA with a tied head whose embedding is half of it, so that one copy of it more than allowed is seen.
const CONFIG: &str = r#"{"model_type":"llama","vocab_size":20480,"hidden_size":256,"intermediate_size":1024,
    "num_hidden_layers":5,"num_attention_heads":4,"max_position_embeddings":64,"tie_word_embeddings":true}"#;
const VOCABULARY: usize = 20480;
const WIDTH: usize = 256;
const INNER: usize = 1024;
const BLOCKS: usize = 5;
const HEADS: usize = 4;
const WINDOW: usize = 64;

/// The most that the system maps around a page that is read.
const MAPPED_AROUND: usize = 1 << 16;

pub fn cases() -> Vec<Trial> {
    vec![Trial::test("memory::an_evaluation_in_fp32_needs_its_weights_once", weights_once)]
}

/// The system's allocator, with a count of what is in use.
pub struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's own with the caller's arguments; what is counted has no part in it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(IN_USE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Where this process was started to measure, measures and says so.
pub fn measured() -> Option<Result<(), Failed>> {
    let folder = std::env::var_os(MEASURE)?;
    let measured = measure(Path::new(&folder));
    Some(measured.inspect_err(|e| eprintln!("{}", e.message().unwrap_or_default())))
}

/// Evaluates one window of the model in `folder`; prints the most bytes of heap and the mapped bytes of the weights' file.
fn measure(folder: &Path) -> Result<(), Failed> {
    let before = IN_USE.load(Relaxed);
    let model = load::open(folder)?;
    let mut session = Session::new(model.checkpoint.clone(), Plan::fp32())?;
    let mapped = mapped(&folder.join("model.safetensors"));
    let window = (0..WINDOW as i64).map(|i| i * 37 % VOCABULARY as i64).collect();
    let perplexity = perplexity(&mut session, &[window])?.value();
    println!("{} {mapped} {perplexity}", MOST.load(Relaxed) - before);
    Ok(())
}

/// The bytes of `file` that are in this process's memory; 0 where the system does not say.
fn mapped(file: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let file = file.to_string_lossy().into_owned();
    let fields = maps.lines().skip_while(|line| !line.ends_with(&file)).skip(1);
    let resident = fields.map_while(|line| line.split_once(':')).find(|(field, _)| *field == "Rss");
    resident.and_then(|(_, size)| size.split_whitespace().next()?.parse::<usize>().ok()).map_or(0, |kib| kib << 10)
}

fn weights_once() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("config.json"), CONFIG)?;
    let tensors = tensors();
    write(&folder.path().join("model.safetensors"), &tensors)?;
    let weights: usize = tensors.iter().map(|(_, shape)| 4 * shape.iter().product::<usize>()).sum();
    // docs/performance.md derives what is alive at once: of a block the scores before and after an operation with the mask, or the gated
    // product's three operands; of the head the logits; and the residual stream. Their sum is more than any moment has.
    let block = (2 * HEADS + 1) * WINDOW * WINDOW + 3 * WINDOW * INNER + 4 * WINDOW * WIDTH;
    let activations = 4 * (block + WINDOW * VOCABULARY);

    let run = Command::new(std::env::current_exe()?).env(MEASURE, folder.path()).output()?;
    let said = String::from_utf8_lossy(&run.stdout);
    let numbers: Vec<f64> = said.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [heap, mapped, perplexity] = numbers[..] else {
        return Err(format!("the measurement said `{said}`: {}", String::from_utf8_lossy(&run.stderr)).into());
    };
    assert!(perplexity.is_finite());
    let most = 1.3 * weights as f64 + activations as f64;
    assert!(heap <= most, "{heap} bytes of heap for {weights} of weights and {activations} of activations");
    let edges = tensors.len() * MAPPED_AROUND;
    assert!(
        mapped <= edges as f64,
        "{mapped} bytes of the weights' file stay mapped; at most {edges} are at tensors' edges"
    );
    Ok(())
}

/// The tensors of [`CONFIG`].
fn tensors() -> Vec<(String, Vec<usize>)> {
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, WIDTH])];
    for block in 0..BLOCKS {
        let mut add = |name: &str, shape| tensors.push((format!("model.layers.{block}.{name}.weight"), shape));
        add("input_layernorm", vec![WIDTH]);
        add("post_attention_layernorm", vec![WIDTH]);
        ["q", "k", "v", "o"].iter().for_each(|p| add(&format!("self_attn.{p}_proj"), vec![WIDTH, WIDTH]));
        ["gate", "up"].iter().for_each(|p| add(&format!("mlp.{p}_proj"), vec![INNER, WIDTH]));
        add("mlp.down_proj", vec![WIDTH, INNER]);
    }
    tensors.push(("model.norm.weight".to_owned(), vec![WIDTH]));
    tensors
}

/// Writes a safetensors file of small values.
fn write(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<(), Failed> {
    let (mut header, mut end) = (Vec::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#));
    }
    let header = format!("{{{}}}", header.join(","));
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header.as_bytes())?;
    for i in 0..end / 4 {
        file.write_all(&((i * 31 % 61) as f32 / 1024.0 - 0.03).to_le_bytes())?;
    }
    Ok(file.flush()?)
}
