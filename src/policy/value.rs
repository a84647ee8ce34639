//! Values that are checked as they are read: spans, hours, zones, networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta, Utc};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// A length of time: `90s`, `30m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^[0-9]+(s|m|h|d)$"))]
pub struct Span(TimeDelta);

/// A stretch of the day, in minutes from midnight; passes midnight where the end is not after the
/// start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = r"^[0-2][0-9]:[0-5][0-9]-[0-2][0-9]:[0-5][0-9]$"))]
pub struct Hours {
    pub from: u32,
    /// Excluded; at most 1440.
    pub to: u32,
}

/// An IANA time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Zone(TimeZone);

/// A network: `198.51.100.0/24`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Span {
    pub const fn minutes(minutes: i64) -> Self {
        Self(TimeDelta::minutes(minutes))
    }

    pub fn delta(self) -> TimeDelta {
        self.0
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = || format!("`{text}` is no length of time; write `90s`, `30m`, `24h` or `7d`");
        let unit = text.chars().last().ok_or_else(problem)?;
        let number =
            text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok()).ok_or_else(problem)?;
        let number = i64::from(number);
        let delta = match unit {
            's' => TimeDelta::seconds(number),
            'm' => TimeDelta::minutes(number),
            'h' => TimeDelta::hours(number),
            'd' => TimeDelta::days(number),
            _ => return Err(problem()),
        };
        if delta.is_zero() || delta > TimeDelta::days(366) {
            return Err(format!("`{text}` is out of range; from 1s to 366d"));
        }
        Ok(Self(delta))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.num_seconds();
        match seconds {
            s if s % 86_400 == 0 => write!(f, "{}d", s / 86_400),
            s if s % 3_600 == 0 => write!(f, "{}h", s / 3_600),
            s if s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

impl Default for Hours {
    fn default() -> Self {
        Self { from: 8 * 60, to: 20 * 60 }
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = || format!("`{text}` is no stretch of hours; write `08:00-20:00`");
        let (from, to) = text.split_once('-').ok_or_else(problem)?;
        let minutes = |clock: &str| -> Option<u32> {
            let (hours, minutes) = clock.trim().split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            if !digits(hours) || !digits(minutes) {
                return None;
            }
            let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
            (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
        };
        let (from, to) = (minutes(from).ok_or_else(problem)?, minutes(to).ok_or_else(problem)?);
        if from == 24 * 60 {
            return Err(format!("`{text}` starts at 24:00; write 00:00 of the next day"));
        }
        if from == to {
            return Err(format!("`{text}` is empty; for a whole day write `00:00-24:00`"));
        }
        Ok(Self { from, to })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let zones = TimeZoneDatabase::bundled();
        zones.get(text).map(Self).map_err(|_| {
            let known: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
            let hint = nearest(text, known.iter().map(String::as_str))
                .map_or_else(String::new, |zone| format!("did you mean `{zone}`? Otherwise "));
            format!("`{text}` is no time zone; {hint}write an IANA name such as `Europe/Berlin` or `UTC`")
        })
    }
}

impl Zone {
    /// How far the zone's wall clocks are from UTC at a time. `None` where the time is so far off that no
    /// calendar holds it.
    pub fn offset(&self, time: DateTime<Utc>) -> Option<FixedOffset> {
        let time = Timestamp::from_second(time.timestamp()).ok()?;
        FixedOffset::east_opt(self.0.to_offset(time).seconds())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = || format!("`{text}` is no network; write `198.51.100.0/24` or an address");
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| problem())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => {
                prefix.parse::<u8>().ok().filter(|prefix| *prefix <= widest).ok_or_else(problem)?
            }
            None => widest,
        };
        let network = Self { address, prefix };
        let whole = network.network();
        if whole != address {
            return Err(format!(
                "`{text}` has bits set behind its prefix, which match nothing; write `{whole}/{prefix}`, or \
                 `{address}` for the one address"
            ));
        }
        Ok(network)
    }
}

impl Cidr {
    /// The address with every bit behind the prefix cleared.
    fn network(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(self.prefix))).unwrap_or(0);
                IpAddr::V4((u32::from(address) & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(u32::from(self.prefix))).unwrap_or(0);
                IpAddr::V6((u128::from(address) & mask).into())
            }
        }
    }

    /// Whether an address lies in the network. An IPv4 address written as IPv6 (`::ffff:192.0.2.1`) is
    /// the same address.
    pub fn contains(&self, address: IpAddr) -> bool {
        fn same<const N: usize>(one: [u8; N], other: [u8; N], prefix: u8) -> bool {
            one.into_iter().zip(other).enumerate().all(|(index, (one, other))| {
                let bits = usize::from(prefix).saturating_sub(index * 8).min(8);
                let mask = !u8::try_from(0xff_u32 >> bits).unwrap_or_default();
                (one ^ other) & mask == 0
            })
        }
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                same(network.octets(), address.octets(), self.prefix)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same(network.octets(), address.octets(), self.prefix)
            }
            // The network is written that way, the address is not.
            (IpAddr::V6(network), IpAddr::V4(address)) => {
                same(network.octets(), address.to_ipv6_mapped().octets(), self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Serde goes through the text forms above.
macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = String;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> Self {
                value.to_string()
            }
        }
    )*};
}
as_text!(Span, Hours, Zone, Cidr);

/// The candidate that a misspelt word most likely meant, if any is near.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Quadratic in the lengths: nothing this long is a slip of the finger.
    if word.chars().count() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let score = |candidate: &str| strsim::jaro_winkler(&word, &candidate.to_lowercase());
    let scored = candidates.into_iter().map(|candidate| (score(candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 > 0.8).then_some(best.1)
}

/// A date of the policy, `2026-12-31`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Date(pub(super) NaiveDate);

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Four, two and two digits exactly: chrono would take `2026-1-2` and `+12026-01-02` too.
        let shape = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().filter(|_| shape);
        date.map(Self).ok_or_else(|| format!("`{text}` is no date; write year-month-day, as in `2026-12-31`"))
    }
}

pub(super) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    Date::deserialize(deserializer).map(|date| date.0)
}

/// A date that may be left out; `until:` with nothing behind it is an error, not "for ever".
pub(super) fn optional_date<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NaiveDate>, D::Error> {
    date(deserializer).map(Some)
}

pub(super) fn dates<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NaiveDate>, D::Error> {
    let dates = Vec::<Date>::deserialize(deserializer)?;
    Ok(dates.into_iter().map(|date| date.0).collect())
}

/// A section whose keys are all commented out is YAML's null: it means the same as leaving it out.
pub(super) fn section<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}
