//! Configuration values with a unit, and their syntax. Each text is either parsed exactly or refused with an example:
//! no bare numbers, no guesses.

use std::fmt;
use std::num::IntErrorKind;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Error of an invalid value: one sentence for the user, with examples.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = Invalid;

    /// Parses a whole number and a unit: `512B`, `64KiB`, `32MiB`, `1GiB`, `1TiB`, or the decimal
    /// `KB`, `MB`, `GB`, `TB`. Nothing, `0`, needs no unit. Any other bare number, a fraction, a unit
    /// such as `8M` and more than 1048576TiB are refused.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let refuse = || Invalid(format!("`{text}` is not a size: {SIZE_EXAMPLES}"));
        match parse_quantity(text, &SIZE_UNITS).ok_or_else(refuse)? {
            bytes @ ..=MAX_SIZE => Ok(Self(bytes)),
            _ => Err(Invalid(format!(
                "`{text}` is too much: a size is at most \"{}\"",
                Self(MAX_SIZE)
            ))),
        }
    }
}

impl fmt::Display for ByteSize {
    /// Writes the shortest spelling that is exact: `64KiB`, `1MB`, `1000B`. Parses back to the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = SIZE_UNITS
            .iter()
            .filter(|(_, factor)| self.0.is_multiple_of(*factor));
        let spellings = exact.map(|(unit, factor)| format!("{}{unit}", self.0 / factor));
        // The first of equal length wins: binary units come first.
        f.write_str(&spellings.min_by_key(String::len).unwrap_or_default())
    }
}

/// Parses a whole number and a unit: `us`, `ms`, `s`, `m`, `h` or `d`, as in `20ms`, `60s`, `5m`.
/// Nothing, `0`, needs no unit. Any other bare number, a fraction, an unknown unit and more than 36500d are refused.
pub fn parse_duration(text: &str) -> Result<Duration, Invalid> {
    let refuse = || Invalid(format!("`{text}` is not a duration: {DURATION_EXAMPLES}"));
    match parse_quantity(text, &DURATION_UNITS).ok_or_else(refuse)? {
        micros @ ..=MAX_DURATION => Ok(Duration::from_micros(micros)),
        _ => Err(Invalid(format!(
            "`{text}` is too long: a duration is at most \"{}\"",
            show_duration(Duration::from_micros(MAX_DURATION))
        ))),
    }
}

/// Returns the spelling with the largest unit that is exact: `20ms`, `90s`, `5m`, `1h`, and `0s`; but `60s` and not
/// `1m`, as people write it. Parts of a microsecond are dropped.
pub fn show_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let micros = duration.as_micros();
    let fits = |(unit, factor): &&(&str, u64)| {
        let factor = u128::from(*factor);
        micros.is_multiple_of(factor) && (*unit != "m" || micros > factor)
    };
    let (unit, factor) = DURATION_UNITS.iter().rev().find(fits).unwrap_or(&("us", 1));
    format!("{}{unit}", micros / u128::from(*factor))
}

/// Parses whole per cent, as in `20 %` or `20%`. Nothing, a bare number and a fraction are refused.
pub fn parse_percent(text: &str) -> Result<u8, Invalid> {
    let percent = text
        .strip_suffix('%')
        .map(|number| number.strip_suffix(' ').unwrap_or(number))
        .filter(|number| !number.starts_with(['0', '+']))
        .and_then(|number| number.parse().ok());
    percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| {
            Invalid(format!(
                "`{text}` is not a part: write whole per cent from 1 to 100, such as \"20 %\""
            ))
        })
}

/// Returns the spelling of a part: `20 %`.
pub fn show_percent(percent: u8) -> String {
    format!("{percent} %")
}

/// Returns a JSON Schema pattern that all parts match.
pub fn percent_pattern() -> String {
    "^(100|[1-9][0-9]?) ?%$".to_owned()
}

/// Returns a JSON Schema pattern that all sizes match.
pub fn size_pattern() -> String {
    pattern(&SIZE_UNITS)
}

/// Returns a JSON Schema pattern that all durations match.
pub fn duration_pattern() -> String {
    pattern(&DURATION_UNITS)
}

fn pattern(units: &[(&str, u64)]) -> String {
    let units: Vec<_> = units.iter().map(|(unit, _)| *unit).collect();
    format!("^(0|[0-9]+({}))$", units.join("|"))
}

/// Returns the amount of `text` in the smallest unit; `None` if malformed. An amount beyond 64 bits saturates.
fn parse_quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    match number.parse::<u64>() {
        Ok(number) => Some(number.saturating_mul(*factor)),
        Err(error) => (*error.kind() == IntErrorKind::PosOverflow).then_some(u64::MAX),
    }
}

/// 1 EiB: a sum of some such sizes, or three times one, fits 64 bits.
const MAX_SIZE: u64 = 1 << 60;

/// A hundred years, in microseconds: the year of such a date has four digits (RFC 9110 §5.6.7), and every clock can
/// represent it.
const MAX_DURATION: u64 = 36_500 * 86_400_000_000;

const SIZE_EXAMPLES: &str = r#"write a number and a unit, such as "512B", "64KiB" or "32MiB""#;

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

const DURATION_EXAMPLES: &str = r#"write a number and a unit, such as "20ms", "60s", "5m" or "1h""#;

/// Factors in microseconds, rising.
const DURATION_UNITS: [(&str, u64); 6] = [
    ("us", 1),
    ("ms", 1_000),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
    ("d", 86_400_000_000),
];

/// A time limit, with the name and the line of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeLimit {
    /// `timeouts.first_byte`.
    pub name: &'static str,
    /// Zero is no limit.
    pub duration: Duration,
    /// `file:line`, or `default`.
    pub place: Arc<str>,
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = show_duration(self.duration);
        write!(f, "{} = \"{duration}\" ({})", self.name, self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("0", 0, "0B"),
            ("0B", 0, "0B"),
            ("512B", 512, "512B"),
            ("64KiB", 65_536, "64KiB"),
            ("1024KiB", 1_048_576, "1MiB"),
            ("32MiB", 33_554_432, "32MiB"),
            ("1GiB", 1_073_741_824, "1GiB"),
            ("10KB", 10_000, "10KB"),
            ("1MB", 1_000_000, "1MB"),
            ("1536B", 1_536, "1536B"),
        ] {
            let size = text.parse::<ByteSize>().unwrap();
            assert_eq!(size, ByteSize(bytes), "{text}");
            assert_eq!(size.to_string(), shown);
        }
    }

    #[test]
    fn durations_are_read_and_shown() {
        for (text, millis, shown) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("0ms", 0, "0s"),
            ("20ms", 20, "20ms"),
            ("1500ms", 1_500, "1500ms"),
            ("60s", 60_000, "60s"),
            ("1m", 60_000, "60s"),
            ("90s", 90_000, "90s"),
            ("300s", 300_000, "5m"),
            ("1h", 3_600_000, "1h"),
            ("1d", 86_400_000, "1d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(show_duration(duration), shown);
        }
    }

    #[test]
    fn what_is_not_exact_is_refused_with_examples() {
        for text in [
            "", "60", "00", "s", "-1s", "1.5s", " 1s", "1 s", "8M", "60sec",
        ] {
            let message = parse_duration(text).unwrap_err().to_string();
            assert_eq!(
                message,
                format!("`{text}` is not a duration: {DURATION_EXAMPLES}")
            );
        }
        for text in ["", "64", "KiB", "8M", "64kib", "1.5GiB", "-1B"] {
            let message = text.parse::<ByteSize>().unwrap_err().to_string();
            assert_eq!(message, format!("`{text}` is not a size: {SIZE_EXAMPLES}"));
        }
    }

    #[test]
    fn what_is_too_much_is_refused_with_the_most() {
        for text in [
            "36501d",
            "3000000d",
            "3153600000001ms",
            "18446744073709551615us",
            "99999999999999999999d",
        ] {
            let message = parse_duration(text).unwrap_err().to_string();
            let expected = format!("`{text}` is too long: a duration is at most \"36500d\"");
            assert_eq!(message, expected);
        }
        assert!(parse_duration("36500d").is_ok());
        for text in [
            "1048577TiB",
            "18446744073709551615B",
            "99999999999999999999B",
        ] {
            let message = text.parse::<ByteSize>().unwrap_err().to_string();
            let expected = format!("`{text}` is too much: a size is at most \"1048576TiB\"");
            assert_eq!(message, expected);
        }
        assert!("1048576TiB".parse::<ByteSize>().is_ok());
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes in 0..=MAX_SIZE, micros in 0..=MAX_DURATION) {
            let size = ByteSize(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
            let duration = Duration::from_micros(micros);
            prop_assert_eq!(parse_duration(&show_duration(duration)).unwrap(), duration);
        }
    }
}
