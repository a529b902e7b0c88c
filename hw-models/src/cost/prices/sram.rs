//! What an access to an SRAM costs: published macros, or CACTI-7 interpolated.
//!
//! The grid of `data/sram.toml` is interpolated in the logarithms of size, width and node, so that its points are met
//! exactly and power laws in between are too. Outside the grid:
//! * words below 32 bits: a whole word of 32 is read, and its energy falls on the bits that are wanted;
//! * words above 2048 bits: macros side by side;
//! * fewer than 64 words: the macro of 64 words of that width;
//! * above 32 MiB: the slope of the last three octaves goes on;
//! * nodes: the slope of the nearest two goes on (below 22 nm this is the rule that 7 nm is derived by).

use super::{Band, Macro, PriceList, Sram, Status};
use interplay_formats::math;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// One access to a memory, and what the memory is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Access<'a> {
    /// Reading, in pJ a bit.
    pub read: Band,
    /// Writing, in pJ a bit.
    pub write: Band,
    /// Leakage of the whole memory in mW, in CACTI's low-power cells.
    pub leakage_mw: f64,
    /// Area of the whole memory in mm2.
    pub area_mm2: f64,
    /// How the energies are known.
    pub status: Status,
    /// Where they come from.
    pub source: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    bytes: Vec<u64>,
    width_bits: Vec<u64>,
    band: Spread,
    derived: Derived,
    node: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spread {
    low: f64,
    high: f64,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived {
    node_nm: f64,
    from_nm: f64,
    energy: f64,
    area: f64,
    leakage: f64,
    leakage_factor: f64,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    nm: f64,
    source: String,
    read_pj: Vec<Vec<f64>>,
    write_pj: Vec<Vec<f64>>,
    leakage_mw: Vec<Vec<f64>>,
    area_mm2: Vec<Vec<f64>>,
}

/// Logarithms (to base 2) of read, write, leakage and area: `[size][width]`, at one node.
struct Grid {
    nm: f64,
    source: String,
    quantities: [Vec<Vec<f64>>; 4],
}

struct Cacti {
    /// By rising node.
    grids: Vec<Grid>,
    /// The logarithms of the first size and width.
    first: (f64, f64),
    last_width: f64,
    band: Spread,
}

/// A macro: energies of a whole access in pJ, leakage in mW, area in mm2.
#[derive(Clone, Copy)]
struct Cost {
    read: f64,
    write: f64,
    leakage: f64,
    area: f64,
}

static CACTI: LazyLock<Cacti> = LazyLock::new(|| {
    let file =
        toml::from_str(include_str!("../../../data/sram.toml")).expect("a file of the project, which a test reads");
    Cacti::new(file)
});

impl Cacti {
    fn new(file: File) -> Self {
        let log = |table: &[Vec<f64>]| table.iter().map(|row| row.iter().map(|x| math::log2(*x)).collect()).collect();
        let mut grids: Vec<Grid> = (file.node.iter())
            .map(|t| Grid {
                nm: t.nm,
                source: t.source.clone(),
                quantities: [log(&t.read_pj), log(&t.write_pj), log(&t.leakage_mw), log(&t.area_mm2)],
            })
            .collect();
        let rule = &file.derived;
        let s = math::log2(rule.node_nm / rule.from_nm);
        let shifts =
            [rule.energy * s, rule.energy * s, rule.leakage * s + math::log2(rule.leakage_factor), rule.area * s];
        let derived = grids.iter().find(|grid| grid.nm == rule.from_nm).map(|from| {
            let quantities = std::array::from_fn(|q| {
                let shifted = |row: &Vec<f64>| row.iter().map(|x| x + shifts[q]).collect();
                from.quantities[q].iter().map(shifted).collect()
            });
            Grid { nm: rule.node_nm, source: rule.source.clone(), quantities }
        });
        grids.extend(derived);
        grids.sort_by(|a, b| a.nm.total_cmp(&b.nm));
        let first = (math::log2(file.bytes[0] as f64), math::log2(file.width_bits[0] as f64));
        let last_width = file.width_bits.last().map_or(1.0, |bits| *bits as f64);
        Self { grids, first, last_width, band: file.band }
    }

    /// A memory of so many bytes with words of so many bits, at a node.
    fn at(&self, nm: f64, bytes: f64, width: f64) -> Cost {
        let banks = (width / self.last_width).ceil().max(1.0);
        let width = (width / banks).max(math::exp2(self.first.1));
        // 64 words of `width` bits are 8 bytes a bit.
        let bytes = (bytes / banks).max(8.0 * width);
        let (x, y) = (math::log2(bytes) - self.first.0, math::log2(width) - self.first.1);
        let end = self.grids.partition_point(|grid| grid.nm < nm).clamp(1, self.grids.len() - 1);
        let (small, large) = (&self.grids[end - 1], &self.grids[end]);
        let t = math::ln(nm / small.nm) / math::ln(large.nm / small.nm);
        let [read, write, leakage, area] = std::array::from_fn(|q| {
            let (a, b) = (surface(&small.quantities[q], x, y), surface(&large.quantities[q], x, y));
            math::exp2(a + (b - a) * t) * banks
        });
        Cost { read, write, leakage, area }
    }

    /// Where figures at a node come from: the nearest grid at or above it.
    fn source(&self, nm: f64) -> &str {
        let grid = self.grids.iter().find(|grid| grid.nm >= nm).or(self.grids.last());
        grid.map_or("", |grid| &grid.source)
    }
}

/// A table of logarithms over the logarithms of size and width, each counted in octaves from its first; row i has the
/// widths up to i, so `y <= x`.
fn surface(table: &[Vec<f64>], x: f64, y: f64) -> f64 {
    const OCTAVES: usize = 3;
    let last = table.len() - 1;
    let beyond = x - last as f64;
    if beyond > 0.0 {
        let (near, far) = (surface(table, last as f64, y), surface(table, (last - OCTAVES) as f64, y));
        return near + (near - far) / OCTAVES as f64 * beyond;
    }
    let row = (x as usize).min(last - 1);
    let widths = table[row + 1].len();
    let column = (y as usize).min(widths.saturating_sub(2));
    let (fx, fy) = (x - row as f64, y - column as f64);
    let (a, b, c) = (table[row].get(column), table[row].get(column + 1), &table[row + 1]);
    match (a, b) {
        (Some(a), Some(b)) => {
            let (near, far) = (a + (b - a) * fy, c[column] + (c[column + 1] - c[column]) * fy);
            near + (far - near) * fx
        }
        // The corner of the grid: a triangle of three points.
        (Some(a), None) => a + (c[column] - a) * fx + (c[column + 1] - c[column]) * fy,
        _ => c[column] + (c[column + 1] - c[column]) * fy,
    }
}

/// What the ends of a band of CACTI's energies are over the typical figure, and why.
pub fn spread() -> (Band, &'static str) {
    let Spread { low, high, source } = &CACTI.band;
    (Band { typical: 1.0, low: *low, high: *high }, source)
}

impl PriceList {
    /// An access to a memory of `kib` KiB by words of `width_bits` bits. Sizes and widths of 0 are taken as 1.
    pub fn sram(&self, kib: u64, width_bits: u64) -> Access<'_> {
        self.sram_of_bytes(kib.max(1).saturating_mul(1024), width_bits)
    }

    /// The same for a memory of so many bytes.
    pub fn sram_of_bytes(&self, bytes: u64, width_bits: u64) -> Access<'_> {
        let (bytes, width) = (bytes.max(1) as f64, width_bits.max(1) as f64);
        let cacti = &*CACTI;
        let node = match self.sram {
            Sram::Points { .. } => self.node_nm,
            Sram::Cacti { node_nm } => node_nm,
        };
        let cost = cacti.at(node, bytes, width);
        let band = |pj: f64| Band::within(pj / width, cacti.band.low, cacti.band.high);
        let (read, write, status, source) = match &self.sram {
            Sram::Cacti { .. } => (band(cost.read), band(cost.write), Status::Derived, cacti.source(node)),
            Sram::Points { points } => {
                let (energy, status, source) = listed(points, bytes / 1024.0);
                (energy, energy, status, source)
            }
        };
        Access { read, write, leakage_mw: cost.leakage, area_mm2: cost.area, status, source }
    }
}

/// Energy a bit of a memory between published ones.
fn listed(points: &[Macro], kib: f64) -> (Band, Status, &str) {
    let per_bit = |point: &Macro| point.pj * (1.0 / point.bits as f64);
    let above = points.partition_point(|point| (point.kib as f64) < kib);
    match (above.checked_sub(1).and_then(|below| points.get(below)), points.get(above)) {
        (Some(below), Some(point)) if point.kib as f64 != kib => {
            let t = math::ln(kib / below.kib as f64) / math::ln(point.kib as f64 / below.kib as f64);
            let (a, b) = (per_bit(below), per_bit(point));
            let mix = |a: f64, b: f64| a * math::powf(b / a, t);
            let band = Band { typical: mix(a.typical, b.typical), low: mix(a.low, b.low), high: mix(a.high, b.high) };
            (band, Status::Derived, &point.source)
        }
        (_, Some(point)) => {
            (per_bit(point), if point.kib as f64 == kib { point.status } else { Status::Derived }, &point.source)
        }
        (Some(below), None) => {
            (per_bit(below), if below.kib as f64 == kib { below.status } else { Status::Derived }, &below.source)
        }
        (None, None) => (Band::default(), Status::Assumed, ""),
    }
}
