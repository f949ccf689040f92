//! Files as Apache reads them, and what is wrong with others.

use super::*;

const PATH: &str = "/etc/users";

/// Of the passwords `password` and `secret`.
const PASSWORD: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// bcrypt with its least cost, and APR1, which takes a tenth of that.
const COSTLY: &str = "$2y$04$tZaHAkCgliROoXn.XWNEs.BkEYavWYB/7PVprmCSPj0xLIQNIsCoa";
const CHEAP: &str = "$apr1$sm31cDZ5$e4jANQPnKodaKQTp5a.3K1";

fn parse(content: impl AsRef<[u8]>) -> Result<Users, Unavailable> {
    Users::parse(content.as_ref(), Path::new(PATH))
}

#[test]
fn entries_are_read_as_apache_reads_them() {
    for (content, users) in [
        (format!("alice:{PASSWORD}"), vec!["alice"]),
        (
            format!("alice:{PASSWORD}\nbob:{PASSWORD}\n"),
            vec!["alice", "bob"],
        ),
        (
            format!("alice:{PASSWORD}\r\nbob:{PASSWORD}\r\n"),
            vec!["alice", "bob"],
        ),
        (format!("\u{feff}alice:{PASSWORD}\n"), vec!["alice"]),
        (
            format!("# alice:{SECRET}\n\n \t\n  alice:{PASSWORD} \n #\n"),
            vec!["alice"],
        ),
        (format!("alice:{PASSWORD}:Alice Smith:1:2"), vec!["alice"]),
        (
            format!("Jörg Müller:{PASSWORD}\n#b:{PASSWORD}"),
            vec!["Jörg Müller"],
        ),
    ] {
        let parsed = parse(&content).unwrap();
        assert_eq!(parsed.findings().first(), [], "{content}");
        assert_eq!(parsed.entries.len(), users.len(), "{content}");
        for user in users {
            assert!(parsed.verify(user.as_bytes(), b"password"), "{content}");
            assert!(!parsed.verify(user.as_bytes(), b"secret"), "{content}");
            assert_eq!(
                parsed.entry(user.as_bytes()).unwrap().text(),
                PASSWORD.as_bytes()
            );
        }
        for nobody in ["", "Alice", "alice ", "#b", "b"] {
            assert!(!parsed.verify(nobody.as_bytes(), b"password"), "{nobody}");
        }
    }
}

#[test]
fn names_are_bytes() {
    let users = parse([b"J\xf6rg:", PASSWORD.as_bytes()].concat()).unwrap();
    assert!(users.verify(b"J\xf6rg", b"password"));
    assert!(!users.verify("Jörg".as_bytes(), b"password"));
}

#[test]
fn the_first_entry_of_a_user_counts() {
    let users = parse(format!(
        "alice:{PASSWORD}\nalice:{SECRET}\nbob:plain\nbob:{SECRET}\n"
    ))
    .unwrap();
    assert!(users.verify(b"alice", b"password") && !users.verify(b"alice", b"secret"));
    // The first refuses the user, though the second could be used.
    assert!(!users.verify(b"bob", b"secret") && !users.verify(b"bob", b"plain"));
    let lines: Vec<_> = users
        .findings()
        .first()
        .iter()
        .map(|finding| finding.line)
        .collect();
    assert_eq!(lines, [2, 3, 4]);
}

#[test]
fn an_unusable_entry_refuses_its_user_alone() {
    for (line, expected) in [
        (
            "bob:z.Z1.otv.i8i2",
            "/etc/users:2: `bob` cannot log in: the password is hashed by DES crypt, which is not supported; set the password again with `htpasswd -B /etc/users bob`",
        ),
        (
            "bob:secret",
            "/etc/users:2: `bob` cannot log in: the password is no hash; one in plain text is never accepted; set the password again with `htpasswd -B /etc/users bob`",
        ),
        (
            "bob:",
            "/etc/users:2: `bob` cannot log in: the password is no hash; one in plain text is never accepted; set the password again with `htpasswd -B /etc/users bob`",
        ),
        (
            "bob:$2y$05$NxyDEdbgM2wmpP7",
            "/etc/users:2: `bob` cannot log in: the bcrypt hash is cut off or mistyped; set the password again with `htpasswd -B /etc/users bob`",
        ),
        (
            "b\u{1b}b:x",
            "/etc/users:2: `b\\u{1b}b` cannot log in: the password is no hash; one in plain text is never accepted; set the password again with `htpasswd -B /etc/users b\\u{1b}b`",
        ),
        (
            "secret",
            "/etc/users:2: there is no `:` between a user and a hash; the line is ignored",
        ),
        (
            ":secret",
            "/etc/users:2: there is no user before the `:`; the line is ignored",
        ),
        (
            "alice:secret",
            "/etc/users:2: `alice` has an entry above, which counts; the line is ignored",
        ),
    ] {
        let users = parse(format!("alice:{PASSWORD}\n{line}\ncarol:{SECRET}\n")).unwrap();
        let findings = users.findings().warnings(Path::new(PATH));
        assert_eq!(findings, [expected]);
        assert!(users.verify(b"alice", b"password") && users.verify(b"carol", b"secret"));
        assert!(users.entry(b"bob").is_none() && !users.verify(b"bob", b"secret"));
        assert!(!findings[0].contains("secret"), "{findings:?}");
    }
}

#[test]
fn twenty_findings_are_told_one_by_one() {
    for (lines, expected) in [(20, 20), (21, 21), (10_000, 21)] {
        let users = parse(format!("alice:{PASSWORD}\n{}", "noise\n".repeat(lines))).unwrap();
        let warnings = users.findings().warnings(Path::new(PATH));
        assert_eq!(warnings.len(), expected);
        let more = format!("/etc/users: {} more lines have no effect", lines - 20);
        assert_eq!(warnings.last() == Some(&more), lines > 20, "{warnings:?}");
    }
}

/// A file with all kinds that Apache's htpasswd writes, each of the password `pw`.
#[test]
fn a_file_of_apache_is_read() {
    let users = parse(
        "# comment\n\
         m:$apr1$PwECPHhP$TipawUj41qjSAJ9AQUXjK.\n\
         b:$2y$05$z8Bylb6WYVoK8kN54wsQ.OOOh2tKr/V4F/4pyCT.zm6If6QAwNmle\n\
         s:{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=\n\
         d:BKs50MDMJbIp2\n\
         p:pw\n\
         x:$5$wDC7aN4oxVFNHjWU$F9vPsc7ogfRhMeFALUoCw5SL4j1GeW4.MRM3aDIM197\n\
         y:$6$nRzdJbkg9w0ifrpL$tIaVo2vUdC12I59IxwcYJvp5N8VeUW87uYnMfVcam5vELvdungJ9i7lrd6F.eQK/T.Uz4.eDeOQLGEMmc8YhD/:extra\n\
         m:{SHA}x\n",
    )
    .unwrap();
    let names = ["m", "b", "s", "d", "p", "x", "y"].into_iter();
    let admitted: Vec<_> = names
        .filter(|user| users.verify(user.as_bytes(), b"pw"))
        .collect();
    assert_eq!(admitted, ["m", "b", "s", "x", "y"]);
}

#[test]
fn a_file_without_a_usable_entry_is_an_error() {
    let long = format!("alice:{PASSWORD}\nbob:{}", "x".repeat(LONGEST_LINE));
    let large = format!("alice:{PASSWORD}\n{}", "#\n".repeat(LARGEST_FILE / 2));
    for (content, expected) in [
        (
            "",
            "/etc/users has no user; add one with `htpasswd -B /etc/users USER`",
        ),
        (
            "# nobody\n\n",
            "/etc/users has no user; add one with `htpasswd -B /etc/users USER`",
        ),
        (
            "\nalice:x\nbob",
            "/etc/users has no usable entry; line 2: `alice` cannot log in: the password is no hash; one in plain text is never accepted; set the password again with `htpasswd -B /etc/users alice`",
        ),
        (
            &long,
            "/etc/users cannot be used: line 2 is longer than 4096 bytes",
        ),
        (
            &large,
            "/etc/users cannot be used: it is larger than 16 MiB",
        ),
    ] {
        assert_eq!(parse(content).unwrap_err().to_string(), expected);
    }
    let longest = format!("alice:{PASSWORD}:{}", "x".repeat(LONGEST_LINE - 40));
    assert!(parse(longest).is_ok());
}

#[test]
fn a_wrong_password_costs_a_hash_of_each_class_that_takes_a_share_of_the_time() {
    let bcrypt = |cost| COSTLY.replace("$04$", cost);
    let costly = ["$04$", "$05$", "$10$"].map(bcrypt);
    let [four, five, ten] = [0, 1, 2].map(|at: usize| costly[at].as_str());
    for (hashes, expected) in [
        (vec![PASSWORD], vec![PASSWORD]),
        (vec![CHEAP, four, CHEAP, four, PASSWORD], vec![four, CHEAP]),
        (vec![PASSWORD, four, ten, CHEAP, five], vec![ten]),
        (vec![four, five], vec![five, four]),
    ] {
        let lines = (0..)
            .zip(&hashes)
            .map(|(number, hash)| format!("user{number}:{hash}\n"));
        let users = parse(lines.collect::<String>()).unwrap();
        let classes: Vec<_> = users.yardsticks.iter().map(Hash::class).collect();
        let expected: Vec<_> = expected
            .iter()
            .map(|text| Hash::parse(text).unwrap().class())
            .collect();
        assert_eq!(classes, expected, "{hashes:?}");
    }
    // Of classes that are alike, twenty are enough: one more is less than a twentieth.
    let rounds = |rounds| {
        format!(
            "user{rounds}:$5$rounds={rounds}$rIEoBhRapwUs863q$.NSPKuWlQ.PpK86VACxssFVD/Fe8S7bugmJBPAghjC1\n"
        )
    };
    let users = parse((5000..5100).map(rounds).collect::<String>()).unwrap();
    assert!(
        (20..=22).contains(&users.yardsticks.len()),
        "{}",
        users.yardsticks.len()
    );
}
