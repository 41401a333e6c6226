//! Medians and quartiles, of measurements and of the ratios of pairs: each pair was measured in the same turn, so what
//! disturbs the machine disturbs both.

/// The value below which `part` of the others lie, between two of them where none stands there; not a number where there
/// are none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = sorted.len().saturating_sub(1) as f64 * part;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or(f64::NAN);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

/// The median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Between these lies the middle half.
pub fn quartiles(values: &[f64]) -> (f64, f64) {
    (quantile(values, 0.25), quantile(values, 0.75))
}

/// How often the base's value the other's is, turn by turn; a turn in which either has none is left out.
pub fn ratios(base: &[Option<f64>], other: &[Option<f64>]) -> Vec<f64> {
    let pairs = base.iter().zip(other);
    pairs.filter_map(|(base, other)| Some((*other)? / (*base)?)).collect()
}

/// Nanoseconds as a person reads them.
pub fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n.is_nan() => "–".into(),
        n if n < 10e3 => format!("{n:.0} ns"),
        n if n < 10e6 => format!("{:.1} µs", n / 1e3),
        n if n < 10e9 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.1} s", n / 1e9),
    }
}

/// How often, as a person reads it.
pub fn times(ratio: f64) -> String {
    match ratio {
        r if !r.is_finite() => "–".into(),
        r if r < 9.995 => format!("{r:.2}"),
        r if r < 99.95 => format!("{r:.1}"),
        r => format!("{r:.0}"),
    }
}

/// What a summary of remainroot counts, in its own words ("seccomp stops", "hand-overs").
pub fn counts(summary: &str) -> Vec<(String, u64)> {
    let count = |line: &str| {
        let (number, what) = line.trim().split_once(' ')?;
        Some((what.trim().to_owned(), number.parse().ok()?))
    };
    summary.lines().filter_map(count).collect()
}

/// The stops among them, of every kind.
pub fn stops(counts: &[(String, u64)]) -> u64 {
    counts.iter().filter(|(what, _)| what.ends_with("stops")).map(|(_, count)| count).sum()
}
