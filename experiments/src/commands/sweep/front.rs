//! Which points no other point beats, kept while points come.

use anyhow::{Result, bail};

use super::Costed;

/// What can be minimised.
pub const OBJECTIVES: [&str; 4] = ["energy_pj", "seconds", "area_mm2", "weights_bits"];

/// The value of an objective.
pub fn value(costed: &Costed, objective: &str) -> f64 {
    match objective {
        "energy_pj" => costed.energy_pj,
        "seconds" => costed.seconds,
        "area_mm2" => costed.area_mm2,
        _ => costed.weights_bits as f64,
    }
}

/// The Pareto front of the points offered so far: no other is as low in every objective and lower in one. Equal points are on it
/// together. The order in which points are offered does not matter.
pub struct Front<'a> {
    objectives: &'a [String],
    /// The objectives of each point that is on it, and its index.
    kept: Vec<(Vec<f64>, usize)>,
}

impl<'a> Front<'a> {
    /// Without points.
    ///
    /// # Errors
    /// An objective that there is not.
    pub fn new(objectives: &'a [String]) -> Result<Self> {
        if let Some(unknown) = objectives.iter().find(|name| !OBJECTIVES.contains(&name.as_str())) {
            bail!("`minimise` has no `{unknown}`; it takes {}", OBJECTIVES.join(", "));
        }
        Ok(Self { objectives, kept: Vec::new() })
    }

    /// Takes a point in if none beats it, and those out that it beats. What is no finite number is never on the front.
    pub fn offer(&mut self, index: usize, costed: &Costed) {
        let point: Vec<f64> = self.objectives.iter().map(|name| value(costed, name)).collect();
        let beats = |a: &[f64], b: &[f64]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
        let able = costed.error.is_none() && point.iter().all(|value| value.is_finite());
        if able && !self.kept.iter().any(|(other, _)| beats(other, &point)) {
            self.kept.retain(|(other, _)| !beats(&point, other));
            self.kept.push((point, index));
        }
    }

    /// The indices of its points, in ascending order.
    pub fn indices(self) -> Vec<usize> {
        let mut indices: Vec<usize> = self.kept.into_iter().map(|(_, index)| index).collect();
        indices.sort_unstable();
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costed((energy_pj, seconds): (f64, f64)) -> Costed {
        Costed { energy_pj, seconds, cycles: 1, utilisation: 1.0, area_mm2: 1.0, weights_bits: 1, ..Costed::default() }
    }

    #[test]
    fn only_points_that_nobody_beats_are_on_the_front() {
        let points = [(1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (3.0, 5.0), (4.0, 1.0), (4.0, 1.0), (0.0, f64::NAN)];
        let names = ["energy_pj", "seconds"].map(str::to_owned);
        let mut orders: [Vec<usize>; 3] = std::array::from_fn(|_| (0..points.len()).collect());
        orders[1].reverse();
        orders[2].rotate_left(3);
        for order in orders {
            let mut front = Front::new(&names).unwrap();
            order.iter().for_each(|&at| front.offer(at, &costed(points[at])));
            assert_eq!(front.indices(), [0, 1, 4, 5], "{order:?}");
        }
        assert!(Front::new(&["speed".to_owned()]).err().unwrap().to_string().contains("energy_pj"));
    }

    #[test]
    fn a_point_that_cannot_be_costed_is_never_on_it() {
        let names = ["energy_pj", "seconds"].map(str::to_owned);
        let mut front = Front::new(&names).unwrap();
        front.offer(0, &Costed { error: Some(0), ..Costed::default() });
        front.offer(1, &costed((1.0, 1.0)));
        assert_eq!(front.indices(), [1]);
    }

    /// A million points take this, their front and distinct errors aside.
    #[test]
    fn a_point_is_numbers_alone() {
        assert!(size_of::<Costed>() <= 64);
    }
}
