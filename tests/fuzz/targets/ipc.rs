//! What a process that has been taken over sends to the monitor.

use std::fs::File;
use std::os::fd::OwnedFd;

use roost::ipc::codec::{decode, encode};

/// One packet. A message is written in one way only, so what is taken is written in the same
/// octets.
pub fn ipc(input: &[u8]) {
    let mut messages = 0;
    for sent in [None, Some(null())] {
        let has_descriptor = sent.is_some();
        if let Ok(message) = decode(input, sent) {
            let (octets, descriptor) = encode(message).expect("it was small enough");
            assert_eq!(&octets[..], input);
            assert_eq!(descriptor.is_some(), has_descriptor);
            messages += 1;
        }
    }
    // With a descriptor it is another message than without one.
    assert!(messages < 2);
}

fn null() -> OwnedFd {
    File::open("/dev/null").expect("the null device").into()
}
