//! Shared by all cases: trials, recorded vectors, random matrices, small exact linear algebra.

use libtest_mimic::Trial;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
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

/// A case against a recorded file `vectors/methods/<file>.safetensors`: ignored, with the reason in its name, where the file
/// is not there, and failed instead where oracles are required.
pub fn oracle(name: &str, file: &'static str, body: impl FnOnce(Pack) + Send + 'static) -> Trial {
    let path = oracles().join("vectors/methods").join(format!("{file}.safetensors"));
    let required = std::env::var("INTERPLAY_REQUIRE_ORACLES").is_ok_and(|v| v == "1");
    let missing = !path.exists();
    let name = if missing { format!("{name}::{file} (no such file)") } else { format!("{name}::{file}") };
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

/// A recorded file.
pub struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    fn read<const N: usize, T>(&self, name: &str, dtype: Dtype, of: impl Fn([u8; N]) -> T) -> Vec<T> {
        let file = SafeTensors::deserialize(&self.bytes).expect("the pack is a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        tensor.data().chunks_exact(N).map(|c| of(c.try_into().expect("chunks of N"))).collect()
    }

    /// Whether the tensor is there.
    pub fn has(&self, name: &str) -> bool {
        SafeTensors::deserialize(&self.bytes).is_ok_and(|file| file.tensor(name).is_ok())
    }

    /// A tensor of FP32 numbers.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.read(name, Dtype::F32, f32::from_le_bytes)
    }

    /// A tensor of bytes.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.read(name, Dtype::U8, u8::from_le_bytes)
    }

    /// A U8 tensor of flags.
    pub fn flags(&self, name: &str) -> Vec<bool> {
        self.bytes(name).iter().map(|b| *b == 1).collect()
    }

    /// A tensor of indices.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        self.read(name, Dtype::I64, |b| i64::from_le_bytes(b) as usize)
    }

    /// The length of the last dimension.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.bytes).expect("the pack is a safetensors file");
        file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).shape().to_vec()
    }

    /// The file itself.
    pub fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// What the file says about itself.
    pub fn meta(&self) -> Value {
        let (_, metadata) = SafeTensors::read_metadata(&self.bytes).expect("the pack is a safetensors file");
        let text = metadata.metadata().as_ref().and_then(|m| m.get("meta")).expect("a JSON text `meta`");
        serde_json::from_str(text).expect("`meta` is JSON")
    }

    /// A number of a variant.
    pub fn scalar(&self, variant: &str, name: &str) -> f64 {
        let meta = self.meta();
        meta["variants"][variant]["scalars"][name].as_f64().unwrap_or_else(|| panic!("{variant} has no {name}"))
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

    /// A number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// About normal: the sum of twelve uniform numbers, less six.
    pub fn normal(&mut self) -> f32 {
        ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0) as f32
    }

    /// `count` numbers, about normal.
    pub fn normals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.normal()).collect()
    }
}

/// The largest magnitude.
pub fn largest(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |m, v| m.max(v.abs()))
}

/// Asserts that no two numbers differ by more than `share` of the largest wanted magnitude; returns the largest share.
#[track_caller]
pub fn near(got: &[f32], want: &[f32], share: f32, what: &str) -> f32 {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let scale = largest(want).max(f32::MIN_POSITIVE);
    let worst = (0..got.len())
        .map(|i| (i, (got[i] - want[i]).abs() / scale))
        .fold((0, 0.0), |worst, new| if new.1 > worst.1 || new.1.is_nan() { new } else { worst });
    let (i, difference) = worst;
    assert!(difference <= share, "{what}: element {i} is {}, not {}: {difference} of {scale}", got[i], want[i]);
    difference
}

/// A runner of random cases that are the same every time.
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Asserts that no value is further off than `share` of the largest finite magnitude, and that NaN are where they should be.
#[track_caller]
pub fn close(got: &[f32], want: &[f32], share: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    let largest = want.iter().filter(|v| v.is_finite()).fold(0.0f32, |m, v| m.max(v.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(*got) - f64::from(*want)).abs();
        let same = got.is_nan() && want.is_nan() || off <= share * f64::from(largest);
        assert!(same, "{what}: element {i} is {got:e}, not {want:e}; off by {:e}", off / f64::from(largest));
    }
}
