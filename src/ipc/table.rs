//! Who may send which message to whom, in which state, how often.
