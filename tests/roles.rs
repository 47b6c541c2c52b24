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
