//! Shared by all cases: trials, recorded packs, random inputs.

use libtest_mimic::Trial;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A case of our own.
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// A case against a recorded pack `vectors/methods/<file>.safetensors`: ignored, with the reason in its name, where the file is not
/// there, and failed instead where oracles are required.
pub fn oracle(file: &'static str, body: impl FnOnce(Pack) + Send + 'static) -> Trial {
    let path = oracles().join("vectors/methods").join(format!("{file}.safetensors"));
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

/// A recorded problem with its results.
pub struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    /// What the file says of itself.
    pub fn meta(&self) -> Value {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).expect("the pack is a safetensors file");
        let notes = header.metadata().as_ref().expect("the pack has notes");
        serde_json::from_str(&notes["meta"]).expect("the notes are JSON")
    }

    /// The tensor's shape.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.tensor(name).0
    }

    /// FP32 or FP64 elements as FP64.
    pub fn doubles(&self, name: &str) -> Vec<f64> {
        let (_, dtype, data) = self.tensor(name);
        match dtype {
            Dtype::F32 => words(&data).map(|word| f64::from(f32::from_le_bytes(word))).collect(),
            Dtype::F64 => words(&data).map(f64::from_le_bytes).collect(),
            other => panic!("{name} has dtype {other:?}"),
        }
    }

    /// FP32 elements.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.doubles(name).into_iter().map(|value| value as f32).collect()
    }

    /// Integers of any recorded width.
    pub fn integers(&self, name: &str) -> Vec<i64> {
        let (_, dtype, data) = self.tensor(name);
        match dtype {
            Dtype::U8 => data.into_iter().map(i64::from).collect(),
            Dtype::I32 => words(&data).map(|word| i64::from(i32::from_le_bytes(word))).collect(),
            Dtype::I64 => words(&data).map(i64::from_le_bytes).collect(),
            other => panic!("{name} has dtype {other:?}"),
        }
    }

    fn tensor(&self, name: &str) -> (Vec<usize>, Dtype, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.bytes).expect("the pack is a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        (tensor.shape().to_vec(), tensor.dtype(), tensor.data().to_vec())
    }
}

/// The little-endian words of some bytes.
fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.chunks_exact(N).map(|word| word.try_into().expect("a chunk has as many bytes as were asked for"))
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

    /// A number in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}
