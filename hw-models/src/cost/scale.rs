//! From one technology to another.
//!
//! Energy follows A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance
//! from 180 nm to 7 nm, Integration 58 (2017): a parabola of the supply for each node, from 130 nm to 7 nm; between two
//! nodes their energies are interpolated linearly, as the tools that use these equations do. Below 7 nm the same tools
//! take energy by the square root of the feature size and area in proportion to it.

use crate::Error;
use serde::Serialize;

/// Where a figure comes from or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Technology {
    nm: f64,
    volts: f64,
}

/// Feature size, and energy at a supply of V: `a V^2 + b V + c`.
const ENERGY: [(f64, [f64; 3]); 10] = [
    (7.0, [0.1776, -0.09097, 0.02447]),
    (10.0, [0.2068, -0.09311, 0.02375]),
    (14.0, [0.2363, -0.09675, 0.02239]),
    (16.0, [0.2958, -0.1241, 0.03024]),
    (20.0, [0.373, -0.1582, 0.04104]),
    (32.0, [0.9559, -0.7823, 0.471]),
    (45.0, [1.103, -0.362, 0.2767]),
    (65.0, [3.755, -4.398, 1.975]),
    (90.0, [4.762, -4.781, 2.092]),
    (130.0, [7.171, -6.709, 2.904]),
];

/// Feature size, and area over that of 45 nm. The last two are no figures of the source: an ideal shrink to 45 nm, which
/// is all that it says about larger nodes.
const AREA: [(f64, f64); 9] = [
    (7.0, 0.059),
    (10.0, 0.10),
    (14.0, 0.17),
    (16.0, 0.19),
    (20.0, 0.21),
    (32.0, 0.46),
    (45.0, 1.0),
    (65.0, 65.0 * 65.0 / (45.0 * 45.0)),
    (130.0, 130.0 * 130.0 / (45.0 * 45.0)),
];

impl Technology {
    /// A feature size of 2 to 130 nm at 0.4 to 1.4 V.
    ///
    /// # Errors
    /// [`Error::Technology`] outside.
    pub fn new(nm: f64, volts: f64) -> Result<Self, Error> {
        let covered = (2.0..=130.0).contains(&nm) && (0.4..=1.4).contains(&volts);
        covered.then_some(Self { nm, volts }).ok_or(Error::Technology { nm, volts })
    }

    /// A feature size at 0.8 V, the supply that the equations' users take where none is said.
    ///
    /// # Errors
    /// [`Error::Technology`] outside 2 to 130 nm.
    pub fn at(nm: f64) -> Result<Self, Error> {
        Self::new(nm, 0.8)
    }

    /// Feature size in nm.
    pub const fn nm(self) -> f64 {
        self.nm
    }

    /// Supply in V.
    pub const fn volts(self) -> f64 {
        self.volts
    }

    /// Energy of the same switching, in the equations' own unit.
    fn energy(self) -> f64 {
        let parabola = |[a, b, c]: [f64; 3]| (a * self.volts + b) * self.volts + c;
        let smallest = ENERGY[0].0;
        between(&ENERGY.map(|(nm, abc)| (nm, parabola(abc))), self.nm) * (self.nm.min(smallest) / smallest).sqrt()
    }

    /// Area over that of 45 nm.
    fn area(self) -> f64 {
        let smallest = AREA[0].0;
        between(&AREA, self.nm) * self.nm.min(smallest) / smallest
    }
}

/// Linear between the entries, constant outside.
fn between(table: &[(f64, f64)], nm: f64) -> f64 {
    let end = table.partition_point(|(node, _)| *node < nm).clamp(1, table.len() - 1);
    let ((x0, y0), (x1, y1)) = (table[end - 1], table[end]);
    let t = ((nm - x0) / (x1 - x0)).clamp(0.0, 1.0);
    y0 + (y1 - y0) * t
}

/// Energy in the one over energy in the other.
pub fn energy(from: Technology, to: Technology) -> f64 {
    to.energy() / from.energy()
}

/// Area in the one over area in the other.
pub fn area(from: Technology, to: Technology) -> f64 {
    to.area() / from.area()
}
