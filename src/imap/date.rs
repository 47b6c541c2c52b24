//! Dates and times (RFC 3501 9: date, date-time).

use super::syntax::{Parsed, Reader, fail, write_number};
use crate::mail::DateTime;
use crate::mail::calendar::{self, DAY};

/// A day as counted from 1970-01-01, for SEARCH, which disregards time and zone (RFC 3501 6.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    pub days: i64,
}

impl Reader<'_> {
    /// date = date-text / DQUOTE date-text DQUOTE; clients write the day as in date-time, too, with
    /// a space for its first digit, and count on from the last day of a month.
    pub fn date(&mut self) -> Parsed<Date> {
        if !self.eat(b'"') {
            return Ok(self.date_text()?.0);
        }
        self.eat(b' ');
        let (date, _) = self.date_text()?;
        self.expect(b'"', BAD_DATE)?;
        Ok(date)
    }

    /// date-text = date-day "-" date-month "-" date-year; also whether a month may have that day
    fn date_text(&mut self) -> Parsed<(Date, bool)> {
        let day = self.digits(1, 2)?;
        self.expect(b'-', BAD_DATE)?;
        let month = self.date_month()?;
        self.expect(b'-', BAD_DATE)?;
        let year = self.digits(4, 4)?;
        let date = Date {
            days: calendar::days(year.into(), month, day.into()),
        };
        Ok((date, (1..=31).contains(&day)))
    }

    /// date-month = "Jan" / "Feb" / ..; counted from 1
    fn date_month(&mut self) -> Parsed<i64> {
        let name = self.take_while(|byte| byte.is_ascii_alphabetic());
        calendar::month_named(name).map_or(fail(BAD_DATE), Ok)
    }

    /// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
    ///
    /// `None`: no clock shows such a day or time. That is no reason to lose the message it is said
    /// of.
    pub fn date_time(&mut self) -> Parsed<Option<DateTime>> {
        self.expect(b'"', BAD_DATE)?;
        self.eat(b' ');
        let (date, is_day) = self.date_text()?;
        self.expect(b' ', BAD_DATE)?;
        let time = self.time()?;
        self.expect(b' ', BAD_DATE)?;
        let zone_minutes = self.zone();
        self.expect(b'"', BAD_DATE)?;
        let Some(second) = time.filter(|_| is_day) else {
            return Ok(None);
        };
        let local = date.days * DAY + i64::from(second);
        Ok(Some(DateTime {
            seconds: local - i64::from(zone_minutes) * 60,
            zone_minutes,
        }))
    }

    /// time = 2DIGIT ":" 2DIGIT ":" 2DIGIT; the second of the day
    fn time(&mut self) -> Parsed<Option<i32>> {
        let hour = self.digits(2, 2)?;
        self.expect(b':', BAD_DATE)?;
        let minute = self.digits(2, 2)?;
        self.expect(b':', BAD_DATE)?;
        let second = self.digits(2, 2)?;
        let is_time = hour <= 23 && minute <= 59 && second <= 60;
        Ok(is_time.then_some(hour * 3600 + minute * 60 + second))
    }

    /// zone = ("+" / "-") 4DIGIT; in minutes. Anything else up to the quote, such as a name, is
    /// UTC.
    fn zone(&mut self) -> i32 {
        let zone = self.take_while(|byte| byte.is_ascii_graphic() && byte != b'"' || byte == b' ');
        let mut digits = Reader::new(zone);
        let sign = match (digits.eat(b'-'), digits.eat(b'+')) {
            (true, false) => -1,
            (false, true) => 1,
            _ => return 0,
        };
        match (digits.digits(2, 2), digits.digits(2, 2)) {
            (Ok(hours @ ..24), Ok(minutes @ ..60)) => sign * (hours * 60 + minutes),
            _ => 0,
        }
    }

    /// Between `least` and `most` digits.
    fn digits(&mut self, least: usize, most: usize) -> Parsed<i32> {
        let count = self
            .rest()
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        match self.take(count) {
            Some(digits) if count >= least => Ok(digits
                .iter()
                .fold(0, |n, digit| n * 10 + i32::from(digit - b'0'))),
            _ => fail(BAD_DATE),
        }
    }
}

/// `"17-Jul-1996 02:44:25 -0700"`, with its quotes (INTERNALDATE, SAVEDATE).  A time outside the
/// years 0000 to 9999 is brought to their edge.
pub fn write_date_time(out: &mut Vec<u8>, time: DateTime) {
    let zone = time.zone_minutes.clamp(-ZONE_MAX, ZONE_MAX);
    let local = time
        .seconds
        .saturating_add(i64::from(zone) * 60)
        .clamp(YEAR_0000, YEAR_9999_END);
    let (year, month, day) = calendar::date(local.div_euclid(DAY));
    let second = local.rem_euclid(DAY);
    out.push(b'"');
    write_two(out, day);
    out.push(b'-');
    out.extend_from_slice(calendar::month_name(month).as_bytes());
    out.push(b'-');
    write_two(out, year / 100);
    write_two(out, year % 100);
    out.push(b' ');
    write_two(out, second / 3600);
    out.push(b':');
    write_two(out, second / 60 % 60);
    out.push(b':');
    write_two(out, second % 60);
    out.extend_from_slice(if zone < 0 { b" -" } else { b" +" });
    write_two(out, i64::from(zone.abs() / 60));
    write_two(out, i64::from(zone.abs() % 60));
    out.push(b'"');
}

/// A number from 0 to 99 in two places.
fn write_two(out: &mut Vec<u8>, n: i64) {
    if n < 10 {
        out.push(b'0');
    }
    write_number(out, n.unsigned_abs());
}

const BAD_DATE: &str = "Invalid date";

const YEAR_0000: i64 = -62_167_219_200;
const YEAR_9999_END: i64 = 253_402_300_799;
const ZONE_MAX: i32 = 24 * 60 - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seconds: i64, zone_minutes: i32) -> String {
        let mut out = Vec::new();
        write_date_time(
            &mut out,
            DateTime {
                seconds,
                zone_minutes,
            },
        );
        String::from_utf8(out).unwrap()
    }

    fn read(text: &str) -> Option<DateTime> {
        read_leniently(text).flatten()
    }

    /// `Some(None)`: a date that is none.
    fn read_leniently(text: &str) -> Option<Option<DateTime>> {
        let mut reader = Reader::new(text.as_bytes());
        reader.date_time().ok().filter(|_| reader.end().is_ok())
    }

    #[test]
    fn date_times_of_the_rfc_are_read_and_written() {
        let text = "\"17-Jul-1996 02:44:25 -0700\"";
        let time = DateTime {
            seconds: 837_596_665,
            zone_minutes: -420,
        };
        assert_eq!(read(text), Some(time));
        assert_eq!(written(time.seconds, time.zone_minutes), text);
        assert_eq!(
            read("\"07-Feb-1994 21:52:25 +0130\""),
            read("\"7-feb-1994 21:52:25 +0130\"")
        );
        assert_eq!(written(760_652_545, 90), "\"07-Feb-1994 21:52:25 +0130\"");
        assert_eq!(written(0, 0), "\"01-Jan-1970 00:00:00 +0000\"");
    }

    #[test]
    fn times_without_a_four_digit_year_come_to_the_edge() {
        assert_eq!(
            written(i64::MIN, i32::MIN),
            "\"01-Jan-0000 00:00:00 -2359\""
        );
        assert_eq!(
            written(i64::MAX, i32::MAX),
            "\"31-Dec-9999 23:59:59 +2359\""
        );
    }

    #[test]
    fn zones_that_cannot_be_read_are_utc() {
        let time = DateTime {
            seconds: 837_596_665 - 7 * 3600,
            zone_minutes: 0,
        };
        for zone in [
            "+0000",
            "GMT",
            "EST",
            "+000",
            "",
            "xyz",
            "0700",
            " +0700",
            "(UTC)",
            "+2460",
            "+0000 (UTC)",
            "+0000 ",
        ] {
            assert_eq!(
                read(&format!("\"17-Jul-1996 02:44:25 {zone}\"")),
                Some(time),
                "{zone}"
            );
        }
        let zoned = read("\"17-Jul-1996 02:44:25 -0700 (PDT)\"").unwrap();
        assert_eq!(zoned.zone_minutes, -420);
    }

    #[test]
    fn a_day_or_time_that_there_is_not_is_no_date() {
        for text in [
            "\"0-Jul-1996 02:44:25 +0000\"",
            "\"32-Jul-1996 02:44:25 +0000\"",
            "\"17-Jul-1996 24:44:25 +0000\"",
            "\"17-Jul-1996 02:60:25 +0000\"",
            "\"17-Jul-1996 02:44:61 +0000\"",
        ] {
            assert_eq!(read_leniently(text), Some(None), "{text}");
        }
    }

    #[test]
    fn wrong_date_times_are_refused() {
        for text in [
            "",
            "\"",
            "17-Jul-1996 02:44:25 -0700",
            "\"17-Jul-1996 02:44:25\"",
            "\"17-Juli-1996 02:44:25 +0000\"",
            "\"17-Jul-96 02:44:25 +0000\"",
            "\"17-Jul-1996 2:44:25 +0000\"",
            "\"  7-Jul-1996 02:44:25 +0000\"",
            "\"17-Jul-1996 02:44:25 +0000",
            "\"17-Jul-19960 02:44:25 +0000\"",
        ] {
            assert_eq!(read_leniently(text), None, "{text}");
        }
    }

    #[test]
    fn a_search_date_may_be_quoted_and_of_one_digit() {
        for (text, days) in [
            ("1-Feb-1994", 8797),
            ("\"01-feb-1994\"", 8797),
            ("\" 1-Feb-1994\"", 8797),
            ("32-Jan-1994", 8797),
            ("00-Feb-1994", 8796),
            ("1-Jan-1970", 0),
            ("31-DEC-1969", -1),
        ] {
            assert_eq!(
                Reader::new(text.as_bytes()).date(),
                Ok(Date { days }),
                "{text}"
            );
        }
    }
}
