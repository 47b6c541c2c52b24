//! The Date field (RFC 5322 3.3, with the obsolete forms of 4.3 and those that broken software
//! writes).

use crate::mail::calendar::{self, DAY};

/// A point in time as a message states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateField {
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
    /// The day as written, as days since 1970-01-01: SENTON and its kin disregard time and zone.
    pub day: i64,
}

/// Reads a field's value; None if it names no day. A time or zone that cannot be read counts as
/// midnight, UTC.
///
/// `date-time = [ day-of-week "," ] date time [CFWS]`, and also `Mon Jan  2 15:04:05 2006` as
/// ctime(3) writes.
pub fn parse_date(value: &[u8]) -> Option<DateField> {
    let text = without_comments(value);
    let mut words = text
        .split(|b| b.is_ascii_whitespace() || *b == b',')
        .filter(|word| !word.is_empty())
        .peekable();
    words.next_if(|word| {
        word.iter().all(|b| b.is_ascii_alphabetic() || *b == b'.') && month(word).is_none()
    });
    let first = words.next()?;
    let (day, month_number, year, time) = if let Some(month) = month(first) {
        let day = number(words.next()?)?;
        let time = words.next()?;
        let zone_or_year = words.next()?;
        match year(zone_or_year) {
            Some(year) => (day, month, year, (Some(time), words.next())),
            None => (
                day,
                month,
                year(words.next()?)?,
                (Some(time), Some(zone_or_year)),
            ),
        }
    } else {
        let mut parts = first.splitn(3, |b| *b == b'-');
        let day = number(parts.next()?)?;
        let mut next = || parts.next().or_else(|| words.next());
        let (month, year) = (month(next()?)?, year(next()?)?);
        (day, month, year, (words.next(), words.next()))
    };
    if day < 1 || day > calendar::days_in(month_number, year) {
        return None;
    }
    let days = calendar::days(year, month_number, day);
    let seconds = time.0.and_then(time_of_day).unwrap_or(0) - time.1.map_or(0, zone);
    Some(DateField {
        seconds: days * DAY + seconds,
        day: days,
    })
}

/// Comments may nest and hold escaped parentheses (RFC 5322 3.2.2).
fn without_comments(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let (mut depth, mut escaped) = (0u32, false);
    for &byte in value.iter().take(DATE_MAX) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if depth > 0 => escaped = true,
            b'(' => {
                depth += 1;
                text.push(b' ');
            }
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(byte),
            _ => {}
        }
    }
    text
}

/// No date is longer than that.
const DATE_MAX: usize = 1000;

fn number(word: &[u8]) -> Option<i64> {
    if word.is_empty() || word.len() > 4 {
        return None;
    }
    word.iter().try_fold(0, |value, digit| {
        Some(value * 10 + i64::from(char::from(*digit).to_digit(10)?))
    })
}

/// 1 to 12, from a name or the first three letters of it.
fn month(word: &[u8]) -> Option<i64> {
    calendar::month_named(word.get(..3)?)
}

/// `obs-year`: two digits are of 1950 to 2049, three are counted from 1900 (RFC 5322 4.3).
fn year(word: &[u8]) -> Option<i64> {
    let value = number(word)?;
    match word.len() {
        2 if value < 50 => Some(value + 2000),
        2 | 3 => Some(value + 1900),
        4 => Some(value),
        _ => None,
    }
}

/// `time-of-day = hour ":" minute [ ":" second ]`
fn time_of_day(word: &[u8]) -> Option<i64> {
    let mut parts = word.split(|b| *b == b':');
    let hour = number(parts.next()?).filter(|hour| *hour < 24)?;
    let minute = number(parts.next()?).filter(|minute| *minute < 60)?;
    let second = match parts.next() {
        Some(second) => number(second).filter(|second| *second <= 60)?,
        None => 0,
    };
    Some(hour * 3600 + minute * 60 + second)
}

/// `zone`, seconds east of UTC. Letters that are not listed are UTC (RFC 5322 4.3).
fn zone(word: &[u8]) -> i64 {
    let (sign, digits) = match word.split_first() {
        Some((b'+', digits)) => (1, digits),
        Some((b'-', digits)) => (-1, digits),
        _ => {
            let hours = match word.to_ascii_uppercase().as_slice() {
                b"EDT" => -4,
                b"EST" | b"CDT" => -5,
                b"CST" | b"MDT" => -6,
                b"MST" | b"PDT" => -7,
                b"PST" => -8,
                _ => 0,
            };
            return hours * 3600;
        }
    };
    let value = number(digits).filter(|_| digits.len() == 4).unwrap_or(0);
    sign * (value / 100 * 3600 + value % 100 * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        parse_date(text.as_bytes()).map(|date| date.seconds)
    }

    #[test]
    fn dates_of_rfc_5322_are_read() {
        assert_eq!(seconds("Thu, 1 Jan 1970 00:00:00 +0000"), Some(0));
        assert_eq!(
            seconds("Fri, 21 Nov 1997 09:55:06 -0600"),
            Some(880_127_706)
        );
        assert_eq!(
            seconds("21 Nov 97 09:55:06 CST (comment (x) \\) y)"),
            Some(880_127_706)
        );
        assert_eq!(
            seconds("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600"),
            Some(880_070_400)
        );
        assert_eq!(seconds("Tue, 29\n Feb 2000 00:00 GMT"), Some(951_782_400));
        assert_eq!(seconds("31 Dec 1969 23:59:59 Z"), Some(-1));
    }

    #[test]
    fn dates_of_broken_software_are_read() {
        let at = Some(1_136_214_245);
        assert_eq!(seconds("Mon Jan  2 15:04:05 2006"), at);
        assert_eq!(seconds("Mon Jan  2 08:04:05 MST 2006"), at);
        assert_eq!(seconds("Mon,02 January 2006 15:04:05 UT"), at);
        assert_eq!(seconds("2-Jan-2006 15:04:05 +0000"), at);
        assert_eq!(seconds("Mon, 2 Jan 106 15:04:05 +0000"), at);
        assert_eq!(seconds("2 Jan 2006 at noon"), Some(1_136_160_000));
    }

    #[test]
    fn the_day_is_the_one_written() {
        let date = parse_date(b"1 Jan 2024 00:30:00 +0100").unwrap();
        assert_eq!((date.day, date.seconds), (19_723, 19_723 * 86_400 - 1800));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "Mon",
            "30 Feb 2024",
            "0 Jan 2024",
            "Jan 1",
            "1 Foo 2024",
            "99999 Jan 1",
            "1 2 3",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
