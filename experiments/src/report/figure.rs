//! A figure as data: panels in rows, a legend below. One function draws all of them.

use crate::report::chart::{Panel, words};
use crate::report::legend::{self, Group};
use crate::report::scene::{Anchor, Bounds, Role, Scene};
use crate::report::style::{INK, TITLE};

/// Pixels of a figure that has no reason to be wider: a README shows it at its own size.
pub const WIDTH: f64 = 860.0;
const MARGIN: f64 = 10.0;

/// Panels in rows of equal height, with one legend.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What stands above all panels; empty for nothing.
    pub title: String,
    /// The panels, row by row.
    pub rows: Vec<Vec<Panel>>,
    /// Pixels of a row.
    pub height: f64,
    /// Pixels of all columns.
    pub width: f64,
    /// What the marks mean.
    pub legend: Vec<Group>,
}

impl Figure {
    /// A figure of the usual width.
    pub fn new(rows: Vec<Vec<Panel>>, height: f64, legend: Vec<Group>) -> Self {
        Self { title: String::new(), rows, height, width: WIDTH, legend }
    }

    /// Every shape in its place.
    pub fn scene(&self) -> Scene {
        let mut scene = Scene::new(self.width, 0.0);
        let mut top = MARGIN;
        if !self.title.is_empty() {
            scene.add(Role::Text, words(&self.title, (MARGIN, top + 10.0), Anchor::Start, TITLE + 1.0, INK, true));
            top += 30.0;
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let wide = (self.width - 2.0 * MARGIN) / columns as f64;
        // Plots of one column begin at one x.
        let left = |column: usize| {
            let panels = self.rows.iter().filter_map(|row| row.get(column));
            panels.map(|panel| panel.left(self.height)).fold(0.0, f64::max)
        };
        let lefts: Vec<f64> = (0..columns).map(left).collect();
        for row in &self.rows {
            for (column, panel) in row.iter().enumerate() {
                let x = MARGIN + wide * column as f64;
                panel.draw(&mut scene, Bounds::new(x, top, x + wide, top + self.height), lefts[column]);
            }
            top += self.height + 6.0;
        }
        let end = legend::draw(&mut scene, &self.legend, (MARGIN + 4.0, self.width - MARGIN), top + 4.0);
        scene.height = end + MARGIN;
        scene
    }

    /// The figure as SVG.
    pub fn svg(&self) -> String {
        self.scene().svg()
    }
}
