//! What was measured of a session, by step and side.

use crate::session::{Measured, Outcome, Place, Session, Unit};
use crate::sides::Side;
use crate::statistics::{median, quartiles, ratios, stops};

/// All measurements of one session.
#[derive(Debug)]
pub struct Taken<'a> {
    /// What was measured.
    pub session: &'a Session,
    /// By turn.
    turns: Vec<Vec<(Side, Measured)>>,
    /// The run in which remainroot counted.
    pub counted: Measured,
}

/// One step on one side.
#[derive(Debug)]
pub struct Figure {
    /// By turn; none where it failed or was not tried.
    pub values: Vec<Option<f64>>,
    /// It ended well at least once, but had not done what it should.
    pub wrong: bool,
    /// It failed at least once.
    pub failed: bool,
    /// The median of the values.
    pub median: f64,
    /// The median of the turns' ratios against the base, and the quartiles.
    pub ratio: f64,
    /// Between these lies the middle half of the ratios.
    pub quartiles: (f64, f64),
}

impl<'a> Taken<'a> {
    /// Nothing yet.
    pub fn new(session: &'a Session) -> Taken<'a> {
        Taken { session, turns: Vec::new(), counted: Measured::default() }
    }

    /// Adds what a side did in a turn.
    pub fn add(&mut self, turn: usize, side: Side, measured: Measured) {
        if self.turns.len() <= turn {
            self.turns.push(Vec::new());
        }
        self.turns[turn].push((side, measured));
    }

    /// Whether a side has failed at every step of a turn.
    pub fn hopeless(&self, side: Side) -> bool {
        let failed =
            |measured: &Measured| measured.outcomes.iter().all(|outcome| *outcome == Outcome::Failed);
        self.of(side).any(failed)
    }

    fn of(&self, side: Side) -> impl Iterator<Item = &Measured> {
        let found = move |turn: &'_ Vec<(Side, Measured)>| turn.iter().position(|(other, _)| *other == side);
        self.turns.iter().filter_map(move |turn| found(turn).map(|index| &turn[index].1))
    }

    /// What the others are compared with: real root, or where there is none the bare namespace.
    pub fn base(&self) -> Side {
        if self.of(Side::Root).next().is_some() { Side::Root } else { Side::Bare }
    }

    fn values(&self, side: Side, step: usize) -> Vec<Option<f64>> {
        let value = |turn: &Vec<(Side, Measured)>| {
            let (_, measured) = turn.iter().find(|(other, _)| *other == side)?;
            match measured.outcomes[step] {
                Outcome::Done(figure, _) | Outcome::Wrong(figure) => Some(figure),
                Outcome::Failed => None,
            }
        };
        self.turns.iter().map(value).collect()
    }

    /// A step on a side; `None` where the side was not there.
    pub fn figure(&self, side: Side, step: usize) -> Option<Figure> {
        self.of(side).next()?;
        let any =
            |wanted: fn(&Outcome) -> bool| self.of(side).any(|measured| wanted(&measured.outcomes[step]));
        let values = self.values(side, step);
        let present: Vec<f64> = values.iter().copied().flatten().collect();
        let ratios = ratios(&self.values(self.base(), step), &values);
        Some(Figure {
            wrong: any(|outcome| matches!(outcome, Outcome::Wrong(_))),
            failed: any(|outcome| matches!(outcome, Outcome::Failed)),
            median: median(&present),
            ratio: median(&ratios),
            quartiles: quartiles(&ratios),
            values,
        })
    }

    /// The median of the turns' ratios of a step between two sides.
    pub fn between(&self, base: Side, other: Side, step: usize) -> f64 {
        median(&ratios(&self.values(base, step), &self.values(other, step)))
    }

    /// What a side said when something failed.
    pub fn complaint(&self, side: Side) -> &str {
        let failed = |measured: &&Measured| measured.outcomes.contains(&Outcome::Failed);
        self.of(side).find(failed).map_or("", |measured| measured.complaint.as_str())
    }

    /// All stops of the counted session.
    pub fn stops(&self) -> Option<u64> {
        (!self.counted.counts.is_empty()).then(|| stops(&self.counted.counts))
    }

    /// Stops of one round, where the session is nothing else but rounds of one step. Where each round starts the side anew,
    /// the summary is the last round's.
    pub fn stops_a_round(&self) -> Option<f64> {
        let anew = self.session.place == Place::Plain;
        let alone = self.session.prepare == ":" && self.session.steps.len() == 1;
        match self.counted.outcomes.first() {
            Some(Outcome::Done(_, rounds)) if alone && self.session.steps[0].unit == Unit::Time => {
                Some(self.stops()? as f64 / if anew { 1.0 } else { *rounds })
            }
            _ => None,
        }
    }
}
