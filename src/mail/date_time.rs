//! When a message came.

/// A point in time and the zone it was said in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Since 1970-01-01 UTC.
    pub seconds: i64,
    /// East of UTC.
    pub zone_minutes: i32,
}
