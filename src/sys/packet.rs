//! Packets with descriptors over a unix socket pair (`SOCK_SEQPACKET`; unix(7), `SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, recv, recvmsg, sendmsg,
    setsockopt, shutdown, socketpair,
};
use zeroize::Zeroizing;

/// What came in one packet.
pub struct Packet {
    /// Wiped when dropped.
    pub octets: Zeroizing<Vec<u8>>,
    pub descriptors: Vec<OwnedFd>,
    /// There was more than was taken, of octets or of descriptors.
    pub is_cut: bool,
    /// There was a descriptor, and this process may have no more.
    pub lost_descriptor: bool,
}

/// Two ends, both close-on-exec.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?)
}

/// A connection whose other end is gone.
pub fn dead_end() -> io::Result<OwnedFd> {
    let flag = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, flag)?.0)
}

/// Ends the conversation, for the other end as well.
pub fn shut(fd: BorrowedFd<'_>) {
    // It may have ended already.
    let _ = shutdown(fd.as_raw_fd(), Shutdown::Both);
}

/// Lets packets of `size` octets be sent, as far as the system permits.
pub fn make_room(fd: BorrowedFd<'_>, size: usize) {
    // Without root's rights net.core.wmem_max is the limit; a packet that is too large in the end
    // is an error of its own.
    if setsockopt(&fd, SndBufForce, &size).is_err() {
        let _ = setsockopt(&fd, SndBuf, &size);
    }
}

/// Sends one packet whole, or says `WouldBlock`.
pub fn send(
    fd: BorrowedFd<'_>,
    octets: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let raw = descriptor.map(|descriptor| [descriptor.as_raw_fd()]);
    let rights = raw.as_ref().map(|raw| [ControlMessage::ScmRights(raw)]);
    let control: &[ControlMessage<'_>] = match &rights {
        Some(rights) => rights,
        None => &[],
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(
        fd.as_raw_fd(),
        &[IoSlice::new(octets)],
        control,
        flags,
        None,
    )?;
    Ok(())
}

/// Takes one packet of at most `limit` octets; `None` at the end.  Says `WouldBlock` if there is
/// none.
pub fn receive(fd: BorrowedFd<'_>, limit: usize) -> io::Result<Option<Packet>> {
    // How long it is: an ordinary one is far smaller than the largest.
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_TRUNC | MsgFlags::MSG_DONTWAIT;
    let length = recv(fd.as_raw_fd(), &mut [], flags)?;
    let mut octets = Zeroizing::new(vec![0; length.min(limit)]);
    let mut control = cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut slices = [IoSliceMut::new(&mut octets)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(fd.as_raw_fd(), &mut slices, Some(&mut control), flags)?;
    let (flags, taken) = (received.flags, received.bytes);
    let descriptors = descriptors(&control);
    // There was room in the buffer: it is the process that has none.
    let lost_descriptor = flags.contains(MsgFlags::MSG_CTRUNC) && descriptors.is_empty();
    let is_cut = flags.contains(MsgFlags::MSG_TRUNC)
        || (flags.contains(MsgFlags::MSG_CTRUNC) && !lost_descriptor);
    if taken == 0 && descriptors.is_empty() && !is_cut && !lost_descriptor {
        return Ok(None);
    }
    octets.truncate(taken);
    Ok(Some(Packet {
        octets,
        descriptors,
        is_cut,
        lost_descriptor,
    }))
}

/// The descriptors in a buffer that held zeros before the kernel wrote `struct cmsghdr`s to it:
/// length with the header (8), level (4), type (4), data.  nix reads them too, but not if there
/// were more than fit, and then nobody would close those that are there.
fn descriptors(mut control: &[u8]) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    while let Some((length, rest)) = control.split_first_chunk() {
        let length = usize::from_ne_bytes(*length);
        let Some((level, rest)) = rest.split_first_chunk() else {
            break;
        };
        let Some((kind, rest)) = rest.split_first_chunk() else {
            break;
        };
        let Some(data) = length
            .checked_sub(HEADER)
            .and_then(|length| rest.get(..length))
        else {
            break;
        };
        if i32::from_ne_bytes(*level) == libc::SOL_SOCKET
            && i32::from_ne_bytes(*kind) == libc::SCM_RIGHTS
        {
            let (raw, _) = data.as_chunks();
            descriptors.extend(raw.iter().map(|raw| own(RawFd::from_ne_bytes(*raw))));
        }
        control = rest
            .get(length.next_multiple_of(size_of::<usize>()) - HEADER..)
            .unwrap_or_default();
    }
    descriptors
}

/// Waits until there is something to receive.
pub fn wait(fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            result => {
                result?;
                return Ok(());
            }
        }
    }
}

/// The kernel takes no packet now, for want of room, or because too many descriptors are on their
/// way (unix(7), `ETOOMANYREFS`): it will.
pub fn is_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(Errno::EAGAIN | Errno::ENOBUFS | Errno::ENOMEM | Errno::ETOOMANYREFS)
    )
}

/// The packet is larger than the kernel ever takes.
pub fn is_too_large(error: &io::Error) -> bool {
    error.raw_os_error().map(Errno::from_raw) == Some(Errno::EMSGSIZE)
}

fn own(raw: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor for us (SCM_RIGHTS), it is open, and nobody
    // else knows of it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

const HEADER: usize = size_of::<libc::cmsghdr>();

/// How many descriptors of a packet are taken, so that they are closed.  The kernel closes more.
const MAX_DESCRIPTORS: usize = 4;
