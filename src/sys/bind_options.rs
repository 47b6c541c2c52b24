//! Addresses that this host has, does not have, or does not have yet.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, socket};

/// Whether this host has that address now.
pub fn has_address(address: IpAddr) -> bool {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    // A datagram socket does not occupy a port.
    let Ok(socket) = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None) else {
        return false;
    };
    let any_port = SockaddrStorage::from(SocketAddr::new(address, 0));
    bind(socket.as_raw_fd(), &any_port) != Err(Errno::EADDRNOTAVAIL)
}

/// Lets a socket be bound to an address that this host does not have, or does not have yet (ip(7),
/// `IP_FREEBIND`).
pub fn permit_absent_address(socket: &OwnedFd, is_ipv6: bool) -> io::Result<()> {
    let (level, option) = match is_ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND),
        false => (libc::IPPROTO_IP, libc::IP_FREEBIND),
    };
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the option is a number, which is read from there during the call and of that size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast(),
            size,
        )
    };
    Errno::result(result)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_here_and_the_addresses_of_documentation_are_not() {
        assert!(has_address(IpAddr::from([127, 0, 0, 1])));
        assert!(has_address(IpAddr::from([0, 0, 0, 0])));
        assert!(!has_address(IpAddr::from([192, 0, 2, 77])));
    }
}
