//! Checks a real GPU kernel against a datapath, bit for bit, and catches wrong twins of it.
//!
//! The kernel (`check_wgpu_kernel.wgsl`) multiplies FP16 matrices in integer arithmetic with the bits of Ampere's tensor
//! core. Each twin has one mistake of the kind that a tolerance does not see: a last rounding to nearest, one bit less at
//! the alignment, steps of another length. The first wrong result is shown, and `identify` says what was done instead.
//!
//! Any Vulkan device will do, one in software too (Debian: `apt-get install mesa-vulkan-drivers`):
//!
//! ```text
//! cargo run -p interplay-hw --features wgpu --example check_wgpu_kernel
//! ```
//!
//! `-- --save DIR` also writes the operands with the results of the kernel and of each twin, as `interplay verify` reads them: the files in
//! `docs/guide/kernel` are those of a run on llvmpipe.
//!
//! On Mesa's llvmpipe (22.3.6, LLVM 15.0.6) it prints:
//!
//! ```text
//! device: llvmpipe (LLVM 15.0.6, 256 bits) (Cpu, Mesa 22.3.6 (LLVM 15.0.6))
//!
//! kernel: 1920 of 1920 results equal ampere.mma.f16.f32
//!
//! twin that rounds the sum to nearest: 439 of 1920 results equal ampere.mma.f16.f32
//!   first: row 0, column 0: got 0xc5106c61, want 0xc5106c60 (-2.3107737e3, -2.3107734e3)
//!   highest wrong bit: 0
//!   why (1920 results explained so):
//!     rounding of a step's sum: nearest-even, not toward-zero
//!
//! twin that keeps 23 fraction bits: 354 of 1920 results equal ampere.mma.f16.f32
//!   first: row 0, column 0: got 0xc5106c64, want 0xc5106c60 (-2.3107744e3, -2.3107734e3)
//!   highest wrong bit: 2
//!   why (1920 results explained so):
//!     fraction bits below the greatest exponent: 23, not 24
//!
//! twin that adds 4 products a step: 516 of 1920 results equal ampere.mma.f16.f32
//!   first: row 0, column 0: got 0xc5106c5c, want 0xc5106c60 (-2.3107725e3, -2.3107734e3)
//!   highest wrong bit: 5
//!   why (1920 results explained so):
//!     products a step: 4, not 8
//! ```
//!
//! Exit status: 0 where the kernel is right and every twin is caught, 1 where not, 2 where there is no device.

use interplay_formats::catalog::FP16;
use interplay_hw::identify::{Found, Options, Recorded, Search, Widths};
use interplay_hw::{Datapath, Operand, identify};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rows of x, rows of w, and the length of the reduction.
const SHAPE: [usize; 3] = [48, 40, 64];
/// The unit whose bits the kernel promises.
const UNIT: &str = "ampere.mma.f16.f32";

/// A wrong twin of the kernel.
struct Twin {
    /// The name of its file.
    name: &'static str,
    /// What is wrong with it.
    what: &'static str,
    /// The constants that make it so.
    constants: &'static [(&'static str, f64)],
}

/// Every twin.
const TWINS: [Twin; 3] = [
    Twin { name: "nearest", what: "rounds the sum to nearest", constants: &[("NEAREST", 1.0)] },
    Twin { name: "fraction23", what: "keeps 23 fraction bits", constants: &[("FRACTION_BITS", 23.0)] },
    Twin { name: "step4", what: "adds 4 products a step", constants: &[("STEP", 4.0)] },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let folder = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => None,
        (Some("--save"), Some(folder)) => Some(PathBuf::from(folder)),
        _ => {
            eprintln!("usage: check_wgpu_kernel [--save DIR]");
            return ExitCode::from(2);
        }
    };
    match pollster::block_on(Gpu::open()) {
        Err(error) => {
            eprintln!("no Vulkan device: {error}\nA software one suffices: apt-get install mesa-vulkan-drivers");
            ExitCode::from(2)
        }
        Ok(gpu) => match check(&gpu, folder.as_deref()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
    }
}

/// Runs the kernel and its twins, and keeps what they gave in `folder`; whether all is as it should be.
fn check(gpu: &Gpu, folder: Option<&Path>) -> Result<bool, Box<dyn Error>> {
    let save = |name: &str, x: &[u32], w: &[u32], y: &[u32]| match folder {
        Some(folder) => save(&folder.join(name).with_extension("safetensors"), x, w, y),
        None => Ok(()),
    };
    println!("device: {}", gpu.name);
    let [m, n, k] = SHAPE;
    let (x, w) = (operands(m * k, 1), operands(n * k, 2));
    let want = expected(&x, &w)?;
    let right = gpu.matmul(&x, &w, &[])?;
    let wrong = report("kernel", &right, &want);
    save("kernel", &x, &w, &right)?;
    let reference = explained(&x, &w, &want)?;
    let mut caught = wrong == 0;
    for Twin { name, what, constants } in TWINS {
        let got = gpu.matmul(&x, &w, constants)?;
        caught &= report(&format!("twin that {what}"), &got, &want) > 0;
        save(name, &x, &w, &got)?;
        why(&reference, &explained(&x, &w, &got)?);
    }
    Ok(caught)
}

/// Writes `A` `[M, K]` and `B` `[K, N]` as FP16 codes, `C` (zeros) and `D` `[M, N]` as FP32 bits.
fn save(path: &Path, x: &[u32], w: &[u32], y: &[u32]) -> Result<(), Box<dyn Error>> {
    let [m, n, k] = SHAPE;
    let halves = |codes: Vec<u32>| codes.into_iter().flat_map(|code| (code as u16).to_le_bytes()).collect::<Vec<u8>>();
    let a = halves(x.to_vec());
    let b = halves((0..k * n).map(|at| w[at % n * k + at / n]).collect());
    let d: Vec<u8> = y.iter().flat_map(|code| code.to_le_bytes()).collect();
    let c = vec![0; d.len()];
    let tensors = [
        ("A", TensorView::new(Dtype::U16, vec![m, k], &a)?),
        ("B", TensorView::new(Dtype::U16, vec![k, n], &b)?),
        ("C", TensorView::new(Dtype::U32, vec![m, n], &c)?),
        ("D", TensorView::new(Dtype::U32, vec![m, n], &d)?),
    ];
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(serialize_to_file(tensors, None, path)?)
}

/// FP16 codes of both signs over 12 binades, subnormals and zeros among them; the same on each run.
fn operands(len: usize, seed: u64) -> Vec<u32> {
    let mut state = seed;
    let mut next = || {
        // Knuth's MMIX generator; its upper bits are good enough to choose operands.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut code = || match next() % 32 {
        0 => 0,
        1 => next() & 0x83FF,
        _ => next() & 0x83FF | (9 + next() % 12) << 10,
    };
    (0..len).map(|_| code()).collect()
}

/// What the unit gives, as FP32 codes.
fn expected(x: &[u32], w: &[u32]) -> Result<Vec<u32>, Box<dyn Error>> {
    let unit = Datapath::by_name(UNIT)?;
    let values = |codes: &[u32]| -> Vec<f32> { codes.iter().map(|&code| FP16.decode(code.into()).to_f32()).collect() };
    let (x, w) = (values(x), values(w));
    let weights = unit.prepare(Operand::Values { data: &w, k: SHAPE[2] })?;
    let y = unit.gemm(Operand::Values { data: &x, k: SHAPE[2] }, &weights)?;
    Ok(y.into_iter().map(f32::to_bits).collect())
}

/// Prints how many results differ and the first one that does; how many.
fn report(who: &str, got: &[u32], want: &[u32]) -> usize {
    let wrong: Vec<usize> = (0..want.len()).filter(|&at| got[at] != want[at]).collect();
    println!("\n{who}: {} of {} results equal {UNIT}", want.len() - wrong.len(), want.len());
    if let Some(&at) = wrong.first() {
        let (row, column) = (at / SHAPE[1], at % SHAPE[1]);
        let (got, want) = (got[at], want[at]);
        let values = [got, want].map(f32::from_bits);
        println!(
            "  first: row {row}, column {column}: got {got:#010x}, want {want:#010x} ({:e}, {:e})",
            values[0], values[1]
        );
        println!("  highest wrong bit: {}", 31 - (got ^ want).leading_zeros());
    }
    wrong.len()
}

/// The arithmetic that explains a product.
fn explained(x: &[u32], w: &[u32], y: &[u32]) -> Result<Option<Found>, Box<dyn Error>> {
    let [m, n, k] = SHAPE;
    let row =
        |codes: &[u32], row: usize| codes[row * k..(row + 1) * k].iter().map(|&code| code.into()).collect::<Vec<u64>>();
    let a: Vec<u64> = (0..m * n).flat_map(|at| row(x, at / n)).collect();
    let b: Vec<u64> = (0..m * n).flat_map(|at| row(w, at % n)).collect();
    let d: Vec<u64> = y.iter().map(|&code| code.into()).collect();
    let widths = Widths { a: 16, b: 16, c: 32, d: 32 };
    let rows = Recorded { k, a: &a, b: &b, d: &d, widths, ..Recorded::default() };
    let options = Options { input: Some("f16".to_owned()), search: Search::Always, ..Options::default() };
    Ok(identify(&rows, &options)?.parameters)
}

/// Prints in what a twin's arithmetic differs from the unit's.
fn why(unit: &Option<Found>, twin: &Option<Found>) {
    let (Some(unit), Some(twin)) = (unit, twin) else { return };
    println!("  why ({} results explained so):", twin.explained);
    for finding in &twin.findings {
        let other = unit.findings.iter().find(|other| other.parameter == finding.parameter);
        if let Some(other) = other.filter(|other| other.value != finding.value) {
            println!("    {}: {}, not {}", finding.parameter, finding.value, other.value);
        }
    }
}

/// A device and its queue.
struct Gpu {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Gpu {
    /// The first Vulkan device.
    async fn open() -> Result<Self, Box<dyn Error>> {
        let vulkan = wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        };
        let adapter = wgpu::Instance::new(vulkan).request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
        let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
        let info = adapter.get_info();
        Ok(Self { name: format!("{} ({:?}, {})", info.name, info.device_type, info.driver_info), device, queue })
    }

    /// A buffer that holds these words.
    fn buffer(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let buffer = self.empty(words.len(), usage | wgpu::BufferUsages::COPY_DST);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.queue.write_buffer(&buffer, 0, &bytes);
        buffer
    }

    /// A buffer of so many words.
    fn empty(&self, words: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = 4 * words as u64;
        self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    }

    /// The kernel's results, `[M, N]`, with some of its constants set.
    fn matmul(&self, x: &[u32], w: &[u32], constants: &[(&str, f64)]) -> Result<Vec<u32>, Box<dyn Error>> {
        use wgpu::BufferUsages as Usage;
        let [m, n, k] = SHAPE.map(|length| length as u32);
        let module = self.device.create_shader_module(wgpu::include_wgsl!("check_wgpu_kernel.wgsl"));
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("matmul"),
            compilation_options: wgpu::PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        });
        let words = (m * n) as usize;
        let y = self.empty(words, Usage::STORAGE | Usage::COPY_SRC);
        let back = self.empty(words, Usage::MAP_READ | Usage::COPY_DST);
        let buffers = [
            self.buffer(&[m, n, k, 0], Usage::UNIFORM),
            self.buffer(x, Usage::STORAGE),
            self.buffer(w, Usage::STORAGE),
            y.clone(),
        ];
        let entries: Vec<_> = (0u32..)
            .zip(&buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        let group = self.device.create_bind_group(&descriptor);
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(n.div_ceil(8), m.div_ceil(8), 1);
        }
        encoder.copy_buffer_to_buffer(&y, 0, &back, 0, 4 * words as u64);
        self.queue.submit([encoder.finish()]);
        self.read(&back)
    }

    /// The words of a buffer, once the device has written them.
    fn read(&self, buffer: &wgpu::Buffer) -> Result<Vec<u32>, Box<dyn Error>> {
        let (done, mapped) = std::sync::mpsc::channel();
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            // The receiver waits below; it is gone only where this function has failed already.
            let _ = done.send(result);
        });
        self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: None })?;
        mapped.recv()??;
        let bytes = buffer.get_mapped_range(..)?;
        Ok(bytes.chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
    }
}
