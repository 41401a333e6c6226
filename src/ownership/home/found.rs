//! What a look at an inode's home tells.

use super::super::extras::Extras;
use super::super::fact::Fact;

/// What was found at an inode's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub(in crate::ownership) fact: Fact,
    pub(in crate::ownership) extras: Extras,
    pub(in crate::ownership) version: i64,
    pub(in crate::ownership) beside: bool,
}

impl Found {
    /// Whether it is known now that there is nothing.
    pub fn is_nothing(&self) -> bool {
        self.fact.is_empty() && !self.beside
    }

    /// With this fact, which stands elsewhere.
    pub fn beside(self, fact: Fact) -> Found {
        Found { fact, beside: true, ..self }
    }
}
