//! Which points no other point beats.

use std::collections::BTreeSet;

/// For each point, whether it is on the Pareto front: no other is as low in every coordinate and lower in one. Equal points are on
/// it together; one with a coordinate that is no finite number never is.
pub fn undominated(points: &[Vec<f64>]) -> Vec<bool> {
    let finite = |point: &[f64]| point.iter().all(|value| value.is_finite());
    let mut order: Vec<usize> = (0..points.len()).filter(|&at| finite(&points[at])).collect();
    // In this order a point can only be beaten by one before it.
    let by_value = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne());
    order.sort_by(|&a, &b| by_value(&points[a], &points[b]).unwrap_or(a.cmp(&b)));
    let mut on = vec![false; points.len()];
    let mut front: Vec<&Vec<f64>> = Vec::new();
    for at in order {
        let point = &points[at];
        if !front.iter().any(|f| f.iter().zip(point).all(|(a, b)| a <= b) && *f != point) {
            on[at] = true;
            front.push(point);
        }
    }
    on
}

/// Of each row, whether it is on the front of its group, by [`undominated`].
pub fn fronts<T, G: Ord>(rows: &[T], group: impl Fn(&T) -> G, values: impl Fn(&T) -> Vec<f64>) -> Vec<bool> {
    let groups: BTreeSet<G> = rows.iter().map(&group).collect();
    let mut on = vec![false; rows.len()];
    for wanted in groups {
        let places: Vec<usize> = (0..rows.len()).filter(|&at| group(&rows[at]) == wanted).collect();
        let points: Vec<Vec<f64>> = places.iter().map(|&at| values(&rows[at])).collect();
        for (at, is) in places.into_iter().zip(undominated(&points)) {
            on[at] = is;
        }
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_points_share_the_front_and_what_is_no_number_is_never_on_it() {
        let points =
            [[1.0, 9.0], [2.0, 5.0], [2.0, 6.0], [4.0, 1.0], [4.0, 1.0], [0.0, f64::NAN], [f64::INFINITY, 0.0]];
        let on = undominated(&points.map(Vec::from));
        assert_eq!(on, [true, true, false, true, true, false, false]);
    }

    #[test]
    fn each_group_has_a_front_of_its_own() {
        let rows = [("a", 1.0, 2.0), ("a", 2.0, 2.0), ("b", 3.0, 3.0), ("b", 4.0, 2.0), ("b", f64::NAN, 0.0)];
        let on = fronts(&rows, |row| row.0, |row| vec![row.1, row.2]);
        assert_eq!(on, [true, false, true, true, false]);
    }
}
