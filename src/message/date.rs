//! The Date field (RFC 5322 3.3, with the obsolete forms).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// The day as written, as days since 1970-01-01: SENTON and its kin disregard time and zone.
    pub day: i64,
}

/// Reads a field's value; None if it is no date.
pub fn parse_date(value: &[u8]) -> Option<Date> {
    let _ = value;
    todo!()
}
