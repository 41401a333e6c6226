//! What can be said of an inode of which a stat has reported the number.

use super::Fact;

/// What is known of an inode by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the kernel's attributes are right.
    Nothing,
    /// This fact, and it is this inode's.
    Known(Fact),
    /// A fact of this inode or of an earlier one: look at the birth time.
    Unsure(Fact),
    /// Earlier runs may have left one on the inode: look there. Memory has this one, of this inode or of
    /// an earlier one.
    Unread(Option<Fact>),
}
