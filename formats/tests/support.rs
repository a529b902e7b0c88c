//! Shared by all cases: trials, oracle files, random inputs.

use interplay_formats::{Codes, Quantized};
use libtest_mimic::Trial;
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// A case of our own.
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// A case against a recorded pack `vectors/<file>.safetensors`: ignored, with the reason in its name, where the folder
/// is not there, and failed instead where oracles are required.
pub fn oracle(file: &'static str, body: impl FnOnce(Pack) + Send + 'static) -> Trial {
    let path = oracles().join("vectors").join(format!("{file}.safetensors"));
    let required = std::env::var("INTERPLAY_REQUIRE_ORACLES").is_ok_and(|v| v == "1");
    let missing = !path.exists();
    let name = if missing { format!("oracle::{file} (no such pack)") } else { format!("oracle::{file}") };
    let trial = Trial::test(name, move || {
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        body(Pack { bytes });
        Ok(())
    });
    trial.with_ignored_flag(missing && !required)
}

fn oracles() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("INTERPLAY_ORACLES").map_or_else(beside, PathBuf::from)
}

/// A safetensors file of raw bits.
pub struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    /// The tensor's elements as bits; signed ones sign-extended.
    pub fn get(&self, name: &str) -> Vec<u64> {
        let file = SafeTensors::deserialize(&self.bytes).expect("the pack is a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let data = tensor.data();
        let words = |size: usize| {
            data.chunks_exact(size).map(|c| c.iter().rev().fold(0u64, |word, b| word << 8 | u64::from(*b)))
        };
        match tensor.dtype() {
            Dtype::U8 => words(1).collect(),
            Dtype::I8 => words(1).map(|w| w as i8 as u64).collect(),
            Dtype::U16 => words(2).collect(),
            Dtype::U32 => words(4).collect(),
            Dtype::I32 => words(4).map(|w| w as i32 as u64).collect(),
            other => panic!("{name} has dtype {other:?}"),
        }
    }

    /// The tensor's elements as FP32 numbers.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.get(name).into_iter().map(|bits| f32::from_bits(bits as u32)).collect()
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the tests' only source of randomness.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Any finite FP32 number, all bit patterns alike.
    pub fn finite(&mut self) -> f32 {
        loop {
            let v = f32::from_bits(self.bits() as u32);
            if v.is_finite() {
                return v;
            }
        }
    }

    /// A number whose exponent is within some 16 of `exponent`.
    pub fn near(&mut self, exponent: i32) -> f32 {
        let field = (exponent + 127 - (self.bits() % 17) as i32).clamp(0, 254) as u32;
        f32::from_bits((self.bits() as u32 & 0x807F_FFFF) | field << 23)
    }
}

/// Every finite FP32 number with an interesting lower half: all 2^16 upper halves with ties and their neighbours.
pub fn interesting() -> Vec<f32> {
    let lows = [0u32, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF];
    let all = lows.iter().flat_map(|low| (0..=0xFFFFu32).map(move |high| f32::from_bits(high << 16 | low)));
    all.filter(|v| v.is_finite()).collect()
}

/// Asserts that two vectors of numbers have the same bits.
#[track_caller]
pub fn same_bits(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    if let Some(i) = (0..got.len()).find(|&i| got[i].to_bits() != want[i].to_bits()) {
        panic!(
            "{what}: element {i} is {:e} ({:08x}), not {:e} ({:08x})",
            got[i],
            got[i].to_bits(),
            want[i],
            want[i].to_bits()
        );
    }
}

/// The codes as numbers, integers sign-extended.
pub fn codes(quantized: &Quantized) -> Vec<u64> {
    let codes: &Codes = quantized.codes();
    (0..codes.len()).map(|i| codes.get(i)).collect()
}
