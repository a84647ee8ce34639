//! Times as people type them.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

/// A time from which on: a date means its first moment, `90d` so long ago.
pub fn since(text: &str) -> Result<DateTime<Utc>, String> {
    parse(text, Utc::now(), 0)
}

/// A time until which: a date means its last moment.
pub fn until(text: &str) -> Result<DateTime<Utc>, String> {
    parse(text, Utc::now(), 1)
}

fn parse(text: &str, now: DateTime<Utc>, days: u64) -> Result<DateTime<Utc>, String> {
    const HELP: &str = "a time is 2026-03-01, 2026-03-01T12:00:00Z, or so long before now: 90d, 12h, 30m";
    if let Ok(date) = text.parse::<NaiveDate>() {
        let date = date.checked_add_days(Days::new(days)).ok_or(HELP)?;
        return Ok(date.and_time(NaiveTime::MIN).and_utc());
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.with_timezone(&Utc));
    }
    let unit = text.chars().next_back().ok_or(HELP)?;
    let number: i64 = text.strip_suffix(unit).and_then(|digits| digits.parse().ok()).ok_or(HELP)?;
    let ago = match unit {
        'd' => TimeDelta::try_days(number),
        'h' => TimeDelta::try_hours(number),
        'm' => TimeDelta::try_minutes(number),
        _ => None,
    };
    ago.filter(|_| number >= 0).and_then(|ago| now.checked_sub_signed(ago)).ok_or_else(|| HELP.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_moments_and_ages() {
        let now: DateTime<Utc> = "2026-03-10T12:00:00Z".parse().unwrap();
        for (text, days, expected) in [
            ("2026-03-01", 0, "2026-03-01T00:00:00Z"),
            ("2026-03-01", 1, "2026-03-02T00:00:00Z"),
            ("2026-03-01T10:00:00+02:00", 1, "2026-03-01T08:00:00Z"),
            ("90d", 0, "2025-12-10T12:00:00Z"),
            ("12h", 0, "2026-03-10T00:00:00Z"),
            ("30m", 1, "2026-03-10T11:30:00Z"),
        ] {
            assert_eq!(parse(text, now, days).unwrap(), expected.parse::<DateTime<Utc>>().unwrap(), "{text}");
        }
        for text in [
            "",
            "d",
            "-5d",
            "yesterday",
            "2026-13-01",
            "99999999999999999999d",
            "5w",
            "9223372036854775807d",
            "5\u{e9}",
        ] {
            assert!(parse(text, now, 0).is_err(), "{text}");
        }
    }
}
