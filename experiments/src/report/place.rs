//! Room for labels: the first place around a point that nothing else takes.

use crate::report::scene::Bounds;

/// Directions to try: right, left, above, below, then the corners.
const DIRECTIONS: [(f64, f64); 8] =
    [(1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
/// Pixels between the point and the label, in the order of trial.
const DISTANCES: [f64; 12] = [8.0, 12.0, 18.0, 26.0, 36.0, 48.0, 64.0, 84.0, 110.0, 140.0, 180.0, 230.0];
/// Pixels between the places that are tried when none around the point is free.
const STEP: f64 = 8.0;
/// A label further away than this has a line to its point.
const NEAR: f64 = 12.0;

/// Where a label of that size may stand, with the end of a line to its point if it is far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// Its box.
    pub bounds: Bounds,
    /// Where the line from the point ends.
    pub leader: Option<(f64, f64)>,
}

/// The first place around `point` for a label of `size` that lies `within`, and in which there is none of `hard`; of these one
/// that has none of `soft` either, if there is. None if no place is free.
pub fn place(point: (f64, f64), size: (f64, f64), within: Bounds, hard: &[Bounds], soft: &[Bounds]) -> Option<Placed> {
    let near = DISTANCES.iter().flat_map(|away| DIRECTIONS.iter().map(move |to| around(point, size, *to, *away)));
    let candidates: Vec<Bounds> = near.chain(anywhere(point, size, within)).collect();
    let free = |bounds: &Bounds| {
        let room = bounds.grown(1.0);
        within.holds(&room) && !hard.iter().any(|taken| taken.meets(&room))
    };
    let clear = |bounds: &Bounds| !soft.iter().any(|taken| taken.meets(bounds));
    let bounds = candidates.iter().find(|b| free(b) && clear(b)).or_else(|| candidates.iter().find(|b| free(b)))?;
    let end = (point.0.clamp(bounds.left, bounds.right), point.1.clamp(bounds.top, bounds.bottom));
    let far = (end.0 - point.0).abs().max((end.1 - point.1).abs()) > NEAR;
    Some(Placed { bounds: *bounds, leader: far.then_some(end) })
}

/// Boxes of that size all over the field, those near the point first.
fn anywhere((x, y): (f64, f64), (wide, high): (f64, f64), field: Bounds) -> Vec<Bounds> {
    let across = (0..).map(|i| field.left + STEP * f64::from(i)).take_while(|left| left + wide < field.right);
    let down = || (0..).map(|i| field.top + STEP * f64::from(i)).take_while(|top| top + high < field.bottom);
    let all = across.flat_map(|left| down().map(move |top| Bounds::new(left, top, left + wide, top + high)));
    let mut all: Vec<Bounds> = all.collect();
    let away = |b: &Bounds| {
        let (dx, dy) = (x - x.clamp(b.left, b.right), y - y.clamp(b.top, b.bottom));
        dx * dx + dy * dy
    };
    all.sort_by(|a, b| away(a).total_cmp(&away(b)));
    all
}

/// The box of that size, `away` pixels from the point in a direction.
fn around((x, y): (f64, f64), (wide, high): (f64, f64), (dx, dy): (f64, f64), away: f64) -> Bounds {
    let (x, y) = (x + dx * (away + wide / 2.0), y + dy * (away + high / 2.0));
    Bounds::new(x - wide / 2.0, y - high / 2.0, x + wide / 2.0, y + high / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Bounds = Bounds { left: 0.0, top: 0.0, right: 200.0, bottom: 100.0 };

    #[test]
    fn the_first_free_place_is_taken_and_far_ones_have_a_line() {
        let at = |point, hard: &[Bounds]| place(point, (40.0, 10.0), FIELD, hard, &[]);
        let near = at((50.0, 50.0), &[]).unwrap();
        assert_eq!((near.bounds.left, near.leader), (58.0, None));
        // At the right edge there is room on the left only.
        assert_eq!(at((195.0, 50.0), &[]).unwrap().bounds.right, 187.0);
        // All around the point is taken: further away, with a line.
        let taken = Bounds::new(20.0, 20.0, 80.0, 80.0);
        let far = at((50.0, 50.0), &[taken]).unwrap();
        assert!(!far.bounds.meets(&taken) && far.leader.is_some());
        assert_eq!(at((50.0, 50.0), &[FIELD]), None);
    }

    #[test]
    fn lines_are_avoided_where_there_is_a_choice() {
        let line = Bounds::new(0.0, 49.0, 200.0, 51.0);
        let choice = place((50.0, 50.0), (40.0, 10.0), FIELD, &[], &[line]).unwrap();
        assert!(!choice.bounds.meets(&line));
        let none = place((50.0, 50.0), (40.0, 10.0), FIELD, &[], &[FIELD]).unwrap();
        assert_eq!(none.bounds.left, 58.0);
    }
}
