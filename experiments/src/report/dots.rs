//! Dots by category: one column a category, a dot a value, and their mean with its standard error.

use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::numbers::mean;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{INK, Look};

/// The values of one category.
#[derive(Debug, Clone, PartialEq)]
pub struct Dots {
    /// What stands below.
    pub name: String,
    /// The values.
    pub values: Vec<f64>,
    /// How each looks.
    pub look: Look,
}

/// One panel.
pub fn panel(title: String, y: &str, categories: &[Dots]) -> Panel {
    let mut items = Vec::new();
    let mut heights = Vec::new();
    for (dots, x) in categories.iter().zip(0..) {
        let x = f64::from(x);
        let values: Vec<f64> = dots.values.iter().copied().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            continue;
        }
        let (mean, stderr) = mean(&values);
        let error = Some((mean - stderr, mean + stderr)).filter(|_| stderr.is_finite());
        heights.extend(values.iter().copied().chain(error.into_iter().flat_map(|(low, high)| [low, high])));
        let line = vec![(x - 0.2, mean), (x + 0.2, mean)];
        items.push(Item::Curve(Curve { colour: INK, dashed: false, points: line, errors: Vec::new(), dot: None }));
        let centre = Look { radius: 0.0, ..Look::new(dots.look.shape, INK) };
        items.push(Item::Mark(Mark { at: (x, mean), error, look: centre }));
        // Side by side, so that equal values are seen as several.
        let place = |i: usize| x + 0.12 * (i as f64 - (values.len() - 1) as f64 / 2.0);
        let dot = |(i, value): (usize, &f64)| Item::Mark(Mark { at: (place(i), *value), error: None, look: dots.look });
        items.extend(values.iter().enumerate().map(dot));
    }
    Panel {
        title,
        x: Axis::new("", Scale::Names(categories.iter().map(|dots| dots.name.clone()).collect())),
        y: Axis::new(y, Scale::linear(heights.into_iter(), 0.1)),
        items,
        beyond: String::new(),
    }
}
