//! Ports for servers to listen on.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::{Mutex, PoisonError};

/// A port on loopback that nobody listens on. No other test is given it until this process ends,
/// and no connection takes it: it lies below the ports that the kernel gives away.
pub fn free_port() -> u16 {
    static CLAIMS: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    const LOWEST: u32 = 10_000;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("Linux");
    let given_away: u32 = range
        .split_whitespace()
        .next()
        .and_then(|lowest| lowest.parse().ok())
        .expect("a range of ports");
    let ports = given_away.saturating_sub(LOWEST).max(1);
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    // Processes beside each other begin at different places.
    let first = std::process::id().wrapping_mul(101);
    for step in 0..ports {
        let port = LOWEST + first.wrapping_add(step) % ports;
        let port = u16::try_from(port).expect("a port");
        // The name says to other processes that this one has the port, for as long as it lives.
        let name = SocketAddr::from_abstract_name(format!("roost-test-port-{port}"));
        let Ok(claim) = UnixListener::bind_addr(&name.expect("a name")) else {
            continue;
        };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            claims.push(claim);
            return port;
        }
    }
    panic!("no port below {given_away} is free");
}
