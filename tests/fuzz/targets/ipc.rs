//! What a process that has been taken over sends to the monitor.

use std::fs::File;
use std::os::fd::OwnedFd;

use roost::ipc::codec::{KINDS, decode, encode};

/// One packet. A message is written in one way only, so what is taken is written in the same
/// octets.
pub fn ipc(input: &[u8]) {
    let kind = input.first().and_then(|&code| KINDS.get(usize::from(code)));
    let has_descriptor = kind.is_some_and(|kind| kind.has_descriptor());
    assert!(decode(input, (!has_descriptor).then(null)).is_err());
    if let Ok(message) = decode(input, has_descriptor.then(null)) {
        assert_eq!(Some(&message.kind()), kind);
        let (octets, descriptor) = encode(message).expect("it was small enough");
        assert_eq!(&octets[..], input);
        assert_eq!(descriptor.is_some(), has_descriptor);
    }
}

fn null() -> OwnedFd {
    File::open("/dev/null").expect("the null device").into()
}
