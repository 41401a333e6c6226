//! User and group ids as the guest sees them.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Root's id.
            pub const ROOT: $name = $name(0);

            /// Reads a 32-bit syscall argument; −1 means "leave unchanged" and is `None`.
            pub const fn from_arg(arg: u64) -> Option<$name> {
                match arg as u32 {
                    u32::MAX => None,
                    id => Some($name(id)),
                }
            }

            /// Reads a 16-bit syscall argument (`low2highuid`, linux/highuid.h); 0xFFFF is −1.
            pub const fn from_arg16(arg: u64) -> Option<$name> {
                match arg as u16 {
                    u16::MAX => None,
                    id => Some($name(id as u32)),
                }
            }

            /// The 16-bit form a legacy call reports (`high2lowuid`): 65534 where it does not fit.
            pub const fn to_16(self) -> u16 {
                if self.0 > 0xFFFF { 65534 } else { self.0 as u16 }
            }
        }
    };
}

id!(
    /// A user id in the guest's view; never −1.
    Uid
);
id!(
    /// A group id in the guest's view; never −1.
    Gid
);
