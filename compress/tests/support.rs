//! Shared by all cases: trials, recorded files, random inputs.

use libtest_mimic::Trial;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// A case of our own.
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// A case against the recorded `vectors/methods/<file>.safetensors`: ignored, with the reason in its name, where the folder is
/// not there, and failed instead where oracles are required.
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

/// A recorded safetensors file.
pub struct Pack {
    bytes: Vec<u8>,
}

impl Pack {
    fn data(&self, name: &str, dtype: Dtype) -> Vec<u8> {
        let file = SafeTensors::deserialize(&self.bytes).expect("a safetensors file");
        let tensor = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(tensor.dtype(), dtype, "{name}");
        tensor.data().to_vec()
    }

    /// The tensor's dimensions.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        let file = SafeTensors::deserialize(&self.bytes).expect("a safetensors file");
        file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}")).shape().to_vec()
    }

    /// An F32 tensor.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        let data = self.data(name, Dtype::F32);
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// A U8 tensor of flags.
    pub fn flags(&self, name: &str) -> Vec<bool> {
        self.data(name, Dtype::U8).iter().map(|b| *b == 1).collect()
    }

    /// An I64 tensor of indices.
    pub fn indices(&self, name: &str) -> Vec<usize> {
        let data = self.data(name, Dtype::I64);
        let word = |b: &[u8]| i64::from_le_bytes(b.try_into().expect("eight bytes"));
        data.chunks_exact(8).map(|b| usize::try_from(word(b)).expect("an index")).collect()
    }

    /// The JSON of the file's metadata.
    pub fn meta(&self) -> serde_json::Value {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).expect("a safetensors file");
        let meta = header.metadata().as_ref().and_then(|m| m.get("meta")).expect("metadata");
        serde_json::from_str(meta).expect("JSON")
    }
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
