//! Shared by all cases: trials, recorded files, random inputs.

use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

/// A case of our own.
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// A case against a recorded file `vectors/methods/<file>.safetensors`: ignored, with the reason in its name, where the file is not
/// there, and failed instead where oracles are required.
pub fn oracle(file: &'static str, body: impl FnOnce(&[u8]) + Send + 'static) -> Trial {
    let path = oracles().join("vectors/methods").join(format!("{file}.safetensors"));
    let required = std::env::var("INTERPLAY_REQUIRE_ORACLES").is_ok_and(|v| v == "1");
    let missing = !path.exists();
    let name = if missing { format!("oracle::{file} (no such file)") } else { format!("oracle::{file}") };
    let trial = Trial::test(name, move || {
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        body(&bytes);
        Ok(())
    });
    trial.with_ignored_flag(missing && !required)
}

fn oracles() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("INTERPLAY_ORACLES").map_or_else(beside, PathBuf::from)
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
