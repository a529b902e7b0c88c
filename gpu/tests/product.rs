//! Products on the device against the CPU's, bit for bit.

use crate::device::{on_device, trial};
use cubecl::client::Client;
use interplay_formats::{Codes, Encoding, Format, Quantized, Scale, Scales, Stream};
use interplay_gpu::product::Product;
use interplay_gpu::{DeviceOperand, Error, Kernels, device};
use interplay_hw::datapath::{Arm, Inputs, Node, Overflow, Round, Sum};
use interplay_hw::{Datapath, Operand};
use libtest_mimic::{Failed, Trial};

/// Pairs of formats: each kind of element, of scale and of register, and mixed ones.
const PAIRS: [(&str, &str); 15] = [
    ("hbfp8", "hbfp8"),
    ("hbfp6", "hbfp4"),
    ("mxint8", "mxint8"),
    ("mxfp8-e4m3", "mxfp8-e4m3"),
    ("mxfp8-e5m2", "mxfp8-e5m2"),
    ("mxfp8-e5m2", "mxfp8-e4m3"),
    ("mxfp6-e2m3", "mxfp6-e2m3"),
    ("mxfp6-e3m2", "mxfp6-e3m2"),
    ("mxfp4", "mxfp4"),
    ("mxfp8-e4m3", "mxfp4"),
    ("nvfp4", "nvfp4"),
    ("nvfp4-torchao", "nvfp4-four-over-six"),
    ("int8", "int8"),
    ("int4", "int8"),
    ("msfp12", "msfp16"),
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("product::unsupported_records_say_why", unsupported),
        on_device("product::wrong_operands".to_owned(), wrong_operands),
        on_device("product::integer_overflow".to_owned(), integer_overflow),
        on_device("product::nan_scales".to_owned(), nan_scales),
    ];
    for (x, w) in PAIRS {
        trials.push(on_device(format!("product::{x}_by_{w}"), move |client| pair(client, x, w, record(x))));
    }
    for (x, w) in [("mxfp8-e5m2", "mxfp8-e5m2"), ("hbfp8", "hbfp8"), ("nvfp4", "nvfp4")] {
        trials.push(on_device(format!("product::fused_{x}_by_{w}"), move |client| pair(client, x, w, fused())));
    }
    trials
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap_or_else(|error| panic!("{error}"))
}

fn datapath(name: &str) -> Datapath {
    *Datapath::by_name(name).unwrap_or_else(|error| panic!("{error}"))
}

fn record(format: &str) -> Datapath {
    datapath(if format.starts_with("int") { "int8" } else { "block" })
}

/// `block` with the accumulator in the exact sum of each block.
fn fused() -> Datapath {
    let block = datapath("block");
    let arms: &'static [Arm] = Box::leak(Box::new([Arm::exact(Node::Accumulator), Arm::exact(Node::PRODUCTS)]));
    Datapath { name: "fused", sum: Box::leak(Box::new(Sum { arms, ..*block.sum })), ..block }
}

/// `int8` with a register that does something else with sums that it cannot hold.
fn integers(overflow: Overflow) -> Datapath {
    let int8 = datapath("int8");
    let rounds: Vec<Round> = int8.sum.round.iter().map(|round| Round { overflow, ..*round }).collect();
    Datapath { name: "integers", sum: Box::leak(Box::new(Sum { round: rounds.leak(), ..*int8.sum })), ..int8 }
}

/// What the numbers of a case are like.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Quantised values of similar size.
    Ordinary,
    /// Few codes and scales of all sizes: sums cancel, meet ties, and lose everything of what they held.
    Cancelling,
    /// Results beyond FP32's largest and below its smallest normal number.
    Ends,
    /// Every code that the format has, with its infinities and NaN.
    Codes,
}

struct Numbers {
    stream: Stream,
    position: u64,
}

impl Numbers {
    fn word(&mut self) -> u32 {
        self.position += 1;
        self.stream.word(self.position)
    }

    fn below(&mut self, n: u32) -> u32 {
        self.word() % n
    }

    /// An exponent of a block's scale.
    fn exponent(&mut self, kind: Kind) -> i32 {
        match kind {
            Kind::Ordinary | Kind::Codes => self.below(7) as i32 - 3,
            Kind::Cancelling => self.below(50) as i32 - 25,
            // Sums of products near 2^128 and 2^-149.
            Kind::Ends if self.below(2) == 0 => 56 + self.below(10) as i32,
            Kind::Ends => -62 - self.below(18) as i32,
        }
    }

    fn code(&mut self, format: &Format, kind: Kind) -> u64 {
        let bits = format.element.bits();
        let word = u64::from(self.word());
        let code = match kind {
            Kind::Cancelling => [0u64, 1, 2, 3][(word % 4) as usize] | (word >> 8 & 1) << (bits - 1),
            _ => word & ((1 << bits) - 1),
        };
        if let Encoding::Integer { .. } = format.element.encoding {
            // Symmetric: -2^(bits - 1) is no code.
            let signed = (code << (64 - bits)) as i64 >> (64 - bits);
            return signed.max(1 - (1 << (bits - 1))) as u64;
        }
        let finite = format.element.decode(code).finite().is_some();
        if finite || matches!(kind, Kind::Codes) { code } else { 1 }
    }

    fn quantized(&mut self, format: &'static Format, rows: usize, k: usize, kind: Kind) -> Quantized {
        if matches!(kind, Kind::Ordinary) {
            let value = |x: u32| (x as i32 as f32) * 2f32.powi(-28);
            let values: Vec<f32> = (0..rows * k).map(|_| value(self.word())).collect();
            return format.quantize(&values, k).unwrap_or_else(|error| panic!("{error}"));
        }
        let padded = format.padded(k);
        let codes: Vec<u64> =
            (0..rows * padded).map(|i| if i % padded < k { self.code(format, kind) } else { 0 }).collect();
        let codes = match format.element.encoding {
            Encoding::Integer { .. } => Codes::I8(codes.into_iter().map(|code| code as i8).collect()),
            _ => Codes::U8(codes.into_iter().map(|code| code as u8).collect()),
        };
        let blocks = rows * padded / format.block_len(k);
        let scaling = format.scaling.unwrap_or_else(|| panic!("formats here have scales"));
        let mut exponents: Vec<i32> = (0..blocks).map(|_| self.exponent(kind)).collect();
        if let Scale::Exponent(bits) = scaling.scale {
            let high = (1 << (bits - 1)) - 1;
            exponents.iter_mut().for_each(|e| *e = (*e).clamp(-high, high));
        }
        let scales = match scaling.scale {
            Scale::E8M0 => Scales::E8M0(exponents.into_iter().map(|e| (e + 127) as u8).collect()),
            Scale::Exponent(_) => Scales::Exponent(exponents.into_iter().map(|e| e as i16).collect()),
            Scale::Code(_) => Scales::Code((0..blocks).map(|_| (self.word() % 0x7F) as u8).collect()),
            _ => Scales::Float32((0..blocks).map(|_| f32::from_bits(0x3000_0000 + self.below(0x2000_0000))).collect()),
        };
        let tensor = scaling.two_level.then(|| f32::from_bits(0x3700_0000 + self.below(0x0800_0000)));
        Quantized::from_parts(format, rows, k, codes, scales, tensor).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Both kernels and the CPU on the same operands.
fn same(client: &Client, record: &Datapath, x: &Quantized, w: &Quantized, what: &str) -> Result<(), Failed> {
    let weights = record.prepare(Operand::Quantized(w))?;
    let want = record.gemm(Operand::Quantized(x), &weights)?;
    let product = Product::new(record, x.format(), w.format())?;
    let (dx, dw) = (DeviceOperand::upload(client, x)?, DeviceOperand::upload(client, w)?);
    let mut runs = vec![("tiled", product.run(client, &dx, &dw)?)];
    // Mesa's software rasteriser ends a kernel's loops after 65,535 rounds.
    if x.k() < 60_000 {
        runs.push(("simple", product.run_simple(client, &dx, &dw)?));
    }
    for (kernel, handle) in runs {
        let got = device::read(client, handle)?;
        assert_eq!(got.len(), want.len());
        if let Some(i) = got.iter().zip(&want).position(|(got, want)| *got != want.to_bits()) {
            let (row, column) = (i / w.rows(), i % w.rows());
            let (got, want) = (got[i], want[i].to_bits());
            return Err(format!("{what}, {kernel}, output {row}, {column}: {got:08x}, not {want:08x}").into());
        }
    }
    Ok(())
}

fn pair(client: &Client, x: &str, w: &str, record: Datapath) -> Result<(), Failed> {
    let (x, w) = (format(x), format(w));
    let mut numbers = Numbers { stream: Stream::new(11), position: 0 };
    for (m, k, n) in [(1, 1, 1), (3, 17, 5), (2, 100, 65), (67, 33, 7), (64, 256, 64)] {
        for kind in [Kind::Ordinary, Kind::Cancelling, Kind::Ends, Kind::Codes] {
            let (a, b) = (numbers.quantized(x, m, k, kind), numbers.quantized(w, n, k, kind));
            same(client, &record, &a, &b, &format!("{kind:?} {m} x {k} x {n}"))?;
        }
    }
    Ok(())
}

/// Sums beyond 32 bits are refused, wrap or saturate as the record says, and only where they can be so long.
fn integer_overflow(client: &Client) -> Result<(), Failed> {
    let int8 = format("int8");
    let long = 133_145;
    let values = |sign: f32| -> Vec<f32> { (0..2 * long).map(|i| if i < long { sign } else { 0.5 }).collect() };
    let (x, w) = (int8.quantize(&values(1.0), long)?, int8.quantize(&values(-1.0), long)?);
    same(client, &integers(Overflow::Wrap), &x, &w, "wrap")?;
    same(client, &integers(Overflow::Saturate), &x, &w, "saturate")?;
    same(client, &integers(Overflow::Saturate), &x, &x, "saturate at the other end")?;
    let product = Product::new(&integers(Overflow::Error), int8, int8)?;
    let (dx, dw) = (DeviceOperand::upload(client, &x)?, DeviceOperand::upload(client, &w)?);
    let error = product.run(client, &dx, &dw).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("133145") && error.contains("133144"), "{error}");
    let (x, w) = (int8.quantize(&[1.0; 133_144], 133_144)?, int8.quantize(&[-1.0; 133_144], 133_144)?);
    same(client, &integers(Overflow::Error), &x, &w, "the longest that fits")
}

/// The CPU refuses the NaN scale of a block with values; here the row is NaN. A block of zeros has no scale that matters.
fn nan_scales(client: &Client) -> Result<(), Failed> {
    let mxfp4 = format("mxfp4");
    let matrix = |scales: [u8; 2], code: u8| {
        let codes = Codes::U8((0..64).map(|i| if i < 32 { code } else { 2 }).collect());
        Quantized::from_parts(mxfp4, 1, 64, codes, Scales::E8M0(scales.to_vec()), None)
    };
    let w = matrix([127, 127], 2)?;
    let x = matrix([255, 127], 0)?;
    same(client, &datapath("block"), &x, &w, "zeros under a NaN scale")?;
    let x = matrix([255, 127], 2)?;
    assert!(datapath("block").prepare(Operand::Quantized(&x)).is_err(), "the CPU refuses it");
    let product = Product::new(&datapath("block"), mxfp4, mxfp4)?;
    let (dx, dw) = (DeviceOperand::upload(client, &x)?, DeviceOperand::upload(client, &w)?);
    for handle in [product.run(client, &dx, &dw)?, product.run_simple(client, &dx, &dw)?] {
        assert_eq!(device::read(client, handle)?, [0x7FC0_0000]);
    }
    Ok(())
}

fn unsupported() -> Result<(), Failed> {
    // What listings say of a record is what its kernels do.
    for record in Datapath::all().iter().filter(|record| !record.is_host()) {
        let format = match record.inputs {
            Inputs::Integers => format("int8"),
            Inputs::Blocks(_) => format("hbfp8"),
            _ => Format::fp32(),
        };
        match Kernels::new(record, format, format) {
            Ok(_) => assert!(record.has_gpu_kernel(), "{}", record.name),
            Err(Error::CpuOnly { datapath, .. }) => {
                assert!(!record.has_gpu_kernel() && datapath == record.name, "{}", record.name)
            }
            Err(error) => panic!("{}: {error}", record.name),
        }
    }
    assert!(matches!(datapath("block").inputs, Inputs::Blocks(_)));
    for (record, x, w) in [("block", "hbfp8", "mxfp4"), ("block", "int8", "int8"), ("int8", "mxfp4", "mxfp4")] {
        let error = Product::new(&datapath(record), format(x), format(w)).err();
        assert!(matches!(error, Some(Error::Refused(_))), "{record}, {x}, {w}: {error:?}");
    }
    Ok(())
}

fn wrong_operands(client: &Client) -> Result<(), Failed> {
    let (hbfp8, hbfp4) = (format("hbfp8"), format("hbfp4"));
    let product = Product::new(&datapath("block"), hbfp8, hbfp8)?;
    let upload = |format: &'static Format, k: usize| {
        let q = format.quantize(&vec![1.0; k], k).unwrap_or_else(|error| panic!("{error}"));
        DeviceOperand::upload(client, &q)
    };
    let x = upload(hbfp8, 64)?;
    let short = DeviceOperand { rows: 2, ..x.clone() };
    let unscaled = DeviceOperand { scales: None, ..x.clone() };
    for w in [upload(hbfp4, 64)?, upload(hbfp8, 128)?, short, unscaled] {
        let error = product.run(client, &x, &w).err();
        assert!(matches!(error, Some(Error::Operand { side: "w", .. })), "{error:?}");
    }
    Ok(())
}
