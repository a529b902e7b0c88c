//! Which points no other point beats.

use anyhow::{Result, bail};

use super::Costed;
use crate::report::front::undominated;

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

/// Marks the points of which no other is as good in every objective and better in one.
///
/// # Errors
/// An objective that there is not.
pub fn mark(costed: &mut [Costed], objectives: &[String]) -> Result<()> {
    if let Some(unknown) = objectives.iter().find(|name| !OBJECTIVES.contains(&name.as_str())) {
        bail!("`minimise` has no `{unknown}`; it takes {}", OBJECTIVES.join(", "));
    }
    let values = |c: &Costed| match c.error {
        Some(_) => vec![f64::NAN; objectives.len().max(1)],
        None => objectives.iter().map(|name| value(c, name)).collect::<Vec<_>>(),
    };
    let points: Vec<Vec<f64>> = costed.iter().map(values).collect();
    for (costed, on) in costed.iter_mut().zip(undominated(&points)) {
        costed.front |= on;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costed(energy_pj: f64, seconds: f64) -> Costed {
        Costed {
            point: Vec::new(),
            error: None,
            energy_pj,
            seconds,
            cycles: 1,
            utilisation: 1.0,
            area_mm2: 1.0,
            weights_bits: 1,
            front: false,
        }
    }

    #[test]
    fn only_points_that_nobody_beats_are_on_the_front() {
        let mut points: Vec<_> =
            [(1.0, 9.0), (2.0, 5.0), (2.0, 6.0), (3.0, 5.0), (4.0, 1.0), (4.0, 1.0)].map(|(e, s)| costed(e, s)).into();
        let names = ["energy_pj", "seconds"].map(str::to_owned);
        mark(&mut points, &names).unwrap();
        assert_eq!(points.iter().map(|p| p.front).collect::<Vec<_>>(), [true, true, false, false, true, true]);
        assert!(mark(&mut points, &["speed".to_owned()]).unwrap_err().to_string().contains("energy_pj"));
    }
}
