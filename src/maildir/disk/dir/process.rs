//! Our process and others, as locks and file names tell them.

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::world;

/// The name of this host, never empty.
pub fn host_name() -> Vec<u8> {
    let name = nix::unistd::gethostname().unwrap_or_default();
    match name.as_encoded_bytes() {
        b"" => b"localhost".to_vec(),
        name => name.to_vec(),
    }
}

pub fn own_process() -> u32 {
    world::current().map_or_else(std::process::id, |world| world.process())
}

/// Whether there is a process of this number on this host.
pub fn process_exists(process: u32) -> bool {
    if let Some(world) = world::current() {
        return world.exists(process);
    }
    i32::try_from(process)
        .is_ok_and(|process| kill(Pid::from_raw(process), None) != Err(Errno::ESRCH))
}
