//! While nobody waits, admission costs nothing: one write and one read for a small exchange.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fcgate::fastcgi::management::{PROBE, Values};
use fcgate::fastcgi::record::Id;
use fcgate::fastcgi::{Answer, Ended, Exchange, Link, Outbound, Pace};
use fcgate::message::Upload;
use fcgate::timer::Timer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::harness::records::{self, Record, read_record};
use crate::harness::{Address, Connection, Gateway, Request, patiently};

/// The kinds of the records that came in one read, on the connection with this number.
type Chunk = (usize, Vec<u8>);

const PROBE_KIND: u8 = records::GET_VALUES;
/// With the probe that tells when the worker is done.
const WHOLE_REQUEST: [u8; 5] = [
    records::BEGIN_REQUEST,
    records::PARAMS,
    records::PARAMS,
    records::STDIN,
    PROBE_KIND,
];

/// A PHP that tells what each of its reads brought. It answers a probe that is followed by nothing only after
/// `patience`, as if its worker became free then.
struct Reads {
    address: Address,
    chunks: mpsc::Receiver<Chunk>,
    _directory: tempfile::TempDir,
}

impl Reads {
    fn start(patience: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("php.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let (sender, chunks) = mpsc::channel(1000);
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                // The two bare probes of the classification are answered at once.
                let patience = if number == 0 {
                    Duration::ZERO
                } else {
                    patience
                };
                tokio::spawn(converse(number, stream, patience, sender.clone()));
            }
        });
        Self {
            address: Address::Unix(path),
            chunks,
            _directory: directory,
        }
    }

    async fn gateway(&self, lines: &str) -> Gateway {
        let config = format!(
            "[upstream.app]\nservers = \"{}\"\n{lines}\n[[site]]\nroot = \"/srv\"\n[[site.rule]]\n\
             fastcgi = {{ upstream = \"app\", script = \"/srv/index.php\", missing = \"pass\" }}\n",
            self.address
        );
        Gateway::start(&config).await
    }

    async fn next(&mut self) -> Chunk {
        patiently("a read", self.chunks.recv()).await.unwrap()
    }

    /// What was read until now, in order.
    fn all(&mut self) -> Vec<Chunk> {
        std::iter::from_fn(|| self.chunks.try_recv().ok()).collect()
    }
}

async fn converse(
    number: usize,
    mut stream: UnixStream,
    patience: Duration,
    chunks: mpsc::Sender<Chunk>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut bytes = &buffer[..length];
        let mut kinds = Vec::new();
        let mut answer = Vec::new();
        let mut ended = false;
        while let Some(record) = read_record(&mut bytes).await.unwrap() {
            kinds.push(record.kind);
            if record.kind == PROBE_KIND {
                let values = records::encode_pairs(&[("FCGI_MPXS_CONNS", "0")]);
                answer.extend(Record::new(records::GET_VALUES_RESULT, 0, values).encode());
            }
            if record.kind == records::STDIN && record.content.is_empty() {
                ended = true;
                answer.extend(Record::new(records::STDOUT, record.id, "\nhello").encode());
                answer.extend(Record::end(record.id, 0, 0).encode());
            }
        }
        let probed = kinds.contains(&PROBE_KIND);
        chunks.send((number, kinds)).await.unwrap();
        if probed
            && !ended
            && !patience.is_zero()
            && timeout(patience, stream.readable()).await.is_ok()
        {
            panic!("something came before the acknowledgement");
        }
        let _ = stream.write_all(&answer).await;
    }
}

fn with_probe(kinds: &[u8]) -> Vec<u8> {
    [&[PROBE_KIND], kinds].concat()
}

#[tokio::test]
async fn a_get_on_a_new_connection_is_one_write() {
    let mut php = Reads::start(Duration::ZERO);
    let gateway = php.gateway("keep = \"0s\"").await;
    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..30 {
        assert_eq!(client.send(&Request::get("/")).await.text(), "hello");
    }
    let chunks = php.all();
    assert_eq!(
        chunks[..3],
        [
            (0, vec![PROBE_KIND]),
            (0, vec![PROBE_KIND]),
            (0, WHOLE_REQUEST.to_vec())
        ],
        "the first contact is by two bare probes"
    );
    let expected: Vec<Chunk> = (1..30)
        .map(|number| (number, with_probe(&WHOLE_REQUEST)))
        .collect();
    assert_eq!(chunks[3..], expected);
}

#[tokio::test]
async fn a_get_on_a_kept_connection_has_no_probe() {
    let mut php = Reads::start(Duration::ZERO);
    let gateway = php.gateway("keep = \"10s\"\nturn = \"10s\"").await;
    let mut client = Connection::open(gateway.address()).await;
    let mut reused = 0;
    // On a busy machine an acknowledgement may take long, after which nothing is kept.
    for _ in 0..200 {
        assert_eq!(client.send(&Request::get("/")).await.text(), "hello");
        // The probe behind the last request is read before this one.
        let mut chunks = php.all();
        chunks.retain(|(_, kinds)| *kinds != [PROBE_KIND]);
        if matches!(&chunks[..], [(_, kinds)] if *kinds == WHOLE_REQUEST) {
            reused += 1;
        }
        if reused == 20 {
            return;
        }
    }
    panic!("{reused} of 200 on a kept connection without a probe");
}

#[tokio::test]
async fn a_post_on_a_new_connection_is_complete_only_when_its_worker_is_there() {
    // 50 ms in which nothing may come behind the probe, BEGIN_REQUEST and PARAMS.
    let mut php = Reads::start(Duration::from_millis(50));
    let gateway = php.gateway("keep = \"0s\"").await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    php.all();
    for (body, stdin) in [
        ("", vec![records::STDIN, PROBE_KIND]),
        ("content", vec![records::STDIN, records::STDIN, PROBE_KIND]),
    ] {
        let post = Request::post("/").body(body);
        assert_eq!(gateway.send(&post).await.text(), "hello");
        let (number, begun) = php.next().await;
        assert_eq!(
            begun,
            with_probe(&[records::BEGIN_REQUEST, records::PARAMS])
        );
        let rest = [vec![records::PARAMS], stdin].concat();
        assert_eq!(php.next().await, (number, rest), "in one write");
    }
}

/// Counts what an exchange asks of its connection.
struct Counted {
    stream: DuplexStream,
    timer: Timer,
    calls: Arc<[AtomicUsize; 2]>,
}

const READS: usize = 0;
const WRITES: usize = 1;

impl Link for Counted {
    fn acknowledged(&mut self, _: Values) -> Option<Duration> {
        Some(Duration::ZERO)
    }
    fn is_waited_for(&self) -> bool {
        false
    }
    fn timer(&mut self) -> Option<&mut Timer> {
        Some(&mut self.timer)
    }
    fn end(self, _: Ended) {}
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        self.calls[READS].fetch_add(1, Ordering::Relaxed);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    /// All slices in one call, as `writev` does it.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes: Vec<u8> = slices
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes));
        self.calls[WRITES].fetch_add(1, Ordering::Relaxed);
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// An exchange of one request without content on a connection that counts, and where it counts.
fn counted(stream: DuplexStream, probed: bool) -> (Exchange<Counted>, Arc<[AtomicUsize; 2]>) {
    let calls = Arc::<[AtomicUsize; 2]>::default();
    let link = Counted {
        stream,
        timer: Timer::default(),
        calls: Arc::clone(&calls),
    };
    let params = Record::new(records::PARAMS, 1, "").encode();
    let head = if probed {
        [PROBE, &params].concat()
    } else {
        params
    };
    let outbound = Outbound {
        id: Id::FIRST,
        over: None,
        head: head.into(),
        held: None,
        probed,
        has_trailing_probe: false,
        upload: Upload::Empty,
        runs_on: false,
    };
    let minute = Duration::from_secs(60);
    let pace = Pace {
        acknowledge: minute,
        first_byte: minute,
        idle: minute,
        client: minute,
        total: None,
    };
    (Exchange::start(link, outbound, pace), calls)
}

#[tokio::test]
async fn a_small_exchange_is_one_write_and_one_read() {
    for probed in [true, false] {
        let (ours, mut php) = tokio::io::duplex(65_536);
        let (mut exchange, calls) = counted(ours, probed);
        let answering = async {
            let _ = php.read(&mut [0; 65_536]).await;
            let values = records::encode_pairs(&[("FCGI_MPXS_CONNS", "0")]);
            let acknowledgement = Record::new(records::GET_VALUES_RESULT, 0, values);
            let answer = [
                Record::new(records::STDOUT, 1, "\nhello"),
                Record::end(1, 0, 0),
            ];
            let answer = probed.then_some(acknowledgement).into_iter().chain(answer);
            let bytes: Vec<u8> = answer.flat_map(|record| record.encode()).collect();
            php.write_all(&bytes).await.unwrap();
        };
        let (answers, ()) = tokio::join!(
            async {
                [
                    exchange.answer().await,
                    exchange.answer().await,
                    exchange.answer().await,
                ]
            },
            answering
        );
        assert!(matches!(
            &answers,
            [
                Some(Ok(Answer::Stdout(_))),
                Some(Ok(Answer::End { .. })),
                None
            ]
        ));
        let calls = calls.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(calls, [1, 1], "reads and writes, probed: {probed}");
    }
}
