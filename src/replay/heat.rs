//! How often an alarm would have gone off for each combination of two settings, as a picture.

use std::fmt::Write as _;

use super::svg::{self, escaped, float};

/// One alarm with its axes and the count of each combination, the second axis the quickest to change.
#[derive(Clone, Debug)]
pub struct Heat {
    pub title: String,
    /// The name and the settings of the rows, then of the columns.
    pub rows: (String, Vec<String>),
    pub columns: (String, Vec<String>),
    /// `None` where CloudWatch would refuse the combination.
    pub alarms: Vec<Option<u64>>,
}

const TOP: f64 = 60.0;
const CELL_HEIGHT: f64 = 24.0;

/// The grids, one below the other; the more often, the darker.
pub fn heat_svg(grids: &[Heat]) -> String {
    let panel = |grid: &Heat| TOP + CELL_HEIGHT * float(grid.rows.1.len()) + 50.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the height of a picture"
    )]
    let height = grids.iter().map(panel).sum::<f64>() as u32;
    let mut text = svg::head(height);
    let mut top = 0.0;
    for grid in grids {
        let _ = writeln!(text, "<g transform=\"translate(0 {top})\">");
        draw(grid, &mut text);
        text.push_str("</g>\n");
        top += panel(grid);
    }
    text.push_str("</svg>\n");
    text
}

fn draw(grid: &Heat, text: &mut String) {
    let columns = grid.columns.1.len().max(1);
    let wide = (svg::RIGHT - svg::LEFT) / float(columns);
    svg::title(&grid.title, text);
    let most = grid.alarms.iter().flatten().max().copied().unwrap_or(0);
    for (place, setting) in grid.rows.1.iter().enumerate() {
        let y = TOP + CELL_HEIGHT * float(place);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" fill=\"#546e7a\">{}</text>",
            svg::LEFT - 6.0,
            y + 16.0,
            escaped(setting)
        );
        let cells = grid.alarms.iter().skip(place * columns).take(columns);
        for (column, alarms) in cells.enumerate() {
            cell(
                *alarms,
                most,
                svg::LEFT + wide * float(column),
                y,
                wide,
                text,
            );
        }
    }
    let bottom = TOP + CELL_HEIGHT * float(grid.rows.1.len());
    for (place, setting) in grid.columns.1.iter().enumerate() {
        let x = svg::LEFT + wide * (float(place) + 0.5);
        let _ = writeln!(
            text,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#546e7a\">{}</text>",
            bottom + 16.0,
            escaped(setting)
        );
    }
    let middle = f64::midpoint(svg::LEFT, svg::RIGHT);
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" fill=\"black\">{}, down; times in ALARM</text>\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"black\">{}</text>",
        svg::LEFT,
        TOP - 10.0,
        escaped(&grid.rows.0),
        bottom + 34.0,
        escaped(&grid.columns.0)
    );
}

fn cell(alarms: Option<u64>, most: u64, x: f64, y: f64, wide: f64, text: &mut String) {
    let (color, shown) = match alarms {
        None => ("#eceff1".to_owned(), "-".to_owned()),
        Some(count) => (shade(count, most), count.to_string()),
    };
    let _ = writeln!(
        text,
        "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{wide:.1}\" height=\"{CELL_HEIGHT}\" fill=\"{color}\" stroke=\"white\"/>\
         <text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"black\">{shown}</text>",
        x + wide / 2.0,
        y + 16.0
    );
}

/// From white to red; ten times as many are as much darker as ten are than one.
#[expect(clippy::cast_precision_loss, reason = "a colour")]
fn shade(count: u64, most: u64) -> String {
    let share = match most {
        0 => 0.0,
        most => (count as f64).ln_1p() / (most as f64).ln_1p(),
    };
    let pale = |to: f64| (255.0 - (255.0 - to) * share).round();
    format!("rgb({} {} {})", pale(229.0), pale(115.0), pale(115.0))
}
