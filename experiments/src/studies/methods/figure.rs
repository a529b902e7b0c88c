//! Perplexity by the size of the whole model, one band a size: colour and place by pruner, shape by rounding, hollow for Q→S.

use anyhow::Result;

use super::entries::{NONE, PRUNERS};
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::interval;
use crate::report::points::orders;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, BAND, Colour, INK, Look, SOFT, Shape};

/// The columns that the figure needs.
const NEEDED: [&str; 12] = [
    "model",
    "pruner",
    "quantiser",
    "order",
    "format",
    "sparsity",
    "data",
    "perplexity",
    "stderr",
    "fp32",
    "on_grid",
    "total_bits",
];

/// Draws one panel a model.
///
/// # Errors
/// The table lacks a column.
pub(super) fn draw(frame: &Frame) -> Result<Figure> {
    frame.expect(&NEEDED)?;
    let of = |model: &str| frame.rows().filter(|row| row.text("model") == model).collect::<Vec<_>>();
    let panels = distinct(frame.rows(), "model").into_iter().map(|model| vec![panel(&of(model))]);
    Ok(Figure::new(panels.collect(), 470.0, legend()))
}

/// The place of a pruner among the colours; what is no pruner of the table has none.
fn place(row: &Row) -> Option<usize> {
    let name = row.text("pruner");
    if name == NONE { Some(0) } else { PRUNERS.iter().position(|p| p.name == name).map(|at| at + 1) }
}

/// One colour a pruner, in the order of [`PRUNERS`], dark for none.
fn colour(place: usize) -> Colour {
    match place {
        0 => INK,
        1 => SOFT,
        _ => style::hue([0, 3, 2, 8, 4, 1, 5][(place - 2) % 7]),
    }
}

/// How rounding is done, and whether in one step with pruning.
fn shape(quantiser: &str, order: &str) -> Shape {
    match (quantiser, order) {
        (_, "joint") => Shape::Diamond,
        (NONE, _) => Shape::Circle,
        ("rtn", _) => Shape::Triangle,
        _ => Shape::Square,
    }
}

/// Rows of one size, or nearly: the same format, stored so, and the same pattern.
struct Band<'a> {
    label: String,
    /// KiB of the whole model, of its smallest row.
    kib: f64,
    /// The pruner's place with the row.
    rows: Vec<(usize, Row<'a>)>,
}

/// The bands by size.
fn bands<'a>(rows: &[Row<'a>]) -> Vec<Band<'a>> {
    let mut bands: Vec<Band> = Vec::new();
    for (row, place) in rows.iter().filter_map(|row| Some((*row, place(row)?))) {
        let kib = row.number("total_bits") / 8192.0;
        // What left its grid is stored as FP32.
        let format = if row.number("on_grid") < 1.0 { "fp32" } else { row.text("format") };
        let label = format!("{format}\n{}", row.text("sparsity"));
        match bands.iter_mut().find(|band| band.label == label) {
            Some(band) => {
                band.kib = band.kib.min(kib);
                band.rows.push((place, row));
            }
            None => bands.push(Band { label, kib, rows: vec![(place, row)] }),
        }
    }
    bands.sort_by(|a, b| a.kib.total_cmp(&b.kib));
    bands
}

fn panel(rows: &[Row]) -> Panel {
    let bands = bands(rows);
    let value = |row: &Row| row.number("perplexity");
    let all = || bands.iter().flat_map(|band| band.rows.iter().map(|(_, row)| row));
    let fp32 = rows.first().map_or(f64::NAN, |row| row.number("fp32"));
    let error = |row: &Row| interval("perplexity", value(row), row.number("stderr"));
    let ends = all().filter_map(error).flat_map(|(low, high)| [low, high]);
    let y = Scale::log(all().map(value).chain(ends).chain([fp32]), 1.01);
    let (low, high) = y.ends();
    let stripe = |at: usize| Item::Ground((at as f64 - 0.5, at as f64 + 0.5), (low, high), BAND);
    let mut items: Vec<Item> = (0..bands.len()).step_by(2).map(stripe).collect();
    let front = Curve { colour: SOFT, dashed: false, points: front(&bands), errors: Vec::new(), dot: None };
    items.extend([Item::Level(fp32), Item::Curve(front)]);
    for (at, band) in bands.iter().enumerate() {
        let lanes = PRUNERS.len() as f64 + 2.0;
        items.extend(band.rows.iter().map(|(place, row)| {
            let x = at as f64 - 0.5 + (*place as f64 + 1.0) / lanes;
            let shape = shape(row.text("quantiser"), row.text("order"));
            let look = Look::new(shape, colour(*place)).order(row.text("order")).radius(3.6);
            Item::Mark(Mark { at: (x, value(row)), error: error(row), look })
        }));
    }
    let (model, data) = rows.first().map_or(("", ""), |row| (row.text("model"), row.text("data")));
    Panel {
        title: format!("{model}: perplexity on {data} by size, method and order"),
        x: Axis::new("", Scale::Names(bands.iter().map(|b| format!("{}\n{:.0} KiB", b.label, b.kib)).collect())),
        y: Axis::new("perplexity (lower is better)", y),
        items,
        beyond: if all().any(|row| !value(row).is_finite()) { "not finite" } else { "" }.to_owned(),
    }
}

/// The best perplexity of each band that no smaller one reaches, as steps from band to band.
fn front(bands: &[Band]) -> Vec<(f64, f64)> {
    let mut best = f64::INFINITY;
    let mut steps = Vec::new();
    for (at, band) in bands.iter().enumerate() {
        let (left, least) = (at as f64 - 0.5, band.rows.iter().map(|(_, row)| row.number("perplexity")));
        let least = least.fold(f64::INFINITY, f64::min);
        if least < best {
            steps.extend(best.is_finite().then_some((left, best)));
            steps.push((left, least));
            best = least;
        }
    }
    steps.extend(best.is_finite().then_some((bands.len() as f64 - 0.5, best)));
    steps
}

fn legend() -> Vec<Group> {
    let names = ["nobody"].into_iter().chain(PRUNERS.iter().map(|p| p.name));
    let circle = |place| Sample::Mark(Look::new(Shape::Circle, colour(place)));
    let mark = |shape| Sample::Mark(Look::new(shape, INK));
    vec![
        Group::new("pruned by", names.enumerate().map(|(place, name)| (circle(place), name))),
        Group::new(
            "rounded",
            [
                (mark(Shape::Circle), "not"),
                (mark(Shape::Triangle), "to nearest"),
                (mark(Shape::Square), "GPTQ, AWQ"),
                (mark(Shape::Diamond), "with pruning, in one pass"),
            ],
        ),
        Group::new("order", orders()),
        Group::new(
            "lines",
            [
                (Sample::Line(SOFT), "Pareto front"),
                (Sample::Dashed(SOFT), "FP32 dense"),
                (Sample::Bar, "± one standard error over windows, which all share"),
            ],
        ),
    ]
}
