//! The figure: a column of panels a model, with what a configuration takes against the metric.

use anyhow::Result;

use crate::engine::frame::{Frame, Row, distinct};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::points::{NEEDED, Point, STORED, legend, panel};
use crate::report::style::{INK, Look, Shape};

/// What a configuration takes: a row of panels each.
struct Quantity {
    axis: &'static str,
    x: fn(&Row) -> f64,
    /// Whether it is that of a machine, so that every machine has marks and a front of its own.
    of_machine: bool,
}

const QUANTITIES: [Quantity; 4] = [
    Quantity { axis: STORED, x: |row| Point::of(*row).x, of_machine: false },
    Quantity { axis: "energy of an input, µJ", x: |row| row.number("energy_pj") / 1e6, of_machine: true },
    Quantity { axis: "time of an input, µs", x: |row| row.number("seconds") * 1e6, of_machine: true },
    Quantity { axis: "area of the machine, mm²", x: |row| row.number("area_mm2"), of_machine: true },
];

/// The columns of machines that the figure needs.
const OF_MACHINE: [&str; 4] = ["accelerator", "energy_pj", "seconds", "front_on_machine"];

/// Draws the figure. Marks of a machine are faint unless they are on its front; what a table does not hold has no panels.
pub(super) fn draw(frame: &Frame) -> Result<Figure> {
    frame.expect(&[&NEEDED[..], &OF_MACHINE].concat())?;
    let models = distinct(frame.rows(), "model");
    let line = |quantity: &Quantity| {
        let known = |model: &&str| {
            let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == *model).collect();
            let points = points(&rows, quantity);
            (!points.is_empty()).then(|| panel(&points.iter().collect::<Vec<_>>(), quantity.axis))
        };
        models.iter().filter_map(known).collect::<Vec<_>>()
    };
    let rows: Vec<_> = QUANTITIES.iter().map(line).filter(|panels| !panels.is_empty()).collect();
    let mut legend = legend(&frame.rows().map(Point::of).collect::<Vec<_>>());
    let faint = Look { faint: true, ..Look::new(Shape::Circle, INK) };
    legend.push(Group::new("faint", [(Sample::Mark(faint), "not on the front of its machine")]));
    Ok(Figure::new(rows, 330.0, legend))
}

/// One point a configuration, on every machine that can run it where the quantity is one of machines.
fn points(rows: &[Row], quantity: &Quantity) -> Vec<Point> {
    let first = rows.first().map_or("", |row| row.text("accelerator"));
    let wanted = |row: &&Row| quantity.of_machine || row.text("accelerator") == first;
    let able = rows.iter().filter(wanted).filter(|row| (quantity.x)(row).is_finite());
    let point = |row: &Row| {
        let point = Point { x: (quantity.x)(row), ..Point::of(*row) };
        if !quantity.of_machine {
            return point;
        }
        let faint = row.text("front_on_machine") != "true";
        Point { machine: row.text("accelerator").to_owned(), faint, ..point }
    };
    able.map(point).collect()
}
