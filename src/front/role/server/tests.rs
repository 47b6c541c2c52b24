//! The front as a whole, with a monitor of the test's own.
