//! What two settings say together.
