//! A client that speaks FastCGI itself: what PHP does with no gateway in between.

use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use super::address::Stream;
use super::records::{self, Record, read_record};
use super::{Address, PhpFpm, patiently};

/// How long nothing has to come before it counts as nothing.
const SILENCE: Duration = Duration::from_millis(200);

/// One FastCGI connection. Dropped, it is closed.
pub(crate) struct Direct {
    stream: Stream,
}

impl Direct {
    pub(crate) async fn open(address: &Address) -> Self {
        Self {
            stream: address.connect().await,
        }
    }

    /// Sends FCGI_GET_VALUES with 8 bytes of padding.
    pub(crate) async fn probe(&mut self) {
        self.write(&probe()).await;
    }

    /// Sends a GET for `script` that keeps the connection.
    pub(crate) async fn request(&mut self, script: &Path, query: &str) {
        self.write(&request(script, query)).await;
    }

    /// The same with a probe in front, in one write.
    pub(crate) async fn probed_request(&mut self, script: &Path, query: &str) {
        self.write(&[probe(), request(script, query)].concat())
            .await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Waits for the answer to a probe and for nothing else.
    pub(crate) async fn acknowledged(&mut self) {
        let record = patiently("an acknowledgement", read_record(&mut self.stream)).await;
        let kind = record.unwrap().expect("closed instead").kind;
        assert_eq!(kind, records::GET_VALUES_RESULT);
    }

    /// Whether nothing comes for a while.
    pub(crate) async fn is_silent(&mut self) -> bool {
        timeout(SILENCE, read_record(&mut self.stream))
            .await
            .is_err()
    }

    /// What a script prints; the connection is then ready for the next request.
    pub(crate) async fn answer(&mut self) -> String {
        let mut stdout = Vec::new();
        loop {
            let record = patiently("an answer", read_record(&mut self.stream)).await;
            let record = record.unwrap().expect("closed before END_REQUEST");
            match record.kind {
                records::STDOUT => stdout.extend(record.content),
                records::END_REQUEST => break,
                _ => {}
            }
        }
        let text = String::from_utf8(stdout).unwrap();
        let (_head, body) = text.split_once("\r\n\r\n").unwrap();
        body.to_owned()
    }
}

/// Requests a second that `workers` workers of a PHP-FPM of its own do when each has a connection to itself: what can
/// be done, measured beside what is done, on the same machine in the same seconds.
pub(crate) async fn ideal_rate(script: &str, workers: usize, time: Duration) -> f64 {
    let php = PhpFpm::start(workers).await;
    php.write("ideal.php", script);
    let script = php.root().join("ideal.php");
    let begun = Instant::now();
    let work = (0..workers).map(|_| async {
        let mut connection = Direct::open(php.address()).await;
        let mut count = 0_u32;
        while begun.elapsed() < time {
            connection.request(&script, "").await;
            connection.answer().await;
            count += 1;
        }
        count
    });
    let count: u32 = futures_util::future::join_all(work).await.into_iter().sum();
    f64::from(count) / begun.elapsed().as_secs_f64()
}

fn probe() -> Vec<u8> {
    let names = records::encode_pairs(&[("FCGI_MAX_CONNS", ""), ("FCGI_MPXS_CONNS", "")]);
    Record::new(records::GET_VALUES, 0, names).encode_padded(8)
}

fn request(script: &Path, query: &str) -> Vec<u8> {
    const ID: u16 = 1;
    let params = records::encode_pairs(&[
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", query),
        ("SCRIPT_FILENAME", script.to_str().unwrap()),
    ]);
    // FastCGI §5.1: role RESPONDER, flag KEEP_CONN.
    let records = [
        (records::BEGIN_REQUEST, vec![0, 1, 1, 0, 0, 0, 0, 0]),
        (records::PARAMS, params),
        (records::PARAMS, Vec::new()),
        (records::STDIN, Vec::new()),
    ];
    let encode = |(kind, content)| Record::new(kind, ID, content).encode();
    records.into_iter().flat_map(encode).collect()
}
