//! Targets and their paths.

mod bypasses;

use proptest::prelude::*;

use super::EncodedSlash::{Decode, Keep, Reject};
use super::TargetError::{BadPercent, Climb, ControlByte, NotAbsolute};
use super::*;

const NOT_FOUND: TargetError = TargetError::EncodedSlash;

/// Returns the modes to test: all three must agree on a target without an encoded slash.
fn modes(input: &str, slashes: EncodedSlash) -> Vec<EncodedSlash> {
    if input.to_ascii_lowercase().contains("%2f") {
        return vec![slashes];
    }
    vec![Reject, Keep, Decode]
}

#[track_caller]
fn become_paths(slashes: EncodedSlash, rows: &[(&str, &[u8])]) {
    for (input, path) in rows {
        for slashes in modes(input, slashes) {
            let target = Target::parse(input, slashes);
            let got = target.as_ref().map(Target::path);
            assert_eq!(got, Ok(*path), "{input} {slashes:?}");
        }
    }
}

#[track_caller]
fn are_refused(slashes: EncodedSlash, rows: &[(&str, TargetError)]) {
    for (input, error) in rows {
        for slashes in modes(input, slashes) {
            assert_eq!(
                Target::parse(input, slashes),
                Err(*error),
                "{input} {slashes:?}"
            );
        }
    }
}

#[test]
fn ordinary_paths_are_decoded_once() {
    become_paths(
        Reject,
        &[
            ("/", b"/"),
            ("", b"/"),
            ("?x=1", b"/"),
            ("/index.php", b"/index.php"),
            ("/a/b/c/", b"/a/b/c/"),
            ("/a?b=/../c", b"/a"),
            ("/a?", b"/a"),
            ("/a%20b", b"/a b"),
            ("/a+b", b"/a+b"),
            ("/%41%5a%7A", b"/AZz"),
            ("/a%25b", b"/a%b"),
            ("/a%2500", b"/a%00"),
            ("/a%252fb", b"/a%2fb"),
            ("/a%3Ab@c", b"/a:b@c"),
            ("/a%3bb;c", b"/a;b;c"),
            ("/a%23b", b"/a#b"),
            ("/a\\b", b"/a\\b"),
            ("/gr%C3%BC%c3%9fe", "/grüße".as_bytes()),
            ("/grüße", "/grüße".as_bytes()),
            ("/%E6%97%A5%E6%9C%AC", "/日本".as_bytes()),
            ("/%ff%FE%80", b"/\xff\xfe\x80"),
            ("/%c3", b"/\xc3"),
        ],
    );
}

#[test]
fn slashes_are_merged_and_dot_segments_removed() {
    become_paths(
        Reject,
        &[
            ("//", b"/"),
            ("///a///b///", b"/a/b/"),
            ("//evil.example/", b"/evil.example/"),
            ("//evil.example/%2e%2e", b"/"),
            ("/.", b"/"),
            ("/./", b"/"),
            ("/.//./", b"/"),
            ("/a/.", b"/a/"),
            ("/a/./b", b"/a/b"),
            ("/a/..", b"/"),
            ("/a/b/..", b"/a/"),
            ("/a/b/../", b"/a/"),
            ("/a/b/../../c", b"/c"),
            ("/a/b/../c/./d/../e", b"/a/c/e"),
            ("/a//../b", b"/b"),
            ("/a/.//../b", b"/b"),
            ("/%2e/a", b"/a"),
            ("/a/%2E%2e/b", b"/b"),
            ("/a/.%2e", b"/"),
            ("/a/%2e", b"/a/"),
            ("/...", b"/..."),
            ("/a/..../b", b"/a/..../b"),
            ("/.well-known/x", b"/.well-known/x"),
            ("/..a/b..", b"/..a/b.."),
            ("/.a", b"/.a"),
            ("/a./b", b"/a./b"),
        ],
    );
}

#[test]
fn climbing_above_the_root_is_refused() {
    are_refused(
        Reject,
        &[
            ("/..", Climb),
            ("/../", Climb),
            ("/../etc/passwd", Climb),
            ("//..//", Climb),
            ("/./..", Climb),
            ("/a/../../b", Climb),
            ("/a/../../a/b", Climb),
            ("/%2e%2e/etc/passwd", Climb),
            ("/a/%2e%2e/.%2E/b", Climb),
            ("/a//../..", Climb),
            ("/../?x=/a", Climb),
        ],
    );
}

#[test]
fn bad_percent_codes_are_refused() {
    are_refused(
        Reject,
        &[
            ("/%", BadPercent),
            ("/%4", BadPercent),
            ("/a%/b", BadPercent),
            ("/%g0", BadPercent),
            ("/%0g", BadPercent),
            ("/%%", BadPercent),
            ("/%%41", BadPercent),
            ("/%u002e", BadPercent),
            ("/%+1", BadPercent),
            ("/% 1", BadPercent),
            ("/%é", BadPercent),
            ("/%2?f", BadPercent),
        ],
    );
}

#[test]
fn control_bytes_are_refused() {
    are_refused(
        Reject,
        &[
            ("/%00", ControlByte(0)),
            ("/a%09b", ControlByte(9)),
            ("/a%0d%0aSet-Cookie:x", ControlByte(0x0d)),
            ("/%1f", ControlByte(0x1f)),
            ("/%7f", ControlByte(0x7f)),
            ("/a\nb", ControlByte(0x0a)),
            ("/a?b\rc", ControlByte(0x0d)),
            // Not even where a later segment would have removed it.
            ("/%00/../a", ControlByte(0)),
        ],
    );
    become_paths(
        Reject,
        &[("/%20%7e%80%9f", b"/ ~\x80\x9f"), ("/a?%00", b"/a")],
    );
}

#[test]
fn other_forms_are_refused() {
    are_refused(
        Reject,
        &[
            ("*", NotAbsolute),
            ("example.org:443", NotAbsolute),
            ("a/b", NotAbsolute),
            ("..", NotAbsolute),
            ("\\a", NotAbsolute),
            ("%41", NotAbsolute),
            (" /", NotAbsolute),
        ],
    );
    // Not even a decoded slash makes a target absolute.
    for slashes in [Reject, Keep, Decode] {
        are_refused(slashes, &[("%2fa", NotAbsolute)]);
    }
}

#[test]
fn encoded_slashes_are_refused_kept_or_decoded() {
    are_refused(
        Reject,
        &[
            ("/a%2Fb", NOT_FOUND),
            ("/a%2fb", NOT_FOUND),
            ("/%2f", NOT_FOUND),
            ("/%2e%2e%2f", NOT_FOUND),
            ("/..%2f..%2fetc/passwd", NOT_FOUND),
        ],
    );
    become_paths(
        Keep,
        &[
            ("/a%2Fb", b"/a%2Fb"),
            ("/a%2fb", b"/a%2Fb"),
            ("/%2f", b"/%2F"),
            ("/a/..%2f..", b"/a/..%2F.."),
            ("/%2e%2e%2f", b"/..%2F"),
            ("/a/%2e%2e/%2fb", b"/%2Fb"),
        ],
    );
    are_refused(Keep, &[("/a%2fb/../..", Climb), ("/%2f/%2e%2e/..", Climb)]);
    become_paths(
        Decode,
        &[
            ("/a%2Fb", b"/a/b"),
            ("/a%2fb", b"/a/b"),
            ("/%2f", b"/"),
            ("/a%2f", b"/a/"),
            ("/%2fevil.example", b"/evil.example"),
            ("/a/b%2f..%2fc", b"/a/c"),
            ("/a/b%2f%2e%2e", b"/a/"),
        ],
    );
    are_refused(
        Decode,
        &[("/%2e%2e%2f", Climb), ("/a%2f..%2f..%2fetc/passwd", Climb)],
    );
    assert!(NOT_FOUND.is_not_found());
    for bad_request in [BadPercent, ControlByte(0), Climb, NotAbsolute] {
        assert!(!bad_request.is_not_found(), "{bad_request}");
    }
}

#[test]
fn what_the_client_sent_is_kept() {
    for (input, raw, raw_path, query) in [
        (
            "/a%20b/../c?x=1?&%zz",
            "/a%20b/../c?x=1?&%zz",
            "/a%20b/../c",
            Some("x=1?&%zz"),
        ),
        ("//a?", "//a?", "//a", Some("")),
        ("/a", "/a", "/a", None),
        ("", "/", "/", None),
        ("?x", "/?x", "/", Some("x")),
    ] {
        let target = Target::parse(input, Reject).unwrap();
        let got = (target.raw(), target.raw_path(), target.query());
        assert_eq!(got, (raw, raw_path, query), "{input}");
    }
}

#[test]
fn an_internal_round_is_checked_like_the_client() {
    let target = Target::parse("/a%20b?x=1", Reject).unwrap();
    let again = |path: &str| target.with_path(path.as_bytes().to_vec());
    for (path, expected) in [
        ("/i.php", "/i.php"),
        ("/a//%2e%2F/./b", "/a/%2e%2F/b"),
        ("/a/b/..", "/a/"),
    ] {
        let next = again(path).unwrap();
        let got = (next.path(), next.raw(), next.query());
        assert_eq!(got, (expected.as_bytes(), "/a%20b?x=1", Some("x=1")));
    }
    for (path, error) in [
        ("/..", Climb),
        ("/a\0", ControlByte(0)),
        ("", NotAbsolute),
        ("a", NotAbsolute),
    ] {
        assert_eq!(again(path), Err(error), "{path}");
    }
    let other = |query: &str| target.with_path_and_query(b"/i".to_vec(), Some(query.to_owned()));
    assert_eq!(other("y=2").unwrap().query(), Some("y=2"));
    assert_eq!(other("y\n"), Err(ControlByte(0x0a)));
    assert_eq!(
        target
            .with_path_and_query(b"/i".to_vec(), None)
            .unwrap()
            .query(),
        None
    );
}

#[test]
fn extensions_are_those_of_the_last_segment() {
    for (input, extension, is_directory) in [
        ("/a.php", Some("php"), false),
        ("/a.tar.gz", Some("gz"), false),
        ("/.php", Some("php"), false),
        ("/a%2ephp", Some("php"), false),
        ("/a.d/b", None, false),
        ("/a.php/", None, true),
        ("/a.", None, false),
        ("/a", None, false),
        ("/", None, true),
    ] {
        let target = Target::parse(input, Reject).unwrap();
        assert_eq!(target.extension(), extension.map(str::as_bytes), "{input}");
        assert_eq!(target.is_directory(), is_directory, "{input}");
    }
}

#[test]
fn paths_are_encoded_for_location() {
    for (path, text) in [
        ("/a b/", "/a%20b/"),
        ("/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"),
        (
            "/?#[]%\"<>\\^`{|}",
            "/%3F%23%5B%5D%25%22%3C%3E%5C%5E%60%7B%7C%7D",
        ),
        ("/\r\nX: y\0\x7f", "/%0D%0AX:%20y%00%7F"),
        ("/ü", "/%C3%BC"),
        ("//evil.example/", "/evil.example/"),
        ("evil.example:80", "/evil.example:80"),
        ("", "/"),
    ] {
        assert_eq!(Target::encode_path(path.as_bytes()), text);
    }
}

proptest! {
    #[test]
    fn paths_are_normal_and_encode_to_themselves(
        input in "(/|\\.|%2[eEfF]|%[0-9a-f]{2}|[a-c]){0,24}",
    ) {
        for slashes in [Reject, Keep, Decode] {
            let Ok(target) = Target::parse(&format!("/{input}"), slashes) else { continue };
            let inside = [target.path(), b"/"].concat();
            prop_assert!(target.path().starts_with(b"/"));
            prop_assert!(!target.path().iter().any(u8::is_ascii_control));
            prop_assert!(!target.path().windows(2).any(|two| two == b"//"));
            prop_assert!(!inside.windows(3).any(|three| three == b"/./"));
            prop_assert!(!inside.windows(4).any(|four| four == b"/../"));
            let again = Target::parse(&Target::encode_path(target.path()), slashes);
            prop_assert_eq!(again.as_ref().map(Target::path), Ok(target.path()));
            prop_assert_eq!(target.with_path(target.path().to_vec()), Ok(target));
        }
    }

    #[test]
    fn no_string_makes_it_panic(input in any::<String>(), path in any::<Vec<u8>>()) {
        for slashes in [Reject, Keep, Decode] {
            let _ = Target::parse(&input, slashes);
            let Ok(target) = Target::parse(&format!("/{input}"), slashes) else { continue };
            let _ = (target.extension(), target.raw_path(), target.with_path(path.clone()));
        }
        prop_assert!(Target::encode_path(&path).starts_with('/'));
        prop_assert!(!Target::encode_path(&path).starts_with("//"));
    }
}
