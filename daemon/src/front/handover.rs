//! How the front gives its open sockets to the core, and hears that the core serves: one Unix socket between the two, which
//! is the core's standard input.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};

/// The bytes of a process id.
const ID_BYTES: usize = size_of::<u32>();

/// Sends the faces' sockets, the public one first, and with them who sends them.
pub(super) fn send(to: &UnixStream, sockets: [&TcpListener; 2]) -> io::Result<()> {
    let descriptors = sockets.map(AsFd::as_fd);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)), "the space is made for them");
    sendmsg(to, &[IoSlice::new(&std::process::id().to_ne_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The core's end.
#[derive(Debug)]
pub(crate) struct Front(UnixStream);

impl Front {
    /// Takes the sockets from whoever started this process. From then on this process ends when that one does, however
    /// that ends: two cores on one log would pay twice.
    pub(crate) fn take() -> anyhow::Result<(Self, [TcpListener; 2])> {
        let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned().context("no standard input")?);
        set_parent_process_death_signal(Some(Signal::KILL)).context("the end of the front cannot be heard")?;
        let (sender, sockets) =
            receive(&socket).context("the core is started by `millrace run`, never by hand: it got no sockets")?;
        // It may have ended before we could hear of that.
        let parent = getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
        ensure!(parent == Some(sender), "whoever started the core has ended already");
        Ok((Self(socket), sockets))
    }

    /// Says that this process takes the connections from here on.
    pub(crate) fn serving(mut self) -> io::Result<()> {
        self.0.write_all(&[1])
    }
}

fn receive(from: &UnixStream) -> anyhow::Result<(u32, [TcpListener; 2])> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut id = [0; ID_BYTES];
    let got = recvmsg(from, &mut [IoSliceMut::new(&mut id)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let received = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    let sockets: Vec<TcpListener> = received.flatten().map(|it: OwnedFd| TcpListener::from(it)).collect();
    ensure!(got.bytes == ID_BYTES, "the message is cut");
    let sockets = sockets.try_into().ok().context("there are not two")?;
    Ok((u32::from_ne_bytes(id), sockets))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_handed_over_is_the_same_socket_and_says_who_gave_it() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let sockets = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
        send(&ours, sockets.each_ref()).unwrap();
        let (sender, received) = receive(&theirs).unwrap();
        assert_eq!(sender, std::process::id());
        for (given, got) in sockets.iter().zip(&received) {
            assert_eq!(given.local_addr().unwrap(), got.local_addr().unwrap());
        }
        Front(theirs).serving().unwrap();
        let mut said = [0];
        (&ours).read_exact(&mut said).unwrap();
        assert_eq!(said, [1]);
    }

    #[test]
    fn a_giver_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(ours);
        assert!(receive(&theirs).is_err());
    }
}
