//! Back to text.
