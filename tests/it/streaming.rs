//! What PHP prints little by little arrives little by little.

use std::time::{Duration, SystemTime};

use http_body_util::BodyExt;

use crate::harness::load::scale;
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{Connection, Gateway, GatewaySetup, PhpFpm, Request, http2, patiently};

/// Prints the time in 10 digits of milliseconds each 100 ms, so often.
const SLOW: &str = "<?php header('Content-Type: text/plain'); for ($i = 0; $i < $_GET['n']; $i++) {
printf('%010d', (int) (microtime(true) * 1000) % 1e10); flush(); usleep(100000); }";

/// How long ago this was printed.
fn age(piece: &[u8]) -> Duration {
    let printed: u128 = String::from_utf8_lossy(piece).parse().unwrap();
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    let age = now.as_millis() % 10_u128.pow(10) - printed;
    Duration::from_millis(u64::try_from(age).unwrap())
}

/// Each piece is one that was printed, and there before ten more were.
fn check(version: &str, ages: &[Duration], expected: usize) {
    println!(
        "{version}: {expected} pieces, the slowest {:?} after it was printed",
        ages.iter().max()
    );
    assert_eq!(ages.len(), expected, "{version}");
    assert!(
        ages.iter().all(|age| *age < Duration::from_secs(1)),
        "{version}: {ages:?}"
    );
    let prompt = ages.iter().filter(|age| **age < Duration::from_millis(100));
    assert!(prompt.count() * 2 > expected, "{version}: {ages:?}");
}

/// A listener in clear text and one with TLS.
fn on_both<'a>(php: &'a PhpFpm, authority: &Authority) -> GatewaySetup<&'a PhpFpm> {
    Gateway::before(php)
        .certificate(authority)
        .listen("")
        .listen("tls = true")
}

async fn http1(mut client: Connection, request: &Request) -> Vec<Duration> {
    client.start(request).await;
    assert_eq!(client.head().await.status, 200);
    let mut ages = Vec::new();
    while let Some(piece) = client.piece().await.unwrap() {
        ages.extend(piece.chunks(10).map(age));
    }
    ages
}

async fn http2(mut client: http2::Connection, request: &Request) -> Vec<Duration> {
    let mut body = client.start(request).await.into_body();
    let mut ages = Vec::new();
    while let Some(frame) = patiently("a frame", body.frame()).await {
        let data = frame.unwrap().into_data().unwrap_or_default();
        ages.extend(data.chunks(10).map(age));
    }
    ages
}

#[tokio::test]
async fn ten_bytes_arrive_when_they_are_printed() {
    let php = PhpFpm::start(3).await;
    php.write("slow.php", SLOW);
    let authority = Authority::new();
    let gateway = on_both(&php, &authority).start().await;
    let [clear, tls] = gateway.addresses() else {
        panic!("two listeners")
    };
    let count = scale(15, 300);
    let request = Request::get(&format!("/slow.php?n={count}"));
    let secured = TlsClient::new(&authority).http2(tls, "localhost").await;
    let (h1, h2c, h2) = tokio::join!(
        http1(Connection::open(clear).await, &request),
        http2(http2::Connection::open(clear).await, &request),
        http2(secured, &request)
    );
    check("HTTP/1.1", &h1, count);
    check("HTTP/2 in clear text", &h2c, count);
    check("HTTP/2 with TLS", &h2, count);
}
