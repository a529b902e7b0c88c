//! Utilisation and losses, a row a layer.

use interplay_hw::cost::{Accelerator, Cost};

use crate::report::chart::{Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{Colour, INK};

/// Pixels of a row, and rows at most: a longer workload is shown by its most expensive layers.
const ROW: f64 = 18.0;
const ROWS: usize = 60;
/// Characters of a name at most, the last ones.
const NAME: usize = 40;

const WHITE: Colour = Colour { light: [255; 3], dark: [255; 3] };
const DARK: Colour = Colour { light: [28, 35, 48], dark: [28, 35, 48] };

/// A table of shares of the time, dark where much is lost.
pub fn draw(work: &str, machine: &Accelerator, cost: &Cost) -> Figure {
    // The layers that take most of the time, in order of execution.
    let mut order: Vec<usize> = (0..cost.layers.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(cost.layers[at].figures.cycles));
    order.truncate(ROWS);
    order.sort_unstable();
    let (mut items, mut names) = (Vec::new(), Vec::new());
    for (layer, row) in order.iter().map(|&at| &cost.layers[at]).zip(0..) {
        let y = f64::from(row);
        names.push(ending(&layer.gemm.name));
        let (used, lost) = (layer.figures.share.utilisation, layer.figures.losses);
        for (part, at) in [used, lost.padding, lost.fill_drain, lost.launch, lost.waiting].into_iter().zip(0..) {
            let x = f64::from(at);
            let good = if at == 0 { part } else { 1.0 - part };
            items.push(Item::Ground((x - 0.49, x + 0.49), (y - 0.45, y + 0.45), shade(good)));
            let ink = if good < 0.55 { WHITE } else { DARK };
            items.push(Item::Cell((x, y), format!("{:.1} %", 100.0 * part), ink));
        }
        items.push(Item::Cell((5.0, y), layer.figures.cycles.0.to_string(), INK));
    }
    let columns = ["utilisation", "lost: padding", "fill, drain", "launch", "waiting", "cycles"];
    let height = 58.0 + ROW * names.len().max(1) as f64;
    let panel = Panel {
        title: format!("{work} on {}: what the time is spent on", machine.name),
        x: Axis::new("", Scale::Names(columns.map(str::to_owned).to_vec())),
        y: Axis::new("", Scale::Names(names)),
        items,
        beyond: String::new(),
    };
    let left_out = cost.layers.len().saturating_sub(ROWS);
    let words = (left_out > 0).then(|| (Sample::Nothing, format!("the {left_out} cheapest layers are left out")));
    Figure::new(vec![vec![panel]], height, vec![Group::new("", words)])
}

/// The name, or its end behind dots.
fn ending(name: &str) -> String {
    match name.chars().count() {
        count if count > NAME => "…".chars().chain(name.chars().skip(count + 1 - NAME)).collect(),
        _ => name.to_owned(),
    }
}

/// Dark where little is left, light where all is.
fn shade(part: f64) -> Colour {
    let mix = |low: u8, high: u8| (f64::from(low) + part.clamp(0.0, 1.0) * (f64::from(high) - f64::from(low))) as u8;
    let shade = [mix(70, 236), mix(16, 244), mix(70, 226)];
    Colour { light: shade, dark: shade }
}
