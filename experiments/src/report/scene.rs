//! A figure as a list of shapes in pixels: what is written as SVG, and what says where there is room for text.

use std::fmt::Write;

use crate::report::style::{Colour, FONT, GROUND, Look, Shape, hex, width};

/// A rectangle in pixels, y downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Least x.
    pub left: f64,
    /// Least y.
    pub top: f64,
    /// Largest x.
    pub right: f64,
    /// Largest y.
    pub bottom: f64,
}

impl Bounds {
    /// From its corners.
    pub fn new(left: f64, top: f64, right: f64, bottom: f64) -> Self {
        Self { left, top, right, bottom }
    }

    /// Whether the insides meet.
    pub fn meets(&self, other: &Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether `other` lies in this one.
    pub fn holds(&self, other: &Self) -> bool {
        self.left <= other.left && other.right <= self.right && self.top <= other.top && other.bottom <= self.bottom
    }

    /// The same, larger by that many pixels on every side.
    pub fn grown(&self, by: f64) -> Self {
        Self::new(self.left - by, self.top - by, self.right + by, self.bottom + by)
    }
}

/// What a shape is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Behind all: bands, grid, cells of a table of colours.
    Ground,
    /// A curve, a front, a line to compare with, a line from a label to what it names.
    Line,
    /// An axis with its ticks.
    Axis,
    /// A value: a mark, a bar.
    Mark,
    /// A standard error around a mark.
    Spread,
    /// A text.
    Text,
}

/// Where the given place of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its left end.
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// A text in one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// What it says.
    pub text: String,
    /// Where: x by the anchor, y the middle of the line.
    pub at: (f64, f64),
    /// What `at` is.
    pub anchor: Anchor,
    /// Pixels.
    pub size: f64,
    /// Its colour.
    pub colour: Colour,
    /// Whether it is heavy.
    pub bold: bool,
    /// Whether it runs upwards.
    pub upwards: bool,
}

impl Text {
    /// The box that it takes.
    pub fn bounds(&self) -> Bounds {
        let long = width(&self.text, self.size, self.bold);
        let before = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => long / 2.0,
            Anchor::End => long,
        };
        let ((x, y), half) = (self.at, 0.55 * self.size);
        match self.upwards {
            true => Bounds::new(x - half, y - long + before, x + half, y + before),
            false => Bounds::new(x - before, y - half, x - before + long, y + half),
        }
    }
}

/// A shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Draw {
    /// A line through points, in pixels: width, and dash with gap.
    Line(Vec<(f64, f64)>, Colour, f64, Option<(f64, f64)>),
    /// A filled rectangle.
    Rectangle(Bounds, Colour),
    /// A mark.
    Mark((f64, f64), Look),
    /// A text.
    Text(Text),
}

impl Draw {
    /// The boxes that it takes, for a line those of short pieces.
    pub fn boxes(&self) -> Vec<Bounds> {
        match self {
            Self::Line(points, _, width, _) => {
                points.windows(2).flat_map(|ends| pieces(ends[0], ends[1], width / 2.0)).collect()
            }
            Self::Rectangle(bounds, _) => vec![*bounds],
            Self::Mark((x, y), look) => vec![Bounds::new(*x, *y, *x, *y).grown(look.radius + 1.0)],
            Self::Text(text) => vec![text.bounds()],
        }
    }
}

/// The boxes of a segment: one if it is level or upright, else pieces of about five pixels.
fn pieces((x, y): (f64, f64), (to_x, to_y): (f64, f64), half: f64) -> Vec<Bounds> {
    let (wide, high) = (to_x - x, to_y - y);
    let count = match wide.abs().min(high.abs()) {
        level if level < 1.0 => 1,
        _ => ((wide.abs().max(high.abs()) / 5.0).ceil() as usize).clamp(1, 1000),
    };
    let piece = |i: usize| {
        let place = |i: usize| (x + wide * i as f64 / count as f64, y + high * i as f64 / count as f64);
        let (a, b) = (place(i), place(i + 1));
        Bounds::new(a.0.min(b.0), a.1.min(b.1), a.0.max(b.0), a.1.max(b.1)).grown(half)
    };
    (0..count).map(piece).collect()
}

/// Shapes in the order in which they are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    /// What there is to see.
    pub shapes: Vec<(Role, Draw)>,
}

impl Scene {
    /// An empty one.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    /// Draws above all that is there.
    pub fn add(&mut self, role: Role, draw: Draw) {
        self.shapes.push((role, draw));
    }

    /// The boxes of the shapes of those roles.
    pub fn boxes(&self, roles: &[Role]) -> Vec<Bounds> {
        self.shapes.iter().filter(|(role, _)| roles.contains(role)).flat_map(|(_, draw)| draw.boxes()).collect()
    }

    /// What tests hold every figure to: the texts that overlap a mark, an axis or another text, or leave the figure; one sentence each.
    #[cfg(test)]
    pub fn collisions(&self) -> Vec<String> {
        let mut found = Vec::new();
        let frame = Bounds::new(0.0, 0.0, self.width, self.height);
        for (at, (_, draw)) in self.shapes.iter().enumerate() {
            let Draw::Text(text) = draw else { continue };
            let bounds = text.bounds();
            if !frame.holds(&bounds) {
                found.push(format!("`{}` leaves the figure", text.text));
            }
            for (other, (role, draw)) in self.shapes.iter().enumerate() {
                let counts = match role {
                    Role::Mark | Role::Axis | Role::Spread => true,
                    Role::Text => other > at,
                    Role::Ground | Role::Line => false,
                };
                if counts && draw.boxes().iter().any(|b| b.meets(&bounds)) {
                    let what =
                        if let Draw::Text(other) = draw { format!("`{}`", other.text) } else { format!("{role:?}") };
                    found.push(format!("`{}` at {:?} overlaps {what}", text.text, text.at));
                }
            }
        }
        found
    }

    /// The scene as SVG. Its colours follow what the reader prefers, light or dark.
    pub fn svg(&self) -> String {
        let mut palette = Palette::default();
        let mut body = String::new();
        for (role, draw) in &self.shapes {
            write(&mut body, &mut palette, *role, draw);
        }
        let (width, height) = (px(self.width), px(self.height));
        let ground = palette.class(GROUND);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\">\n<style>{}</style>\n\
             <rect width=\"100%\" height=\"100%\" class=\"f{ground}\"/>\n{body}</svg>\n",
            palette.css()
        )
    }
}

/// The colours of one figure, each with a class.
#[derive(Default)]
struct Palette(Vec<Colour>);

impl Palette {
    fn class(&mut self, colour: Colour) -> usize {
        self.0.iter().position(|known| *known == colour).unwrap_or_else(|| {
            self.0.push(colour);
            self.0.len() - 1
        })
    }

    fn css(&self) -> String {
        let rules = |pick: fn(&Colour) -> [u8; 3]| {
            let rule = |(at, colour): (usize, &Colour)| {
                let colour = hex(pick(colour));
                format!(".f{at}{{fill:{colour}}}.s{at}{{stroke:{colour}}}")
            };
            self.0.iter().enumerate().map(rule).collect::<String>()
        };
        format!("{}@media(prefers-color-scheme:dark){{{}}}", rules(|c| c.light), rules(|c| c.dark))
    }
}

/// A coordinate with two decimals at most: the same text whatever the last bits were.
fn px(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn points(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect::<Vec<_>>().join(" ")
}

// Writing to a string cannot fail.
fn write(out: &mut String, palette: &mut Palette, role: Role, draw: &Draw) {
    let _ = match draw {
        Draw::Line(line, colour, width, dash) => {
            let class = palette.class(*colour);
            let dash = dash.map_or(String::new(), |(on, off)| format!(" stroke-dasharray=\"{} {}\"", px(on), px(off)));
            let clear = if role == Role::Spread { " opacity=\"0.55\"" } else { "" };
            let (line, width) = (points(line), px(*width));
            writeln!(
                out,
                "<polyline points=\"{line}\" fill=\"none\" class=\"s{class}\" stroke-width=\"{width}\"{dash}{clear}/>"
            )
        }
        Draw::Rectangle(Bounds { left, top, right, bottom }, colour) => {
            let (x, y, wide, high) = (px(*left), px(*top), px(right - left), px(bottom - top));
            let class = palette.class(*colour);
            writeln!(out, "<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{high}\" class=\"f{class}\"/>")
        }
        Draw::Mark(at, look) => {
            out.push_str(&mark(palette, *at, look));
            Ok(())
        }
        Draw::Text(text) => {
            let ((x, y), class) = (text.at, palette.class(text.colour));
            let anchor = match text.anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            let bold = if text.bold { " font-weight=\"600\"" } else { "" };
            let escaped = text.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let place = match text.upwards {
                true => format!("transform=\"translate({} {}) rotate(-90)\"", px(x), px(y)),
                false => format!("x=\"{}\" y=\"{}\"", px(x), px(y)),
            };
            let size = px(text.size);
            writeln!(
                out,
                "<text {place} dy=\"0.35em\" font-size=\"{size}\" text-anchor=\"{anchor}\" class=\"f{class}\"{bold}>{escaped}</text>"
            )
        }
    };
}

fn mark(palette: &mut Palette, (x, y): (f64, f64), look: &Look) -> String {
    let (class, ground, r) = (palette.class(look.colour), palette.class(GROUND), look.radius);
    let fill = if look.hollow { ground } else { class };
    let clear = if look.faint { " opacity=\"0.25\"" } else { "" };
    let paint = format!("class=\"f{fill} s{class}\" stroke-width=\"1.6\" fill-opacity=\"0.85\"{clear}");
    match look.shape {
        Shape::Circle => format!("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" {paint}/>\n", px(x), px(y), px(r)),
        Shape::Cross => {
            let (left, right, top, bottom) = (px(x - r), px(x + r), px(y - r), px(y + r));
            format!(
                "<path d=\"M{left},{top}L{right},{bottom}M{left},{bottom}L{right},{top}\" fill=\"none\" {paint}/>\n"
            )
        }
        _ => {
            let outline: Vec<_> = look.shape.outline().iter().map(|(dx, dy)| (x + r * dx, y + r * dy)).collect();
            format!("<polygon points=\"{}\" {paint}/>\n", points(&outline))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::style::INK;

    fn text(text: &str, at: (f64, f64)) -> Draw {
        let text = text.to_owned();
        Draw::Text(Text { text, at, anchor: Anchor::Start, size: 10.0, colour: INK, bold: false, upwards: false })
    }

    #[test]
    fn collisions_are_found() {
        let mut scene = Scene::new(200.0, 100.0);
        scene.add(Role::Text, text("label", (20.0, 50.0)));
        assert!(scene.collisions().is_empty());
        scene.add(Role::Ground, Draw::Rectangle(Bounds::new(0.0, 0.0, 200.0, 100.0), INK));
        assert!(scene.collisions().is_empty());
        scene.add(Role::Mark, Draw::Mark((30.0, 52.0), Look::new(Shape::Circle, INK)));
        scene.add(Role::Text, text("other", (40.0, 54.0)));
        scene.add(Role::Text, text("outside", (190.0, 20.0)));
        // The steep line passes the first text's box only as a whole, not by any of its pieces.
        scene.add(Role::Axis, Draw::Line(vec![(60.0, 0.0), (100.0, 100.0)], INK, 1.0, None));
        let found = scene.collisions();
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn coordinates_are_short_and_text_is_escaped() {
        assert_eq!([px(1.0), px(-0.001), px(2.0 / 3.0), px(10.5)], ["1", "0", "0.67", "10.5"]);
        let mut scene = Scene::new(10.0, 10.0);
        scene.add(Role::Text, text("<&>", (0.0, 0.0)));
        let svg = scene.svg();
        assert!(svg.contains(">&lt;&amp;&gt;<") && svg.contains("prefers-color-scheme:dark"), "{svg}");
    }
}
