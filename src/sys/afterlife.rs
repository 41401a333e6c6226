//! A file that stays open when its process is killed.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};

use super::{Result, descriptor};

/// Keeps a file open as long as it lives and, where it is not dropped because the process is killed, some time longer.
///
/// The file waits in the queue of a socket that waits in its own queue (unix(7), `SCM_RIGHTS`): nothing but the kernel's
/// collector of such cycles closes it, which runs when a socket is closed, whoever's, and not before the next tick.
#[derive(Debug)]
pub struct Afterlife {
    socket: OwnedFd,
}

impl Afterlife {
    /// # Errors
    /// What socketpair(2) and sendmsg(2) gave: `ETOOMANYREFS` where the user has more in flight than `RLIMIT_NOFILE`.
    pub fn of(file: BorrowedFd<'_>) -> Result<Afterlife> {
        let (socket, sender) =
            socketpair(AddressFamily::Unix, SockType::Datagram, None, SockFlag::SOCK_CLOEXEC)?;
        descriptor::send(&sender, &[file, socket.as_fd()])?;
        Ok(Afterlife { socket })
    }
}

impl Drop for Afterlife {
    /// Takes the byte alone: the kernel closes what came with it.
    fn drop(&mut self) {
        let _ = recv(self.socket.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::os::fd::AsFd;

    use super::Afterlife;

    #[test]
    fn a_file_lives_as_long_as_its_afterlife_and_no_longer() {
        let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        ours.set_nonblocking(true).expect("a mode");
        let afterlife = Afterlife::of(theirs.as_fd()).expect("a cycle");
        drop(theirs);
        let open = ours.read(&mut [0]).map_err(|error| error.kind());
        drop(afterlife);
        let closed = ours.read(&mut [0]).map_err(|error| error.kind());
        assert_eq!((open, closed), (Err(ErrorKind::WouldBlock), Ok(0)));
    }
}
