//! Limits by each key, and the bound on values that a client invents.

use super::*;
use crate::limits::{RULE_LIMITS, SITE_LIMITS};
use crate::section::{Place, Problems};

fn limiter(lines: &str) -> RateLimiter {
    let mut problems = Problems::default();
    let table = toml::de::DeTable::parse(lines).unwrap();
    let section = RULE_LIMITS.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
    let limit = RequestLimit::build(&section, &|_| "site.toml:7".into(), &mut problems);
    assert!(problems.is_empty(), "{lines}");
    RateLimiter::new(limit.unwrap())
}

fn client(text: &str) -> Client {
    Client::new(text.parse().unwrap())
}

fn subject(address: &str, value: Option<&'static str>) -> Subject<'static> {
    Subject {
        client: (address != "unix").then(|| client(address)),
        value: value.map(|value| value.as_bytes().into()),
    }
}

#[test]
fn a_client_is_an_address_or_a_prefix() {
    assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
    assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
    assert_ne!(client("2001:db8:0:1::1"), client("2001:db8:0:2::1"));
    assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
}

/// Returns the kind of the partition that is over its limit.
fn kind(exceeded: Exceeded) -> &'static str {
    let Exceeded::Requests(refusal) = exceeded else {
        panic!("{exceeded}")
    };
    refusal.kind()
}

/// Two requests of an allowance of one: the second is refused exactly if both are of one partition.
#[test]
fn requests_are_counted_by_the_key() {
    let (one, other, six) = ("192.0.2.1", "192.0.2.2", "2001:db8::1");
    let (same, apart, free) = (Some("same"), Some("apart"), "");
    for (key, first, second, refused_by) in [
        ("client", (one, None), (one, None), "client"),
        ("client", (one, same), (one, apart), "client"),
        ("client", (one, None), (other, None), free),
        ("client", (six, None), ("2001:db8::2", None), "client"),
        ("client", (six, None), ("2001:db8:0:1::1", None), free),
        ("client", ("unix", None), ("unix", None), free),
        ("header:a", (one, same), (other, same), "header"),
        ("header:a", (one, same), (one, apart), free),
        ("header:a", (one, None), (one, None), "client"),
        ("header:a", (one, None), (one, Some("")), "client"),
        ("header:a", (one, None), (one, same), free),
        ("header:a", (one, None), (other, None), free),
        ("header:a", ("unix", same), ("unix", same), "header"),
        ("header:a", ("unix", None), ("unix", None), free),
        ("cookie:a", (one, same), (other, same), "cookie"),
        ("cookie:a", (one, same), (one, apart), free),
        ("cookie:a", (one, None), (one, None), "client"),
        ("user", (one, same), (other, same), "user"),
        ("user", (one, same), (one, apart), free),
        ("user", (one, None), (one, None), "client"),
        ("site", (one, same), (other, apart), "site"),
        ("site", ("unix", None), (one, None), "site"),
    ] {
        for limit in ["requests_per_second = 1\nburst = 0", "requests_at_once = 1"] {
            let limiter = limiter(&format!("{limit}\nkey = \"{key}\""));
            let now = Instant::now();
            let _running = limiter.admit(&subject(first.0, first.1), now).unwrap();
            let admitted = limiter.admit(&subject(second.0, second.1), now);
            let refused = admitted.err().map(kind);
            let expected = Some(refused_by).filter(|kind| *kind != free);
            assert_eq!(refused, expected, "{key} {limit} {first:?} {second:?}");
        }
    }
}

#[test]
fn refusals_name_the_limit_its_place_and_what_is_counted() {
    let one = "192.0.2.1";
    for (lines, value, message) in [
        (
            "requests_per_second = 1\nburst = 0",
            None,
            "more than limits.requests_per_second = 1 (site.toml:7) of one client",
        ),
        (
            "requests_at_once = 1\nkey = \"site\"",
            None,
            "more than limits.requests_at_once = 1 (site.toml:7) of all clients",
        ),
        (
            "requests_at_once = 1\nkey = \"header:X-Key\"",
            Some("a"),
            "more than limits.requests_at_once = 1 (site.toml:7) of one value of the field x-key",
        ),
        (
            "requests_at_once = 1\nkey = \"cookie:sid\"",
            Some("a"),
            "more than limits.requests_at_once = 1 (site.toml:7) of one value of the cookie sid",
        ),
        (
            "requests_at_once = 1\nkey = \"user\"",
            Some("a"),
            "more than limits.requests_at_once = 1 (site.toml:7) of one user",
        ),
    ] {
        let (limiter, now) = (limiter(lines), Instant::now());
        let _running = limiter.admit(&subject(one, value), now).unwrap();
        let refused = limiter.admit(&subject(one, value), now).unwrap_err();
        assert_eq!(refused.to_string(), message);
    }
}

/// Returns how many of these requests are admitted, and the last refusal.
fn admitted(
    limiter: &RateLimiter,
    address: &str,
    values: impl Iterator<Item = usize>,
    now: Instant,
) -> (Vec<RunningRequest>, Option<String>) {
    let mut running = Vec::new();
    let mut last = None;
    for value in values {
        let subject = Subject {
            value: Some(value.to_string().into_bytes().into()),
            ..subject(address, None)
        };
        match limiter.admit(&subject, now) {
            Ok(one) => running.push(one),
            Err(refused) => last = Some(refused.to_string()),
        }
    }
    (running, last)
}

#[test]
fn who_invents_values_has_the_allowance_of_a_few() {
    let most = usize::try_from(VALUES_PER_CLIENT).unwrap();
    for (lines, of_one) in [
        ("requests_per_second = 1\nburst = 4", 5),
        ("requests_at_once = 3", 3),
    ] {
        let limiter = limiter(&format!("{lines}\nkey = \"cookie:a\""));
        let now = Instant::now();
        let (running, refused) = admitted(&limiter, "192.0.2.1", 0..2000, now);
        // And what 50 ms of the rate bring.
        let expected = most * of_one..=most * of_one + 2;
        assert!(expected.contains(&running.len()), "{}", running.len());
        let refused = refused.unwrap();
        assert!(
            refused.starts_with("more than 32 times limits.requests_"),
            "{refused}"
        );
        assert!(refused.ends_with(" of one client"), "{refused}");
        // Neither the other clients of an invented value nor those without one notice it.
        let (others, _) = admitted(&limiter, "192.0.2.2", 0..1, now);
        assert_eq!(others.len(), 1);
        assert!(limiter.admit(&subject("192.0.2.1", None), now).is_ok());
    }
}

#[test]
fn a_value_beyond_its_allowance_uses_nothing_of_others() {
    let limiter = limiter("requests_per_second = 1\nburst = 0\nkey = \"header:a\"");
    let now = Instant::now();
    let (running, _) = admitted(&limiter, "192.0.2.1", std::iter::repeat_n(7, 1000), now);
    assert_eq!(running.len(), 1);
    let (running, _) = admitted(&limiter, "192.0.2.1", 8..8 + 20, now);
    assert_eq!(running.len(), 20);
}

#[test]
fn invented_values_evict_no_count_of_a_client() {
    let limiter = limiter("requests_per_second = 1\nburst = 0\nkey = \"header:a\"");
    let now = Instant::now();
    let (running, _) = admitted(&limiter, "192.0.2.1", 0..3 * PARTITIONS, now);
    assert!(running.len() <= usize::try_from(VALUES_PER_CLIENT).unwrap() + 2);
    assert!(limiter.counts.partitions.len() <= running.len());
    assert_eq!(limiter.counts.totals.len(), 1);
}

#[test]
fn a_limiter_that_continues_has_the_counts() {
    let lines = "requests_per_second = 1\nburst = 0";
    let (before, mut after) = (limiter(lines), limiter(lines));
    let (one, now) = (subject("192.0.2.1", None), Instant::now());
    let running = before.admit(&one, now).unwrap();
    after.continue_counts(&before);
    assert!(after.admit(&one, now).is_err());
    drop((running, before));
    assert!(after.admit(&one, now).is_err());
}

#[test]
fn without_a_limit_there_is_nothing_to_count() {
    for (lines, warnings) in [
        ("", 0),
        ("requests_per_second = 0", 0),
        ("burst = 9", 1),
        ("burst = 9\nkey = \"site\"", 2),
        ("requests_at_once = 0\nkey = \"site\"", 1),
    ] {
        let mut problems = Problems::default();
        let table = toml::de::DeTable::parse(lines).unwrap();
        let section =
            SITE_LIMITS.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
        let limit = RequestLimit::build(&section, &|_| String::new(), &mut problems);
        assert!(limit.is_none() && problems.is_empty(), "{lines}");
        assert_eq!(problems.take_warnings().len(), warnings, "{lines}");
    }
}
