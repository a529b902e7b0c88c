//! From the peak to what is reached: one step a loss.

use interplay_hw::cost::{Accelerator, Cost};

use crate::report::chart::{Item, Panel};
use crate::report::figure::Figure;
use crate::report::scale::{Axis, Scale};
use crate::report::style::HUES;

/// The steps of the whole workload.
pub fn draw(work: &str, machine: &Accelerator, cost: &Cost) -> Figure {
    let lost = cost.total.losses;
    let mut left = 100.0;
    let after = [0.0, lost.padding, lost.fill_drain, lost.launch, lost.waiting].map(|lost| {
        left -= 100.0 * lost;
        left
    });
    let names =
        ["peak", "padding\nof tiles", "filling,\ndraining", "launching\nkernels", "waiting\nfor memory", "reached"];
    let mut items = Vec::new();
    for (at, x) in (0..names.len()).zip(0..) {
        let (low, high, colour) = match at {
            0 => (0.0, 100.0, HUES[3]),
            5 => (0.0, 100.0 * cost.total.share.utilisation, HUES[0]),
            _ => (after[at], after[at - 1], HUES[1]),
        };
        // No loss is 0.0, not -0.0.
        let lost = (high - low).max(0.0);
        let text = match at {
            1..=4 if lost < 0.05 => "0.0 %".to_owned(),
            1..=4 => format!("−{lost:.1} %"),
            _ => format!("{high:.1} %"),
        };
        let x = f64::from(x);
        items.push(Item::Bar((x - 0.35, x + 0.35), (low, high), colour));
        items.push(Item::Cell((x, high + 3.5), text, crate::report::style::INK));
    }
    let panel = Panel {
        title: format!("{work} on {}, {}: where the peak goes", machine.name, cost.cycle_model),
        x: Axis::new("", Scale::Names(names.map(str::to_owned).to_vec())),
        y: Axis::new("% of the peak", Scale::Linear { low: 0.0, high: 110.0, whole: false }),
        items,
        beyond: String::new(),
    };
    Figure { width: 700.0, ..Figure::new(vec![vec![panel]], 380.0, Vec::new()) }
}
