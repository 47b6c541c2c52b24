//! Capabilities (capabilities(7)): only how to have none.

use nix::errno::Errno;
use nix::libc;

/// Takes every capability out of the bounding set, so that no program we might ever execute has
/// any.
pub fn bound_to_none() -> nix::Result<()> {
    for capability in 0..=HIGHEST {
        match is_bounding(capability) {
            Ok(false) => {}
            Ok(true) => control(libc::PR_CAPBSET_DROP, capability, 0)?,
            // The kernel does not know of it, nor of any above.
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Gives up what this thread may do, or could pass on.
pub fn drop_all() -> nix::Result<()> {
    control(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
        0,
    )?;
    let none = [Sets::default(); 2];
    // SAFETY: the kernel reads a header and, for version 3, two sets, as declared here
    // (capset(2)); both outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &Header::own(), none.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Whether this thread has no capability and cannot pass on any.
pub fn are_none() -> nix::Result<bool> {
    let mut sets = [Sets::default(); 2];
    let mut header = Header::own();
    // SAFETY: the kernel reads and may write the header, and for version 3 writes two sets, as
    // declared here (capget(2)); both are ours for the call.
    let result = unsafe { libc::syscall(libc::SYS_capget, &mut header, sets.as_mut_ptr()) };
    Errno::result(result)?;
    // An ambient capability is permitted and inheritable too.
    Ok(sets == [Sets::default(); 2])
}

/// Whether no program that we might execute could have any.
pub fn are_bound_to_none() -> nix::Result<bool> {
    for capability in 0..=HIGHEST {
        match is_bounding(capability) {
            Ok(false) => {}
            Ok(true) => return Ok(false),
            Err(Errno::EINVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(true)
}

fn is_bounding(capability: libc::c_ulong) -> nix::Result<bool> {
    // SAFETY: the call takes numbers only (PR_CAPBSET_READ(2const)).
    let result = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) };
    Errno::result(result).map(|result| result != 0)
}

fn control(operation: libc::c_int, second: libc::c_ulong, third: libc::c_ulong) -> nix::Result<()> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the operations used here take numbers only (PR_CAPBSET_DROP(2const),
    // PR_CAP_AMBIENT(2const)).
    let result = unsafe { libc::prctl(operation, second, third, zero, zero) };
    Errno::result(result).map(drop)
}

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    process: libc::c_int,
}

/// `struct __user_cap_data_struct`
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Header {
    fn own() -> Header {
        Header {
            version: VERSION_3,
            process: 0,
        }
    }
}

/// `_LINUX_CAPABILITY_VERSION_3`
const VERSION_3: u32 = 0x2008_0522;

/// More than any kernel has; two sets have no room for more.
const HIGHEST: libc::c_ulong = 63;
