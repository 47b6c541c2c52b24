//! roost.toml: every mistake with its line and column.
