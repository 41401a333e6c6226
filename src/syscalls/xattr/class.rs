//! Which rules an attribute is under, by its name (fs/xattr.c).

use crate::ownership::CAPABILITY;

/// A kind of attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `user.*`.
    User,
    /// `trusted.*`.
    Trusted,
    /// `security.*`, but for `security.capability`.
    Security,
    /// `security.capability`.
    Capability,
    /// `system.posix_acl_access`.
    Access,
    /// `system.posix_acl_default`.
    Default,
    /// What else there is.
    Other,
}

/// Name of the label that SELinux has its own rules for.
pub const SELINUX: &[u8] = b"security.selinux";
/// Name of the list of who may access a file.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// Name of the list that new files in a directory get.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

impl Class {
    /// The class of a name.
    pub fn of(name: &[u8]) -> Class {
        match name {
            CAPABILITY => Class::Capability,
            ACCESS => Class::Access,
            DEFAULT => Class::Default,
            _ if name.starts_with(b"user.") => Class::User,
            _ if name.starts_with(b"trusted.") => Class::Trusted,
            _ if name.starts_with(b"security.") => Class::Security,
            _ => Class::Other,
        }
    }
}
