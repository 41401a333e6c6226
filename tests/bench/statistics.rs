//! Medians of pairs: each pair was measured side by side, so what disturbs the machine disturbs both.

/// Measurements of one piece of work, in nanoseconds for a round.
#[derive(Debug, Default)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Adds one turn.
    pub fn add(&mut self, bare: f64, ours: f64) {
        self.0.push((bare, ours));
    }

    /// The median in the bare namespace.
    pub fn bare(&self) -> f64 {
        at(self.0.iter().map(|pair| pair.0), 0.5)
    }

    /// The median under remainroot.
    pub fn ours(&self) -> f64 {
        at(self.0.iter().map(|pair| pair.1), 0.5)
    }

    /// The median of the turns' ratios.
    pub fn ratio(&self) -> f64 {
        at(self.ratios(), 0.5)
    }

    /// Between these lies the middle half of the turns' ratios.
    pub fn quartiles(&self) -> (f64, f64) {
        (at(self.ratios(), 0.25), at(self.ratios(), 0.75))
    }

    fn ratios(&self) -> impl Iterator<Item = f64> {
        self.0.iter().map(|(bare, ours)| ours / bare)
    }
}

/// The value below which `part` of the others lie.
fn at(values: impl Iterator<Item = f64>, part: f64) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
}

/// Nanoseconds as a person reads them.
pub fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 10_000.0 => format!("{n:.0} ns"),
        n if n < 10_000_000.0 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.1} ms", n / 1e6),
    }
}
