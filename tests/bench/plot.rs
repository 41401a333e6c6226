//! A bar for each side, drawn as SVG: how often the base's time it takes, or the figure itself where that is not a time.

use std::fmt::Write;

use crate::report::shown;
use crate::rows::Taken;
use crate::session::Unit;
use crate::sides::Side;
use crate::statistics::times;

/// The bars of one piece of work.
#[derive(Debug)]
pub struct Row {
    title: String,
    unit: Unit,
    base: Side,
    bars: Vec<Bar>,
}

/// One of them.
#[derive(Debug)]
struct Bar {
    side: Side,
    /// None where it failed.
    value: Option<f64>,
    /// It ended well and had not done it.
    wrong: bool,
}

impl Row {
    /// Those of a step.
    pub fn new(taken: &Taken, step: usize) -> Row {
        let described = &taken.session.steps[step];
        let bar = |&side: &Side| {
            let figure = taken.figure(side, step)?;
            let value = if described.unit == Unit::Time { figure.ratio } else { figure.median };
            Some(Bar { side, value: value.is_finite().then_some(value), wrong: figure.wrong })
        };
        let compared = |bar: &Bar| described.unit != Unit::Time || bar.side != taken.base();
        Row {
            title: described.title.replace('`', ""),
            unit: described.unit,
            base: taken.base(),
            bars: Side::ALL.iter().filter_map(bar).filter(compared).collect(),
        }
    }
}

const WIDTH: f64 = 900.0;
/// Where the bars begin and end; titles are left of it, and the longest bar's figure right.
const BARS: (f64, f64) = (330.0, 800.0);
const TOP: f64 = 84.0;
const BAR: f64 = 13.0;
const GAP: f64 = 12.0;

/// Told apart by people who see colours differently too.
fn colour(side: Side) -> &'static str {
    match side {
        Side::Root => "#000000",
        Side::Bare => "#999999",
        Side::Remainroot => "#d55e00",
        Side::Before => "#f0c0a0",
        Side::Fakeroot => "#0072b2",
        Side::Proot => "#009e73",
        Side::Pseudo => "#cc79a7",
        Side::Strace => "#e69f00",
    }
}

/// Where a value stands.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// Logarithmic where the greatest is more than ten times the least.
    fn new(rows: &[Row]) -> Scale {
        let values = rows.iter().flat_map(|row| row.bars.iter().filter_map(|bar| bar.value));
        let values: Vec<f64> = values.filter(|value| *value > 0.0).collect();
        let least = values.iter().copied().fold(1.0, f64::min);
        let most = values.iter().copied().fold(1.0, f64::max);
        if most > 10.0 * least {
            return Scale { low: least.min(0.8), high: most * 1.1, logarithmic: true };
        }
        Scale { low: 0.0, high: most * 1.1, logarithmic: false }
    }

    fn at(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            value / self.high
        };
        BARS.0 + (BARS.1 - BARS.0) * part
    }

    /// Values that get a line.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] =
            if self.logarithmic && self.high / self.low > 200.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (-3..7).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        if self.logarithmic {
            return powers.filter(|tick| (self.low..self.high).contains(tick)).collect();
        }
        let wide = powers.into_iter().find(|tick| self.high / tick <= 8.0).unwrap_or(self.high);
        (0..9).map(|count| f64::from(count) * wide).filter(|tick| *tick < self.high).collect()
    }
}

/// The picture.
pub fn chart(group: &str, rows: &[Row]) -> String {
    let scale = Scale::new(rows);
    let height: f64 = TOP + rows.iter().map(|row| row.bars.len() as f64 * BAR + GAP).sum::<f64>() + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let measure = match rows.first().map(|row| (row.unit, row.base)) {
        Some((Unit::Memory, _)) => "KiB a process; less is better".to_owned(),
        Some((Unit::Throughput, _)) => "throughput of two against one; more is better, 2 is ideal".to_owned(),
        Some((Unit::Time, base)) => {
            format!("time as a multiple of what {} takes; less is better", base.name())
        }
        None => String::new(),
    };
    let logarithmic = if scale.logarithmic { ", logarithmic scale" } else { "" };
    text(&mut svg, (16.0, 26.0), "font-size=\"17\" font-weight=\"bold\"", group);
    text(&mut svg, (16.0, 46.0), "fill=\"#444444\"", &format!("{measure}{logarithmic}"));
    legend(&mut svg, rows);
    for tick in scale.ticks() {
        let x = scale.at(tick);
        let stroke = if tick == 1.0 && scale.logarithmic { "#444444" } else { "#dddddd" };
        let bottom = height - 26.0;
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{stroke}\"/>"
        );
        let label = (tick * 1e3).round() / 1e3;
        text(&mut svg, (x, height - 10.0), "text-anchor=\"middle\" fill=\"#444444\"", &label.to_string());
    }
    let mut y = TOP + GAP / 2.0;
    for row in rows {
        bars(&mut svg, &scale, row, y);
        y += row.bars.len() as f64 * BAR + GAP;
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, (x, y): (f64, f64), how: &str, said: &str) {
    let said = said.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" {how}>{said}</text>"); // a string takes everything
}

fn legend(svg: &mut String, rows: &[Row]) {
    let mut x = 16.0;
    let present = |side: &Side| rows.iter().any(|row| row.bars.iter().any(|bar| bar.side == *side));
    for side in Side::ALL.into_iter().filter(present) {
        let fill = colour(side);
        let _ = writeln!(svg, "<rect x=\"{x}\" y=\"58\" width=\"12\" height=\"12\" fill=\"{fill}\"/>");
        text(svg, (x + 17.0, 68.0), "", side.name());
        x += 40.0 + 7.0 * side.name().len() as f64;
    }
}

/// The bars of one row, from its upper edge on.
fn bars(svg: &mut String, scale: &Scale, row: &Row, top: f64) {
    let middle = top + row.bars.len() as f64 * BAR / 2.0 + 4.0;
    text(svg, (BARS.0 - 10.0, middle), "text-anchor=\"end\"", &row.title);
    let zero = scale.at(if scale.logarithmic { 1.0 } else { 0.0 });
    for (index, bar) in row.bars.iter().enumerate() {
        let y = top + index as f64 * BAR;
        let Some(value) = bar.value else {
            let how = format!("font-size=\"10\" fill=\"{}\"", colour(bar.side));
            text(svg, (zero + 4.0, y + BAR - 3.0), &how, "fails");
            continue;
        };
        let end = scale.at(value);
        let (from, width) = (zero.min(end), (end - zero).abs().max(1.0));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>",
            BAR - 2.0,
            colour(bar.side)
        );
        let said = if row.unit == Unit::Time { times(value) } else { shown(value, row.unit) };
        let said = if bar.wrong { said + ", wrong" } else { said };
        text(svg, (from + width + 4.0, y + BAR - 3.0), "font-size=\"10\" fill=\"#444444\"", &said);
    }
}
