//! The candidates of a layer that can be of use, and the steps along their lower convex hull.

use super::Candidate;

/// A candidate that no other beats in both cost and loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) cost: u64,
    pub(super) loss: f64,
    /// Its index in the layer.
    pub(super) index: usize,
}

/// The useful candidates of a layer: dearer ones lose less.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) points: Vec<Point>,
    /// Places in `points` of the corners of the lower convex hull, from the cheapest to the best.
    hull: Vec<usize>,
}

/// A step from one corner of a layer's hull to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) layer: usize,
    /// The place in the layer's points.
    pub(super) to: usize,
    pub(super) cost: u64,
    /// By how much the loss falls.
    pub(super) fall: f64,
}

impl Step {
    fn slope(&self) -> f64 {
        self.fall / self.cost as f64
    }
}

impl Front {
    /// That of a layer with at least one candidate.
    pub(super) fn of(layer: &[Candidate]) -> Self {
        let mut points: Vec<Point> =
            layer.iter().enumerate().map(|(index, c)| Point { cost: c.cost, loss: c.loss, index }).collect();
        points.sort_by(|a, b| a.cost.cmp(&b.cost).then(a.loss.total_cmp(&b.loss)).then(a.index.cmp(&b.index)));
        let mut best = f64::INFINITY;
        points.retain(|point| {
            let useful = point.loss < best;
            best = best.min(point.loss);
            useful
        });
        let hull = hull(&points);
        Self { points, hull }
    }
}

/// The corners of the lower convex hull of points of rising cost and falling loss.
fn hull(points: &[Point]) -> Vec<usize> {
    let slope = |a: usize, b: usize| (points[a].loss - points[b].loss) / (points[b].cost - points[a].cost) as f64;
    let mut corners: Vec<usize> = Vec::new();
    for place in 0..points.len() {
        while let [.., a, b] = corners[..] {
            if slope(a, b) > slope(b, place) {
                break;
            }
            corners.pop();
        }
        corners.push(place);
    }
    corners
}

/// The hull steps of all layers by falling slope; those of one layer stay in their order.
pub(super) fn steps(fronts: &[Front]) -> impl Iterator<Item = Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (layer, front) in fronts.iter().enumerate() {
        for pair in front.hull.windows(2) {
            let (from, to) = (front.points[pair[0]], front.points[pair[1]]);
            steps.push(Step { layer, to: pair[1], cost: to.cost - from.cost, fall: from.loss - to.loss });
        }
    }
    // The sort is stable, and slopes of one layer fall, but for rounding of equal ones.
    steps.sort_by(|a, b| b.slope().total_cmp(&a.slope()));
    steps.into_iter()
}
