//! What is longer than a page: for people who use remainroot, and for those who change it.

#[doc = include_str!("docs/owners.md")]
pub mod owners {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/costs.md")]
pub mod costs {}

#[doc = include_str!("docs/design.md")]
pub mod design {}

#[doc = include_str!("docs/measured.md")]
pub mod measured {}
