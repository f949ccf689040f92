//! Hashes that other programs have written; `tests/it/user_files.rs` has them write more.

use super::*;

/// Password of most hashes.
const SESAME: &[u8] = b"open sesame";

/// Hashes of [`SESAME`].
const SESAMES: [(&str, &str); 15] = [
    // htpasswd 2.4, with -B -C 4, -m, -s, -2, -2 -r 77777, -5, -5 -r 1000.
    (
        "bcrypt",
        "$2y$04$tZaHAkCgliROoXn.XWNEs.BkEYavWYB/7PVprmCSPj0xLIQNIsCoa",
    ),
    ("APR1", "$apr1$sm31cDZ5$e4jANQPnKodaKQTp5a.3K1"),
    ("SHA-1", "{SHA}W8r/fyL/UzygmbNAjq2HbA67qac="),
    (
        "SHA-256 crypt",
        "$5$Xxwiy93l/RpOJwtX$YsKNGRrM9nttp7nAQvx0/u8Pb.DTK5z6t06MkcQGL8/",
    ),
    (
        "SHA-256 crypt",
        "$5$rounds=77777$rIEoBhRapwUs863q$.NSPKuWlQ.PpK86VACxssFVD/Fe8S7bugmJBPAghjC1",
    ),
    (
        "SHA-512 crypt",
        "$6$W96LRKlJb/3FDLfV$9R/wTAzLECjCVfGiaiaEeMNUyb8NTl8xl6bH/wJ45nw1lWTMivt4bMd2OmtLuA5LP3r5ClBJjBdFO.nW6CsAW0",
    ),
    (
        "SHA-512 crypt",
        "$6$rounds=1000$LBF2r5DhhedPKg1P$th7OSH8TWBTglSmu9y2hcKx.EB/WBnSlIXyFpXM1sCKI5SM3pnERYt81Dsd499iVNuTIOteeYGXS7FmxqAKs4/",
    ),
    // openssl passwd 3.0, with -apr1, -5 and -6.
    ("APR1", "$apr1$abcdefgh$T64oOxnD8c28.dQa.2Lty1"),
    (
        "SHA-256 crypt",
        "$5$abcdefgh$FWXdh6oXOJQkX7oAcP02d0Gnxjct6ra8Fwv29U9RIN2",
    ),
    (
        "SHA-512 crypt",
        "$6$abcdefgh$CkjGkP7IIgZVUCNlt.Vi53LOYJLXZ5KzdpzEYCj01XGruA1hxZYJqccTU2zz68oJwAGsd1iPty5F7dHIatUTy/",
    ),
    // password_hash of PHP 8.2.
    (
        "bcrypt",
        "$2y$04$eLye6yUp0iv.pQAd0s4V1.QoUI/1kT53lVl186zEDEkFui07SuyZm",
    ),
    (
        "Argon2id",
        "$argon2id$v=19$m=64,t=1,p=1$ZVZNajIxVGFhMkllam1iSA$YZa6E3Kp/h8tuyEbeKir/Uofn9sVdgh3B0EoBqU681Q",
    ),
    // The versions of bcrypt are one function.
    (
        "bcrypt",
        "$2a$04$eLye6yUp0iv.pQAd0s4V1.QoUI/1kT53lVl186zEDEkFui07SuyZm",
    ),
    (
        "bcrypt",
        "$2b$04$eLye6yUp0iv.pQAd0s4V1.QoUI/1kT53lVl186zEDEkFui07SuyZm",
    ),
    (
        "bcrypt",
        "$2b$04$tZaHAkCgliROoXn.XWNEs.BkEYavWYB/7PVprmCSPj0xLIQNIsCoa",
    ),
];

/// Hashes of other passwords.
const VECTORS: [(&str, &str); 13] = [
    // argon2 0~20171227 -id -e, also with -v 10.
    (
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ$FqGkmHNGCd0BRW2kBt6fPZ2pPmyGwwChL8FGUhTOSSI",
        "password",
    ),
    (
        "$argon2id$v=19$m=4096,t=3,p=4$c29tZXNhbHQ$poE/0h2cjbv+UlPDgRVOHqwlmCAYo5LF5leMrvQqVrI",
        "password",
    ),
    (
        "$argon2id$v=19$m=1024,t=1,p=2$c29tZXNhbHQ$kqTSytP/UI6rezpTc0SOiw",
        "password",
    ),
    (
        "$argon2id$v=16$m=64,t=2,p=1$c29tZXNhbHQ$4nDCgqqi/MYvPUrUq8ZfVUrFto43iXYW7ryycatUzoI",
        "password",
    ),
    (
        "$argon2id$m=64,t=2,p=1$c29tZXNhbHQ$4nDCgqqi/MYvPUrUq8ZfVUrFto43iXYW7ryycatUzoI",
        "password",
    ),
    (
        "$argon2id$v=19$m=256,t=1,p=1$c2l4dGVlbiBieXRlcyEhIQ$ImUncv/hUZQFO8fQKf+i/R7kWutPLiW7/LOLezeFQpc",
        "pässwörd",
    ),
    // The test vectors of jBCrypt, and htpasswd -B -C 4.
    (
        "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
        "",
    ),
    (
        "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "a",
    ),
    (
        "$2y$04$HsRZ5TzdWyJcydAllEsSu.w4uRG2QwZgnoU4zMJw5MqMjA7Jwc8pa",
        "pässwörd",
    ),
    // The test vectors of SHA crypt, by crypt() of PHP 8.2.
    (
        "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "Hello world!",
    ),
    (
        "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
        "Hello world!",
    ),
    (
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "Hello world!",
    ),
    // openssl passwd -apr1 without salt.
    ("$apr1$$jYtXyIcDHukcQfHjblNhq/", "x"),
];

/// Of 200 times `x`, by openssl passwd.
const LONG: [&str; 2] = [
    "$6$abcdefghijklmnop$NQmdZYyTZiBzxauWT51pbz4CykfZ5QuZjUyYs6SQHccQfiPrjNLaM6yE6kW1wImO/6eb0E1euwuEI0mUEI7IE0",
    "$apr1$abcdefgh$2wUxkhtENJzNJtmCil.OZ1",
];

#[test]
fn a_password_is_right_for_its_hash_alone() {
    for (_, text) in SESAMES {
        is_hash_of(text, SESAME);
    }
    for (text, password) in VECTORS {
        is_hash_of(text, password.as_bytes());
    }
    for text in LONG {
        is_hash_of(text, &[b'x'; 200]);
    }
}

/// The password is right, and its neighbours are wrong.
fn is_hash_of(text: &str, password: &[u8]) {
    let hash = Hash::parse(text).unwrap();
    assert!(hash.verify(password), "{text}");
    let mut last_differs = password.to_vec();
    if let Some(last) = last_differs.last_mut() {
        *last ^= 1;
        assert!(!hash.verify(&last_differs), "{text}");
    }
    assert!(!hash.verify(&[password, b"x"].concat()), "{text}");
    let cut = password
        .split_last()
        .map_or(b"x".as_slice(), |(_, rest)| rest);
    assert!(!hash.verify(cut), "{text}");
}

/// As in Apache, whose htpasswd has written it for 80 characters.
#[test]
fn bcrypt_reads_72_bytes() {
    let text = "$2y$04$Peg9qRxVLYIgBPp0AaZNSOO9a0bNwtCREhNAp.ra97sBbgPbzZj9.";
    let hash = Hash::parse(text).unwrap();
    let password = [b'x'; 80];
    assert!(hash.verify(&password) && hash.verify(&password[..72]));
    assert!(!hash.verify(&password[..71]));
}

#[test]
fn a_password_of_more_than_4096_bytes_is_wrong() {
    // openssl passwd reads no more than 256 bytes, and SHA-1 needs no program.
    let password = vec![b'x'; LONGEST_PASSWORD + 1];
    let hash = |password: &[u8]| {
        use ::sha1::Digest as _;
        use base64::Engine as _;
        let digest = ::sha1::Sha1::digest(password);
        let text = base64::engine::general_purpose::STANDARD.encode(digest);
        Hash::parse(&format!("{{SHA}}{text}")).unwrap()
    };
    let longest = &password[..LONGEST_PASSWORD];
    assert!(hash(longest).verify(longest));
    assert!(!hash(&password).verify(&password));
}

#[test]
fn what_is_cut_off_or_mistyped_is_no_hash() {
    for (kind, text) in SESAMES {
        let malformed = UnsupportedHash::Malformed(kind);
        // A text without its prefix is no hash of that kind, nor of any other.
        for end in 6..text.len() {
            let Err(error) = Hash::parse(&text[..end]) else {
                // Argon2 has digests of any length.
                assert_eq!(kind, "Argon2id", "{}", &text[..end]);
                continue;
            };
            assert!(error == malformed || end < 10, "{}: {error}", &text[..end]);
        }
        for text in [format!("{text}."), format!("{text} "), format!("{text}é")] {
            assert_eq!(Hash::parse(&text).unwrap_err(), malformed, "{text}");
        }
    }
}

fn is_refused(text: &str, expected: UnsupportedHash) {
    let parsed = Hash::parse(text).map(|hash| hash.cost());
    assert_eq!(parsed, Err(expected), "{text}");
    // The text, which may be a password, is not told.
    let message = expected.to_string();
    assert!(text.is_empty() || !message.contains(text), "{message}");
}

#[test]
fn other_kinds_are_refused_by_name() {
    use UnsupportedHash::{Kind, PlainText};
    for (text, expected) in [
        ("", PlainText),
        ("secret", PlainText),
        ("$9$secret", PlainText),
        ("z.Z1.otv.i8i2", Kind("DES crypt")),
        ("$1$abcdefgh$9qMkHazuSy1Q8myEum7yb/", Kind("MD5 crypt")),
        ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX", Kind("yescrypt")),
        ("{SSHA}W8r/fyL/UzygmbNAjq2HbA67qac=", Kind("salted SHA-1")),
        ("$argon2i$v=19$m=64,t=3,p=1$c29t$ihoU", Kind("Argon2i")),
    ] {
        is_refused(text, expected);
    }
}

#[test]
fn parameters_have_limits() {
    use UnsupportedHash::{Malformed, TooCostly, TooMuchMemory};
    let bcrypt = |cost| SESAMES[0].1.replacen("04", cost, 1);
    let sha512 = |rounds| SESAMES[6].1.replacen("1000", rounds, 1);
    let argon2 = |costs| VECTORS[2].0.replacen("m=1024,t=1,p=2", costs, 1);
    for (text, expected) in [
        (bcrypt("18"), TooCostly(19)),
        (bcrypt("31"), TooCostly(152_472)),
        (bcrypt("03"), Malformed("bcrypt")),
        (bcrypt("32"), Malformed("bcrypt")),
        (bcrypt("+4"), Malformed("bcrypt")),
        (sha512("999"), Malformed("SHA-512 crypt")),
        (sha512("999999999"), TooCostly(440)),
        (sha512("1000000000"), Malformed("SHA-512 crypt")),
        (sha512("1000$more"), Malformed("SHA-512 crypt")),
        // Salts of 17 and of 9 characters, and bits that no byte needs.
        (
            SESAMES[3].1.replacen("$5$", "$5$x", 1),
            Malformed("SHA-256 crypt"),
        ),
        (SESAMES[1].1.replacen("$sm", "$xsm", 1), Malformed("APR1")),
        (SESAMES[1].1.replacen("K1", "KZ", 1), Malformed("APR1")),
        (argon2("m=262145,t=1,p=1"), TooMuchMemory(257)),
        (
            argon2("m=4294967295,t=4294967295,p=1"),
            TooMuchMemory(4_194_304),
        ),
        (argon2("m=262144,t=39,p=1"), TooCostly(11)),
        (argon2("m=8,t=4294967295,p=1"), TooCostly(34_360)),
        (argon2("m=64,t=1,p=16777216"), Malformed("Argon2id")),
        (argon2("m=64,t=1,p=9"), Malformed("Argon2id")),
        (argon2("m=64,t=0,p=1"), Malformed("Argon2id")),
        (argon2("m=64,t=1,p=1,keyid=x"), Malformed("Argon2id")),
    ] {
        is_refused(&text, expected);
    }
    for text in [
        bcrypt("17"),
        sha512("20000000"),
        argon2("m=262144,t=38,p=1"),
    ] {
        assert!(Hash::parse(&text).is_ok(), "{text}");
    }
}

#[test]
fn costs_order_kinds_and_parameters() {
    let argon2 = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$kqTSytP/UI6rezpTc0SOiw";
    let bcrypt = |cost| SESAMES[0].1.replace("$04$", cost);
    let ascending = [
        SESAMES[2].1.to_owned(),
        SESAMES[1].1.to_owned(),
        SESAMES[6].1.to_owned(),
        SESAMES[3].1.to_owned(),
        SESAMES[0].1.to_owned(),
        SESAMES[5].1.to_owned(),
        bcrypt("$05$"),
        SESAMES[4].1.to_owned(),
        bcrypt("$10$"),
        argon2.to_owned(),
        bcrypt("$12$"),
    ];
    let costs: Vec<_> = ascending
        .iter()
        .map(|text| Hash::parse(text).unwrap().cost())
        .collect();
    assert!(costs.is_sorted_by(|a, b| a < b), "{costs:?}");
}
