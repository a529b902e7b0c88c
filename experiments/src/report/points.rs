//! What configurations take against how well they do, one panel a model, with the Pareto front.

use crate::engine::frame::Row;
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::{in_order, interval};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, INK, Look, SOFT, Shape};

/// The x axis of stored sizes.
pub const STORED: &str = "compressed layers, KiB (values, scales, metadata)";

/// The columns of a table that points are made of; a standard error, `stderr`, is shown where there is one.
pub const NEEDED: [&str; 11] = [
    "model",
    "data",
    "metric",
    "format",
    "sparsity",
    "order",
    "value",
    "fp32_value",
    "values_bits",
    "scales_bits",
    "metadata_bits",
];

/// A configuration of a model with what it takes and how well it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The model.
    pub model: String,
    /// The data.
    pub data: String,
    /// The metric's name; lower is better.
    pub metric: String,
    /// The format.
    pub format: String,
    /// The sparsity pattern.
    pub sparsity: String,
    /// `sq`, `qs` or `none`.
    pub order: String,
    /// The machine, where points of several are in one panel: each has a front of its own.
    pub machine: String,
    /// Whether the point is drawn faintly, without its error.
    pub faint: bool,
    /// Where it stands on the x axis.
    pub x: f64,
    /// The metric.
    pub value: f64,
    /// The metric minus and plus one standard error.
    pub error: Option<(f64, f64)>,
    /// The metric of the dense FP32 model.
    pub fp32: f64,
}

impl Point {
    /// The point of a row of evaluated cells, at the stored KiB of its compressed layers.
    pub fn of(row: Row<'_>) -> Self {
        let text = |column: &str| row.text(column).to_owned();
        Self {
            model: text("model"),
            data: text("data"),
            metric: text("metric"),
            format: text("format"),
            sparsity: text("sparsity"),
            order: text("order"),
            machine: String::new(),
            faint: false,
            x: ["values_bits", "scales_bits", "metadata_bits"].map(|c| row.number(c)).iter().sum::<f64>() / 8192.0,
            value: row.number("value"),
            error: interval(row.text("metric"), row.number("value"), row.number("stderr")),
            fp32: row.number("fp32_value"),
        }
    }

    fn look(&self) -> Look {
        let look = Look::new(style::shape(&self.sparsity), style::colour(&self.format)).order(&self.order);
        Look { faint: self.faint, ..look }
    }
}

/// One panel a model: the stored size of the compressed layers against the metric, both logarithmic.
pub fn pareto(points: &[Point]) -> Figure {
    let models = in_order(points.iter().map(|p| p.model.clone()));
    let of = |model: &String| points.iter().filter(|p| p.model == *model).collect::<Vec<_>>();
    let panels = models.iter().map(|model| panel(&of(model), STORED)).collect();
    Figure::new(vec![panels], 430.0, legend(points))
}

/// The points that no other beats in both x and metric, by x.
fn front<'a>(points: &[&'a Point]) -> Vec<&'a Point> {
    let mut sorted: Vec<&Point> = points.iter().copied().filter(|p| p.value.is_finite()).collect();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.value.total_cmp(&b.value)));
    let mut best = f64::INFINITY;
    sorted.retain(|p| {
        p.value < best && {
            best = p.value;
            true
        }
    });
    sorted
}

/// One panel of one model: points, the front of x and metric a machine, and the metric of dense FP32.
pub fn panel(points: &[&Point], x_axis: &str) -> Panel {
    let (model, data, metric) =
        points.first().map_or(("", "", String::new()), |p| (&*p.model, &*p.data, p.metric.replace('_', " ")));
    let errors = points.iter().filter(|p| !p.faint).filter_map(|p| p.error).flat_map(|(low, high)| [low, high]);
    let values = points.iter().flat_map(|p| [p.value, p.fp32]);
    let (least, most) = (values.clone().filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min), 1.06);
    // An error as large as its value would reach down without end on a logarithmic axis.
    let heights = values.chain(errors.filter(|v| *v > least / 2.0));
    let mut items: Vec<Item> = points.first().map(|p| Item::Level(p.fp32)).into_iter().collect();
    let mut labels = Vec::new();
    for machine in in_order(points.iter().map(|p| p.machine.clone())) {
        let of: Vec<&Point> = points.iter().copied().filter(|p| p.machine == machine).collect();
        let steps: Vec<(f64, f64)> = front(&of).into_iter().map(|p| (p.x, p.value)).collect();
        if let Some(first) = steps.first().filter(|_| !machine.is_empty()) {
            labels.push(Item::Label(*first, machine));
        }
        let curve = Curve { colour: SOFT, dashed: false, points: steps, errors: Vec::new(), dot: None };
        items.push(Item::Curve(curve));
    }
    let sorted = points.iter().filter(|p| p.faint).chain(points.iter().filter(|p| !p.faint));
    items.extend(sorted.map(|p| {
        let error = p.error.filter(|_| !p.faint);
        Item::Mark(Mark { at: (p.x, p.value), error, look: p.look() })
    }));
    items.extend(labels);
    let beyond = if points.iter().any(|p| !p.value.is_finite()) { "not finite" } else { "" };
    Panel {
        title: format!("{model}: {metric} on {data}"),
        x: Axis::new(x_axis, Scale::log(points.iter().map(|p| p.x), 1.08)),
        y: Axis::new(format!("{metric} (lower is better)"), Scale::log(heights, most)),
        items,
        beyond: beyond.to_owned(),
    }
}

/// What the marks of points mean.
pub fn legend(points: &[Point]) -> Vec<Group> {
    let formats = in_order(points.iter().map(|p| p.format.clone()));
    let patterns = in_order(points.iter().map(|p| p.sparsity.clone()));
    let circle = |colour| Sample::Mark(Look::new(Shape::Circle, colour));
    let mut lines = vec![(Sample::Line(SOFT), "Pareto front"), (Sample::Dashed(SOFT), "FP32 dense")];
    lines.extend(points.iter().any(|p| p.error.is_some()).then_some((Sample::Bar, "± one standard error")));
    vec![
        Group::new("format", formats.into_iter().map(|f| (circle(style::colour(&f)), f))),
        Group::new("pattern", patterns.into_iter().map(|p| (Sample::Mark(Look::new(style::shape(&p), INK)), p))),
        Group::new("order", orders()),
        Group::new("lines", lines),
    ]
}

/// What filled and hollow mean, in every figure.
pub fn orders() -> [(Sample, &'static str); 2] {
    let circle = Look::new(Shape::Circle, INK);
    [(Sample::Mark(circle), "S→Q, or one step"), (Sample::Mark(circle.order("qs")), "Q→S")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_stands_at_its_own_height() {
        let point = |x: f64, value: f64| Point {
            model: "m".to_owned(),
            data: "d".to_owned(),
            metric: "cross_entropy".to_owned(),
            format: "int8".to_owned(),
            sparsity: "1:4".to_owned(),
            order: "qs".to_owned(),
            machine: String::new(),
            faint: false,
            x,
            value,
            error: None,
            fp32: 0.04,
        };
        let points = [point(1.0, 0.05), point(2.0, 7.0), point(3.0, 9.0), point(4.0, f64::INFINITY)];
        let drawn = panel(&points.iter().collect::<Vec<_>>(), "x");
        let (_, high) = drawn.y.scale.ends();
        assert!(high > 9.0 && high.is_finite(), "{high}");
        assert!(drawn.y.scale.place(9.0) - drawn.y.scale.place(7.0) > 0.01);
        assert_eq!(drawn.beyond, "not finite");
        assert_eq!(front(&points.iter().collect::<Vec<_>>()).len(), 1);
        assert!(pareto(&points).scene().collisions().is_empty());
        assert!(pareto(&[]).svg().contains("</svg>"));
    }
}
