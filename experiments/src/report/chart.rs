//! One panel of a figure: two axes, and what stands between them.

use crate::report::place;
use crate::report::scale::{Axis, Scale};
use crate::report::scene::{Anchor, Bounds, Draw, Role, Scene, Text};
use crate::report::style::{self, BODY, Colour, GRID, INK, Look, SMALL, SOFT, TITLE};

/// What stands in a panel, in the units of its axes.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// A background between two values of x and two of y.
    Ground((f64, f64), (f64, f64), Colour),
    /// A rectangle that is a value.
    Bar((f64, f64), (f64, f64), Colour),
    /// A level dashed line to compare with.
    Level(f64),
    /// A line.
    Curve(Curve),
    /// A point.
    Mark(Mark),
    /// A line from one value of y to another, at an x: a range that is no standard error.
    Range(f64, (f64, f64)),
    /// A text in the middle of a place, as in a cell of a table; it is not moved.
    Cell((f64, f64), String, Colour),
    /// The name of a point, which stands where there is room.
    Label((f64, f64), String),
}

/// A line through points. Points that are not finite, or not positive on a logarithmic axis, break it.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its colour.
    pub colour: Colour,
    /// Whether it is dashed: Q→S.
    pub dashed: bool,
    /// (x, y).
    pub points: Vec<(f64, f64)>,
    /// Standard errors of y, in the order of the points: (low, high) ends. Empty where none is known.
    pub errors: Vec<(f64, f64)>,
    /// The dot at each point, if any.
    pub dot: Option<Look>,
}

/// A point with its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mark {
    /// (x, y).
    pub at: (f64, f64),
    /// The ends of y ± one standard error.
    pub error: Option<(f64, f64)>,
    /// How it looks.
    pub look: Look,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What stands above; empty for nothing.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards; of names, downwards.
    pub y: Axis,
    /// What stands in it, from back to front.
    pub items: Vec<Item>,
    /// Words for values that are beyond the upper end, or no numbers: they stand in a strip above a broken axis.
    pub beyond: String,
}

/// Pixels of the strip for what is beyond the axis, with the break below it.
const STRIP: f64 = 26.0;
/// Pixels of a tick.
const TICK: f64 = 4.0;

/// Where a panel's plot is, and how values become pixels.
struct Plot<'a> {
    panel: &'a Panel,
    field: Bounds,
}

impl Panel {
    /// Whether a value of y has no place on the axis.
    fn is_beyond(&self, y: f64) -> bool {
        !self.beyond.is_empty() && (y.is_nan() || y > self.y.scale.ends().1)
    }

    /// The pixels that names and numbers of the y axis need to the left of the plot.
    pub fn left(&self, height: f64) -> f64 {
        let numbers = fitting(&self.y, height - 80.0, |lines, _| (0.8 + 1.2 * lines as f64) * SMALL);
        let widest = numbers.iter().map(|(_, text)| style::width(text, SMALL, false)).fold(0.0, f64::max);
        widest.max(if self.beyond.is_empty() { 0.0 } else { style::width(&self.beyond, SMALL, false) })
            + TICK
            + 6.0
            + self.name_width()
    }

    fn name_width(&self) -> f64 {
        if self.y.name.is_empty() { 6.0 } else { 1.1 * BODY + 12.0 }
    }

    /// Draws the panel in a rectangle, its plot `left` pixels from the left edge.
    pub fn draw(&self, scene: &mut Scene, area: Bounds, left: f64) {
        let title = if self.title.is_empty() { 8.0 } else { 30.0 };
        let strip = if self.beyond.is_empty() { 0.0 } else { STRIP };
        let lines = match &self.x.scale {
            Scale::Names(names) => names.iter().map(|n| n.split('\n').count()).max().unwrap_or(1),
            _ => 1,
        };
        let name = if self.x.name.is_empty() { 0.0 } else { 1.7 * BODY };
        let foot = TICK + 6.0 + 1.25 * SMALL * lines as f64 + name + 4.0;
        let field = Bounds::new(area.left + left, area.top + title + strip, area.right - 14.0, area.bottom - foot);
        let plot = Plot { panel: self, field };
        plot.heading(scene, area);
        let (behind, before): (Vec<&Item>, _) = self.items.iter().partition(|item| matches!(item, Item::Ground(..)));
        behind.into_iter().for_each(|item| plot.item(scene, item));
        plot.axes(scene, area, lines);
        before.into_iter().for_each(|item| plot.item(scene, item));
        plot.labels(scene);
    }
}

/// The most values of an axis whose texts have room over `length` pixels: `need` gives the pixels of a text by its lines and itself.
fn fitting(axis: &Axis, length: f64, need: impl Fn(usize, &str) -> f64) -> Vec<(f64, String)> {
    let mut best = Vec::new();
    for set in axis.scale.ticks() {
        let texts: Vec<(f64, String)> = set.into_iter().map(|v| (v, axis.text(v))).collect();
        let apart = |pair: &[(f64, String)]| {
            let away = (axis.scale.place(pair[1].0) - axis.scale.place(pair[0].0)).abs() * length;
            let needs = |text: &str| need(text.split('\n').count(), text);
            away >= (needs(&pair[0].1) + needs(&pair[1].1)) / 2.0
        };
        let names = matches!(axis.scale, Scale::Names(_));
        if names || texts.windows(2).all(apart) {
            return texts;
        }
        best = texts;
    }
    best.truncate(1);
    best
}

impl Plot<'_> {
    fn x(&self, value: f64) -> f64 {
        self.field.left + self.panel.x.scale.place(value) * (self.field.right - self.field.left)
    }

    fn y(&self, value: f64) -> f64 {
        if self.panel.is_beyond(value) {
            return self.field.top - 0.62 * STRIP;
        }
        let part = self.panel.y.scale.place(value);
        let high = self.field.bottom - self.field.top;
        match self.panel.y.scale {
            Scale::Names(_) => self.field.top + part * high,
            _ => self.field.bottom - part * high,
        }
    }

    fn heading(&self, scene: &mut Scene, area: Bounds) {
        if !self.panel.title.is_empty() {
            let at = (self.field.left, area.top + 14.0);
            scene.add(Role::Text, words(&self.panel.title, at, Anchor::Start, TITLE, INK, true));
        }
    }

    fn axes(&self, scene: &mut Scene, area: Bounds, lines: usize) {
        let Bounds { left, top, right, bottom } = self.field;
        let names = |axis: &Axis| matches!(axis.scale, Scale::Names(_));
        let line = |points: Vec<(f64, f64)>, colour| Draw::Line(points, colour, 1.0, None);
        for (value, text) in
            fitting(&self.panel.x, right - left, |_, text| style::width(longest(text), SMALL, false) + 10.0)
        {
            let x = self.x(value);
            if !names(&self.panel.x) {
                scene.add(Role::Ground, line(vec![(x, top), (x, bottom)], GRID));
                scene.add(Role::Axis, line(vec![(x, bottom), (x, bottom + TICK)], INK));
            }
            for (at, part) in text.split('\n').enumerate() {
                let y = bottom + TICK + 4.0 + SMALL * (0.55 + 1.25 * at as f64);
                scene.add(Role::Text, words(part, (x, y), Anchor::Middle, SMALL, INK, false));
            }
        }
        for (value, text) in fitting(&self.panel.y, bottom - top, |lines, _| (0.8 + 1.2 * lines as f64) * SMALL) {
            let y = self.y(value);
            if !names(&self.panel.y) {
                scene.add(Role::Ground, line(vec![(left, y), (right, y)], GRID));
                scene.add(Role::Axis, line(vec![(left - TICK, y), (left, y)], INK));
            }
            scene.add(Role::Text, words(&text, (left - TICK - 4.0, y), Anchor::End, SMALL, INK, false));
        }
        scene.add(Role::Axis, line(vec![(left, top), (left, bottom), (right, bottom)], INK));
        self.broken(scene);
        let below = bottom + TICK + 6.0 + 1.25 * SMALL * lines as f64 + 0.75 * BODY;
        if !self.panel.x.name.is_empty() {
            scene.add(
                Role::Text,
                words(&self.panel.x.name, ((left + right) / 2.0, below), Anchor::Middle, BODY, INK, false),
            );
        }
        if !self.panel.y.name.is_empty() {
            let at = (area.left + 0.55 * BODY + 4.0, (top + bottom) / 2.0);
            let Draw::Text(text) = words(&self.panel.y.name, at, Anchor::Middle, BODY, INK, false) else { return };
            scene.add(Role::Text, Draw::Text(Text { upwards: true, ..text }));
        }
    }

    /// The strip above a broken axis.
    fn broken(&self, scene: &mut Scene) {
        if self.panel.beyond.is_empty() {
            return;
        }
        let Bounds { left, top, right, .. } = self.field;
        let middle = top - 0.62 * STRIP;
        scene.add(Role::Ground, Draw::Rectangle(Bounds::new(left, top - STRIP, right, top - 6.0), style::BAND));
        scene.add(Role::Axis, Draw::Line(vec![(left, top - 6.0), (left, top - STRIP)], INK, 1.0, None));
        for y in [top, top - 6.0] {
            scene.add(Role::Axis, Draw::Line(vec![(left - 4.0, y + 2.5), (left + 4.0, y - 2.5)], INK, 1.0, None));
        }
        scene.add(Role::Text, words(&self.panel.beyond, (left - TICK - 4.0, middle), Anchor::End, SMALL, INK, false));
    }

    fn item(&self, scene: &mut Scene, item: &Item) {
        match item {
            Item::Ground(x, y, colour) => scene.add(Role::Ground, self.rectangle(*x, *y, *colour)),
            Item::Bar(x, y, colour) => scene.add(Role::Mark, self.rectangle(*x, *y, *colour)),
            Item::Level(y) => {
                let ends = vec![(self.field.left, self.y(*y)), (self.field.right, self.y(*y))];
                scene.add(Role::Line, Draw::Line(ends, SOFT, 1.0, Some((4.0, 4.0))));
            }
            Item::Curve(curve) => self.curve(scene, curve),
            Item::Mark(mark) => self.mark(scene, mark),
            Item::Range(x, (low, high)) => {
                let ends = vec![(self.x(*x), self.y(*low)), (self.x(*x), self.y(*high))];
                scene.add(Role::Mark, Draw::Line(ends, INK, 1.0, None));
            }
            Item::Cell((x, y), text, colour) => {
                scene.add(Role::Text, words(text, (self.x(*x), self.y(*y)), Anchor::Middle, SMALL, *colour, false));
            }
            // Last of all, when every mark is known.
            Item::Label(..) => {}
        }
    }

    fn rectangle(&self, x: (f64, f64), y: (f64, f64), colour: Colour) -> Draw {
        let (left, right, top, bottom) = (self.x(x.0), self.x(x.1), self.y(y.0), self.y(y.1));
        Draw::Rectangle(Bounds::new(left.min(right), top.min(bottom), left.max(right), top.max(bottom)), colour)
    }

    fn curve(&self, scene: &mut Scene, curve: &Curve) {
        let positive = matches!(self.panel.y.scale, Scale::Log { .. });
        let drawn = |(x, y): &(f64, f64)| x.is_finite() && !y.is_nan() && (*y > 0.0 || !positive);
        let dash = curve.dashed.then_some((5.0, 3.0));
        // Nothing leads across a broken axis.
        let joined = |p: &(f64, f64)| drawn(p) && p.1.is_finite() && !self.panel.is_beyond(p.1);
        for run in curve.points.split(|p| !joined(p)).filter(|run| run.len() > 1) {
            let line = run.iter().map(|(x, y)| (self.x(*x), self.y(*y))).collect();
            scene.add(Role::Line, Draw::Line(line, curve.colour, 1.8, dash));
        }
        for (at, point) in curve.points.iter().enumerate().filter(|(_, p)| drawn(p)) {
            let error = curve.errors.get(at).copied().filter(|(low, high)| low.is_finite() && high.is_finite());
            let look = curve.dot.unwrap_or(Look::new(style::Shape::Circle, curve.colour).radius(0.0));
            self.mark(scene, &Mark { at: *point, error, look });
        }
    }

    fn mark(&self, scene: &mut Scene, mark: &Mark) {
        let at = (self.x(mark.at.0), self.y(mark.at.1));
        if !(at.0.is_finite() && at.1.is_finite()) {
            return;
        }
        if let Some((low, high)) = mark.error.filter(|_| !self.panel.is_beyond(mark.at.1)) {
            let ends = [low, high].map(|y| self.y(y));
            let inside = ends.map(|y| y.clamp(self.field.top, self.field.bottom));
            // What hides behind its mark needs no ink; an end outside the plot has no cap.
            if (inside[0] - inside[1]) / 2.0 > mark.look.radius {
                let caps = ends.iter().zip(inside).filter(|(end, shown)| **end == *shown).map(|(_, y)| cap(at.0, y));
                for line in [inside.map(|y| (at.0, y)).to_vec()].into_iter().chain(caps) {
                    scene.add(Role::Spread, Draw::Line(line, mark.look.colour, 1.0, None));
                }
            }
        }
        if mark.look.radius > 0.0 {
            scene.add(Role::Mark, Draw::Mark(at, mark.look));
        }
    }

    fn labels(&self, scene: &mut Scene) {
        let labels = self.panel.items.iter().filter_map(|item| match item {
            Item::Label(at, text) => Some((at, text)),
            _ => None,
        });
        for ((x, y), text) in labels {
            let point = (self.x(*x), self.y(*y));
            let hard = scene.boxes(&[Role::Mark, Role::Axis, Role::Text, Role::Spread]);
            let soft = scene.boxes(&[Role::Line]);
            let size = (style::width(text, SMALL, false), 1.1 * SMALL);
            // What has no room at all is left out.
            let Some(placed) = place::place(point, size, self.field, &hard, &soft) else { continue };
            if let Some(end) = placed.leader {
                scene.add(Role::Line, Draw::Line(vec![point, end], SOFT, 0.8, None));
            }
            let Bounds { left, top, bottom, .. } = placed.bounds;
            scene.add(Role::Text, words(text, (left, (top + bottom) / 2.0), Anchor::Start, SMALL, INK, false));
        }
    }
}

/// The end of an error bar.
fn cap(x: f64, y: f64) -> Vec<(f64, f64)> {
    vec![(x - 2.5, y), (x + 2.5, y)]
}

fn longest(text: &str) -> &str {
    text.split('\n').max_by(|a, b| style::width(a, 1.0, false).total_cmp(&style::width(b, 1.0, false))).unwrap_or("")
}

/// A level text.
pub fn words(text: &str, at: (f64, f64), anchor: Anchor, size: f64, colour: Colour, bold: bool) -> Draw {
    Draw::Text(Text { text: text.to_owned(), at, anchor, size, colour, bold, upwards: false })
}
