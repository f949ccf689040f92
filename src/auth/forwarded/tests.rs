//! Client data of well-formed and malformed chains.

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::section::{At, Place, Problems};

fn proxies() -> TrustedProxies {
    let at = |text: &str| At {
        value: text.to_owned(),
        place: Place::default(),
    };
    TrustedProxies::build(
        &[at("10.0.0.0/8"), at("2001:db8:ffff::/48")],
        &mut Problems::default(),
    )
}

fn fields(lines: &[(&str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        fields.append(name, HeaderValue::from_str(value).unwrap());
    }
    fields
}

fn all() -> TrustedFields {
    TrustedFields::of(&[
        Field::For,
        Field::Proto,
        Field::Host,
        Field::Port,
        Field::Forwarded,
        Field::ForwardedHost,
    ])
}

fn client(lines: &[(&str, &str)]) -> Option<String> {
    let claim = Claim::read(&fields(lines), all(), &proxies()).unwrap();
    claim.client.map(|address| address.to_string())
}

#[test]
fn the_right_most_that_is_no_trusted_proxy_is_the_client() {
    let xff = "x-forwarded-for";
    type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case<'_>; 22] = [
        (&[(xff, "192.0.2.1")], Some("192.0.2.1")),
        (&[(xff, "6.6.6.6, 192.0.2.1")], Some("192.0.2.1")),
        (&[(xff, "6.6.6.6, 192.0.2.1, 10.1.1.1")], Some("192.0.2.1")),
        (&[(xff, "6.6.6.6"), (xff, "192.0.2.1")], Some("192.0.2.1")),
        (&[(xff, "10.2.2.2, 10.1.1.1")], Some("10.2.2.2")),
        (&[(xff, "192.0.2.1:4711")], Some("192.0.2.1")),
        (&[(xff, "[2001:db8::1]:80")], Some("2001:db8::1")),
        (&[(xff, "2001:db8::1")], Some("2001:db8::1")),
        (&[(xff, "::ffff:192.0.2.1")], Some("192.0.2.1")),
        (&[(xff, "192.0.2.1, junk")], None),
        (&[(xff, "192.0.2.1, junk, 10.1.1.1")], Some("10.1.1.1")),
        (&[(xff, "192.0.2.1, , 10.1.1.1,")], Some("192.0.2.1")),
        (&[(xff, "unknown")], None),
        (&[(xff, "192.0.2.1.example")], None),
        (&[("forwarded", "for=192.0.2.1")], Some("192.0.2.1")),
        (
            &[(
                "forwarded",
                "for=6.6.6.6;proto=https, FOR=\"[2001:db8::1]:47\" ;by=x",
            )],
            Some("2001:db8::1"),
        ),
        (&[("forwarded", "for=192.0.2.1, ,")], Some("192.0.2.1")),
        (
            &[("forwarded", "for=192.0.2.1"), ("forwarded", "")],
            Some("192.0.2.1"),
        ),
        (&[("forwarded", ""), (xff, "192.0.2.1")], Some("192.0.2.1")),
        (&[("forwarded", "for=_hidden")], None),
        (&[("forwarded", "for=\"192.0.2.1")], None),
        (&[], None),
    ];
    for (lines, expected) in cases {
        assert_eq!(client(lines).as_deref(), expected, "{lines:?}");
    }
}

#[test]
fn scheme_host_and_port_are_those_of_the_client() {
    let read = |lines: &[(&str, &str)]| Claim::read(&fields(lines), all(), &proxies());
    let claim = read(&[
        ("x-forwarded-for", "192.0.2.1, 10.1.1.1"),
        ("x-forwarded-proto", "https, http"),
        ("x-forwarded-host", "Shop.Example:8443, inner"),
        ("x-forwarded-port", "8443"),
    ])
    .unwrap();
    assert_eq!(claim.scheme, Some(Scheme::Https));
    assert_eq!(claim.host, Host::parse("shop.example:8443").ok());
    assert_eq!(claim.port, Some(8443));
    let claim = read(&[("forwarded", "proto=HTTPS;host=\"a.example:444\"")]).unwrap();
    assert_eq!(claim.scheme, Some(Scheme::Https));
    assert_eq!(claim.port, Some(444));
    assert_eq!(claim.client, None);
    for (name, value) in [
        ("x-forwarded-proto", "gopher"),
        ("x-forwarded-host", "a b"),
        ("x-forwarded-port", "0"),
        ("x-forwarded-port", "+80"),
        ("x-forwarded-port", "65536"),
        ("forwarded", "proto=gopher;host=a_b/c"),
    ] {
        assert!(
            read(&[(name, value)]).unwrap().is_empty(),
            "{name}: {value}"
        );
    }
}

#[test]
fn where_both_families_speak_neither_takes_from_the_other() {
    let read = |trusted, lines: &[(&str, &str)]| Claim::read(&fields(lines), trusted, &proxies());
    let xff = ("x-forwarded-for", "192.0.2.1");
    let same = ("forwarded", "for=192.0.2.1;proto=https");
    let other = ("forwarded", "for=6.6.6.6;proto=https");
    let claim = read(all(), &[xff, same]).unwrap();
    assert_eq!(claim.client, "192.0.2.1".parse().ok());
    assert_eq!(claim.scheme, Some(Scheme::Https));
    // A client cannot hide behind a field that its proxy passes on.
    for sent in ["proto=http", "by=x", "for=\"192.0.2.1", ";"] {
        let claim = read(all(), &[xff, ("forwarded", sent)]).unwrap();
        assert_eq!(claim.client, "192.0.2.1".parse().ok(), "{sent}");
    }
    let claim = read(all(), &[("x-forwarded-proto", "https"), same]).unwrap();
    assert_eq!(claim.client, "192.0.2.1".parse().ok());
    for hidden in ["for=unknown", "for=_x", "for=192.0.2.1, for=_x"] {
        let read = read(all(), &[xff, ("forwarded", hidden)]);
        assert_eq!(read, Err(Conflict("client")), "{hidden}");
    }
    let proto = ("x-forwarded-proto", "http");
    assert_eq!(read(all(), &[proto, same]), Err(Conflict("scheme")));
    assert_eq!(read(all(), &[xff, other]), Err(Conflict("client")));
    let claim = read(TrustedFields::of(&[Field::For]), &[xff, other]).unwrap();
    assert_eq!(claim.client, "192.0.2.1".parse().ok());
    let claim = read(TrustedFields::of(&[Field::Forwarded]), &[xff, other]).unwrap();
    assert_eq!(claim.client, "6.6.6.6".parse().ok());
}

/// Each field alone: a trusted one counts and is passed on, and all others are ignored and removed.
#[test]
fn only_what_is_trusted_is_believed_and_passed_on() {
    let lines = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-port", "444"),
        ("forwarded", "for=192.0.2.1;host=a.example:444;proto=https"),
    ];
    for (trusted, claimed, left) in [
        (&[] as &[Field], "", &[] as &[&str]),
        (&[Field::For], "client", &["x-forwarded-for: 192.0.2.1"]),
        (&[Field::Proto], "scheme", &["x-forwarded-proto: https"]),
        (&[Field::Host], "host", &["x-forwarded-host: a.example"]),
        (&[Field::Port], "port", &["x-forwarded-port: 444"]),
        (
            &[Field::Forwarded],
            "client scheme",
            &["forwarded: for=192.0.2.1;proto=https"],
        ),
        (
            &[Field::Forwarded, Field::ForwardedHost],
            "client scheme host port",
            &["forwarded: for=192.0.2.1;host=a.example:444;proto=https"],
        ),
    ] {
        let trusted = TrustedFields::of(trusted);
        let mut fields = fields(&lines);
        let claim = Claim::read(&fields, trusted, &proxies()).unwrap();
        let flags = [
            (claim.client.is_some(), "client"),
            (claim.scheme.is_some(), "scheme"),
            (claim.host.is_some(), "host"),
            (claim.port.is_some(), "port"),
        ];
        let present = flags.iter().filter(|(is_there, _)| *is_there);
        let parts: Vec<_> = present.map(|(_, part)| *part).collect();
        assert_eq!(parts.join(" "), claimed, "{trusted}");
        claim.write(&mut fields, trusted, &proxies());
        let passed: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(passed, left, "{trusted}");
    }
}

proptest! {
    /// The address that the proxy appends is the client, for any text of a client in front of it.
    #[test]
    fn nothing_in_front_changes_what_the_proxy_wrote(forged in "[ -~]{0,60}") {
        let line = format!("{forged}, 192.0.2.1");
        let seen = client(&[("x-forwarded-for", &line)]);
        prop_assert_eq!(seen.as_deref(), Some("192.0.2.1"));
        let lines = [("x-forwarded-for", forged.as_str()), ("x-forwarded-for", "192.0.2.1")];
        let seen = client(&lines);
        prop_assert_eq!(seen.as_deref(), Some("192.0.2.1"));
    }

    /// An open quote of a client in Forwarded can hide the client, and forge none.
    #[test]
    fn an_open_quote_forges_nothing(forged in "[ -~]{0,60}") {
        let lines = [("forwarded", forged.as_str()), ("forwarded", "for=192.0.2.1")];
        let seen = client(&lines);
        prop_assert_eq!(seen.as_deref(), Some("192.0.2.1"));
        let line = format!("{forged}, for=192.0.2.1");
        let seen = client(&[("forwarded", &line)]);
        prop_assert!(seen.is_none() || seen.as_deref() == Some("192.0.2.1") , "{:?}", seen);
    }
}
