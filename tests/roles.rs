//! The two roles of the program, as whoever starts them sees them: streams, terminals, signals,
//! users, what is printed. What is said in IMAP is in `tests/session`.

// A test says what it skips.
#![allow(clippy::print_stderr)]

mod support;

mod roles {
    mod damaged;
    mod links;
    mod preauth;
    mod session;
    mod trial;
}

#[test]
fn a_port_to_listen_on_is_given_to_one_test_only() {
    let mut ports: Vec<u16> = (0..200).map(|_| support::free_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 200);
}
