//! The small words of the grammar, read and written: atom, quoted, literal, astring, number, date.

/// A day as counted from 1970-01-01, for SEARCH, which disregards time and zone (RFC 3501 6.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    pub days: i32,
}

/// `date-time`: seconds since 1970-01-01 UTC and the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    pub seconds: i64,
    pub zone_minutes: i32,
}

/// Writes a number in decimal.
pub fn write_number(out: &mut Vec<u8>, n: u64) {
    todo!("{n} {out:?}")
}

/// string: quoted if it can be, else a literal.  8-bit octets need `utf8` (and to be UTF-8) to
/// be quoted.
pub fn write_string(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    todo!("{text:?} {utf8} {out:?}")
}

/// nstring: `NIL` or a string.
pub fn write_nstring(out: &mut Vec<u8>, text: Option<&[u8]>, utf8: bool) {
    todo!("{text:?} {utf8} {out:?}")
}

/// astring: an atom if it can be, else a string.
pub fn write_astring(out: &mut Vec<u8>, text: &[u8], utf8: bool) {
    todo!("{text:?} {utf8} {out:?}")
}

/// `"17-Jul-1996 02:44:25 -0700"`, with its quotes (INTERNALDATE, SAVEDATE).
pub fn write_date_time(out: &mut Vec<u8>, time: DateTime) {
    todo!("{time:?} {out:?}")
}
