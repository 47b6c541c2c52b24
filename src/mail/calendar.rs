//! The Gregorian calendar, also before it was in use.
//!
//! Days are counted from 1970-01-01, months from 1.

/// Days from 1970-01-01 to this date; `day` may run over the month's end.
///
/// Years are taken to begin in March, so that the leap day is the last.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + leap_days + day_of_year - DAYS_TO_1970
}

/// Year, month and day.
pub fn date(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    // Take out the leap days that lie before `day`; the last day of the era belongs to its year.
    let year_of_era = (day - day / 1460 + day / 36524 - day / (ERA - 1)) / 365;
    let day_of_year = day - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era + i64::from(month >= 10);
    (year, (month + 2) % 12 + 1, day_of_month)
}

pub fn days_in(month: i64, year: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The month with this name of three letters, in any case.
pub fn month_named(name: &[u8]) -> Option<i64> {
    let mut months = (1..).zip(MONTHS);
    let found = months.find(|(_, month)| month.as_bytes().eq_ignore_ascii_case(name));
    found.map(|(number, _)| number)
}

/// Its name of three letters; January if there is no such month.
pub fn month_name(month: i64) -> &'static str {
    let index = usize::try_from(month - 1).unwrap_or(0);
    MONTHS.get(index).unwrap_or(&MONTHS[0])
}

/// Seconds of a day.
pub const DAY: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_from_0000_to_9999_comes_back() {
        let mut expected = None;
        for day_count in days(0, 1, 1)..days(10_000, 1, 1) {
            let (year, month, day) = date(day_count);
            assert_eq!(days(year, month, day), day_count);
            assert!((1..=days_in(month, year)).contains(&day));
            if let Some((y, m, d)) = expected {
                assert!((year, month, day) == (y, m, d + 1) || day == 1);
            }
            expected = Some((year, month, day));
        }
        assert_eq!(date(11_016), (2000, 2, 29));
    }

    #[test]
    fn months_are_found_by_name() {
        for month in 1..=12 {
            let name = month_name(month).to_uppercase();
            assert_eq!(month_named(name.as_bytes()), Some(month));
        }
        assert_eq!(month_named(b"Juli"), None);
    }
}
