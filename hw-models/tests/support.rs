//! Shared by all cases: trials, oracle files, inputs that hurt.

use interplay_formats::{Format, Quantized};
use libtest_mimic::Trial;
use std::path::{Path, PathBuf};

/// A case of our own.
pub fn case(name: &str, body: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        body();
        Ok(())
    })
}

/// A case against a recorded text below the oracle folder, see [`oracle_bytes`].
pub fn oracle(name: &str, file: &str, body: impl FnOnce(String) + Send + 'static) -> Trial {
    oracle_bytes(name, file, |bytes| body(String::from_utf8(bytes).expect("a text file")))
}

/// A case against a recorded file below the oracle folder: ignored, with the reason in its name, where the file is not
/// there, and failed instead where oracles are required.
pub fn oracle_bytes(name: &str, file: &str, body: impl FnOnce(Vec<u8>) + Send + 'static) -> Trial {
    oracle_path(name, file, |path| body(std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))))
}

/// The same for a file or a folder by its path.
pub fn oracle_path(name: &str, file: &str, body: impl FnOnce(PathBuf) + Send + 'static) -> Trial {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("INTERPLAY_ORACLES").map_or_else(beside, PathBuf::from).join(file);
    let required = std::env::var("INTERPLAY_REQUIRE_ORACLES").is_ok_and(|value| value == "1");
    let missing = !path.exists();
    let name = if missing { format!("oracle::{name} (no {file})") } else { format!("oracle::{name}") };
    let trial = Trial::test(name, move || {
        body(path);
        Ok(())
    });
    trial.with_ignored_flag(missing && !required)
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

    /// An integer below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// A number of random sign and fraction with the biased exponent `field`.
    fn number(&mut self, field: u64) -> f32 {
        f32::from_bits(self.bits() as u32 & 0x807F_FFFF | (field as u32) << 23)
    }
}

/// Kinds of input, each meant to break something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Exponents close together, as in a trained layer.
    Plain,
    /// Every bit pattern of a finite number alike.
    AnyBits,
    /// Subnormals and their neighbours.
    Tiny,
    /// Products near the largest number.
    Huge,
    /// Mostly zeros of both signs.
    Zeros,
    /// x, -x, x, -x with small remainders: nearly everything cancels.
    Cancelling,
    /// Small integers, whose sums are often exact ties.
    Integers,
    /// Blocks of very different size in one row.
    Steps,
    /// Few significant bits over 32 binades: long sums with sticky bits far below a tie.
    Spread,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Plain,
        Self::AnyBits,
        Self::Tiny,
        Self::Huge,
        Self::Zeros,
        Self::Cancelling,
        Self::Integers,
        Self::Steps,
        Self::Spread,
    ];

    /// A matrix of this kind, `[rows, k]`.
    pub fn matrix(self, rows: usize, k: usize, random: &mut Random) -> Vec<f32> {
        let mut values: Vec<f32> = (0..rows * k).map(|i| self.value(i % k, random)).collect();
        if self == Self::Cancelling {
            for i in (1..values.len()).step_by(2) {
                values[i] =
                    if random.below(8) == 0 { f32::from_bits(values[i - 1].to_bits() ^ 1) } else { values[i - 1] };
            }
        }
        values
    }

    fn value(self, column: usize, random: &mut Random) -> f32 {
        let pick = random.bits();
        match self {
            Self::Plain | Self::Cancelling => random.number(118 + pick % 8),
            Self::AnyBits => random.number(pick % 255),
            Self::Tiny => random.number(pick % 3),
            Self::Huge => random.number(180 + pick % 12),
            Self::Zeros => match pick % 8 {
                0 => random.number(127),
                sign => f32::from_bits((sign as u32 & 1) << 31),
            },
            Self::Integers => (pick % 17) as f32 - 8.0,
            Self::Spread => f32::from_bits(random.number(112 + pick % 32).to_bits() & 0xFFE0_0000),
            Self::Steps => random.number([3, 60, 127, 200][column / 32 % 4] + pick % 4),
        }
    }
}

/// The matrix in a format.
pub fn quantized(format: &str, values: &[f32], k: usize) -> Quantized {
    Format::by_name(format).and_then(|format| format.quantize(values, k)).expect("finite values quantise")
}

/// Asserts that two vectors of numbers have the same bits.
#[track_caller]
pub fn same_bits(got: &[f32], want: &[f32], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    if let Some(i) = (0..got.len()).find(|&i| got[i].to_bits() != want[i].to_bits()) {
        panic!(
            "{what}: output {i} is {:e} ({:08x}), not {:e} ({:08x})",
            got[i],
            got[i].to_bits(),
            want[i],
            want[i].to_bits()
        );
    }
}

/// Compares a text that the tests make line by line with the committed one below the crate's folder; with
/// `INTERPLAY_UPDATE=1` it is written first.
pub fn committed(file: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var("INTERPLAY_UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, got).expect("the project's own folder is writable");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (line, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "line {} of {file}", line + 1);
    }
    assert!(got == want, "{file} has another length: set INTERPLAY_UPDATE=1 to write it anew");
}
