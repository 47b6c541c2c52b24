//! Bytes to lines and literals, with every limit.
