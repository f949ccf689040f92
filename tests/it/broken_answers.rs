//! Answers that are cut, malformed or no answers at all: the client can always tell, and the log says why.

use crate::fastcgi::{answer, with_scripts};
use crate::harness::records::{self, Record};
use crate::harness::{Request, Script, http2};

#[tokio::test]
async fn a_cut_answer_is_visibly_cut() {
    let part = "x".repeat(1000);
    let begun = |head: &str| {
        Script::new()
            .read_request()
            .stdout(format!("{head}\n{part}"))
    };
    let cut = [
        ("no length, closed", begun("").close()),
        ("a length, closed", begun("Content-Length: 2000\n").close()),
        (
            "a length, ended early",
            begun("Content-Length: 2000\n").end_request(),
        ),
        ("no length, garbage", begun("").raw([9; 64])),
        (
            "a length, garbage",
            begun("Content-Length: 2000\n").raw([9; 64]),
        ),
        (
            "a large part, closed",
            begun("").stdout("x".repeat(200_000)).close(),
        ),
    ];
    for (name, script) in cut {
        let (_responder, gateway) = with_scripts([script]).start().await;
        for (version, response) in [
            ("h1", gateway.get("/").await),
            (
                "h2",
                http2::send(gateway.address(), &Request::get("/")).await,
            ),
        ] {
            let cut = match response.status {
                502 => response.whole,
                // The break may overtake the head.
                200 | 0 => !response.whole,
                _ => false,
            };
            assert!(cut, "{name}, {version}: {response:?}");
        }
        gateway
            .log
            .wait_for(|line| line.contains("UPSTREAM_"))
            .await;
    }
}

#[tokio::test]
async fn an_answer_is_never_longer_than_it_says() {
    let response = answer("Content-Length: 5\n\nhello world").await;
    assert_eq!(
        (
            response.header("content-length"),
            response.text().as_str(),
            response.whole
        ),
        (Some("5"), "hello", true)
    );
}

/// Fails unless each script is a bad gateway, with a cause and the request's id in the log.
async fn check_bad(scripts: impl IntoIterator<Item = (&'static str, Script)>) {
    for (name, script) in scripts {
        let (_responder, gateway) = with_scripts([script]).start().await;
        let response = gateway.get("/").await;
        assert_eq!(
            (response.status, response.whole),
            (502, true),
            "{name}: {response:?}"
        );
        assert!(!response.text().contains("stolen"), "{name}");
        let line = gateway
            .log
            .wait_for(|line| line.contains("UPSTREAM_"))
            .await;
        assert!(line.contains("request_id"), "{name}: {line}");
    }
}

#[tokio::test]
async fn records_that_are_no_answer_are_a_bad_gateway() {
    let begun = || Script::new().read_request();
    let version_2 = [2, records::STDOUT, 0, 1, 0, 0, 0, 0];
    let stolen = Record::new(records::STDOUT, 999, "\nstolen");
    check_bad([
        ("nothing", begun().end_request()),
        (
            "no end of the head",
            begun().stdout("X-A: 1\n").end_request(),
        ),
        ("closed within the head", begun().stdout("X-A: 1\n").close()),
        ("only errors", begun().stderr("oops\n").end_request()),
        ("HTTP", begun().raw("HTTP/1.1 200 OK\r\n\r\nhello").stall()),
        ("version 2", begun().raw(version_2).stall()),
        ("another id", begun().records([stolen]).end_request()),
    ])
    .await;
}

#[tokio::test]
async fn a_head_that_is_none_is_a_bad_gateway() {
    let heads = [
        ("no colon", "PHP Parse error\n\n"),
        ("a folded line", "X-A: 1\n 2\n\n"),
        ("a split response", "X-A: 1\rX-B: 2\n\n"),
        ("a control byte", "X-A: \x01\n\n"),
        ("a bad name", "X A: 1\n\n"),
        ("no status", "Status: none\n\n"),
        ("an interim status", "Status: 101 Switching Protocols\n\n"),
        ("a status beyond", "Status: 600\n\n"),
    ];
    check_bad(heads.map(|(name, head)| (name, Script::answer(head)))).await;
}

#[tokio::test]
async fn a_head_may_have_64_kib() {
    let head = |kibibytes: usize| {
        let fields = (0..kibibytes).map(|n| format!("X-{n:03}: {}\n", "x".repeat(1016)));
        fields.collect::<String>() + "\nbody"
    };
    let fits = answer(head(63)).await;
    assert_eq!((fits.status, fits.text().as_str()), (200, "body"));
    let (_responder, gateway) = with_scripts([Script::answer(head(65))]).start().await;
    assert_eq!(gateway.get("/").await.status, 502);
    gateway
        .log
        .wait_for(|line| line.contains("UPSTREAM_HEAD") && line.contains("65536"))
        .await;
}

#[tokio::test]
async fn the_application_may_refuse_by_protocol() {
    // FastCGI §5.5: CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE.
    for (protocol_status, status) in [(1, 502), (2, 503), (3, 502)] {
        let (_responder, gateway) =
            with_scripts([Script::new().read_request().end(0, protocol_status)])
                .start()
                .await;
        let response = gateway.get("/").await;
        assert_eq!(response.status, status, "{protocol_status}");
        assert_eq!(response.header("retry-after").is_some(), status == 503);
    }
    let (_responder, gateway) =
        with_scripts([Script::new().read_request().stdout("\nbody").end(255, 0)])
            .start()
            .await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "body", true),
        "an exit status is no error"
    );
}
