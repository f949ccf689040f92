//! Clients that mean no good: they ask and do not read, send slowly, or only hold on. What the gateway does to their
//! connections is no failure here: the test looks at what becomes of others.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body::{Body, Frame as BodyFrame};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::Address;
use super::address::Stream;
use super::h2_frames::{
    END_HEADERS, END_STREAM, Frame, Frames, HEADERS, WINDOW_UPDATE, block, request,
};
use super::tls::TlsClient;

/// Where they are and how they connect.
#[derive(Clone)]
pub(crate) struct Attackers {
    address: Address,
    tls: Option<TlsClient>,
    from: IpAddr,
    receive_buffer: Option<u32>,
}

/// The connections of attackers and what goes on there; gone when dropped.
#[derive(Default)]
pub(crate) struct Siege {
    held: Vec<Stream>,
    tasks: Vec<JoinSet<()>>,
}

/// What HTTP/2 clients ask for, and how little they take of it.
#[derive(Clone)]
pub(crate) struct Stalled {
    pub(crate) connections: usize,
    pub(crate) streams: u32,
    /// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
    pub(crate) window: u32,
    /// By how much all windows are opened, each time.
    pub(crate) more: Option<(u32, Duration)>,
    pub(crate) target: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

/// Request bodies that HTTP/2 clients begin and do not end.
#[derive(Clone)]
pub(crate) struct Unfinished {
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) target: &'static str,
    /// What is sent of each, as far as the gateway takes it.
    pub(crate) bytes: usize,
}

/// What a client keeps sending.
#[derive(Clone)]
pub(crate) struct Trickle {
    pub(crate) first: Vec<u8>,
    pub(crate) piece: Vec<u8>,
    pub(crate) every: Duration,
}

/// Connections that are opened at once.
const AT_ONCE: usize = 10;

/// How long they try to connect, or to send something.
const TRY: Duration = Duration::from_secs(5);

const INITIAL_WINDOW_SIZE: u16 = 4;

/// As much as RFC 9113 §6.9.1 allows beside what the connection has.
const WIDE: u32 = (1 << 31) - 1 - 65_535;

impl Attackers {
    /// From 127.0.0.1, in clear text.
    pub(crate) fn new(address: &Address) -> Self {
        Self {
            address: address.clone(),
            tls: None,
            from: Ipv4Addr::LOCALHOST.into(),
            receive_buffer: None,
        }
    }

    pub(crate) fn tls(self, client: &TlsClient) -> Self {
        Self {
            tls: Some(client.clone()),
            ..self
        }
    }

    /// From 127.0.0.`last`.
    pub(crate) fn from(self, last: u8) -> Self {
        Self {
            from: Ipv4Addr::new(127, 0, 0, last).into(),
            ..self
        }
    }

    /// With little room in the kernel for what they do not read.
    pub(crate) fn cramped(self) -> Self {
        Self {
            receive_buffer: Some(4096),
            ..self
        }
    }

    async fn open(&self, protocol: &str) -> io::Result<Stream> {
        let opening = async {
            let stream = self
                .address
                .connect_from(self.from, self.receive_buffer)
                .await?;
            let Some(tls) = &self.tls else {
                return Ok(stream);
            };
            let name = ServerName::try_from("localhost").unwrap();
            let stream = tls.connector(protocol).connect(name, stream).await?;
            Ok(Box::new(stream) as Stream)
        };
        timeout(TRY, opening).await?
    }

    /// Opens `count` connections, as far as the gateway lets them; a few at once, as handshakes take their own processor's
    /// time too.
    async fn open_many(&self, count: usize, protocol: &str) -> Vec<Stream> {
        let mut streams = Vec::new();
        for begun in (0..count).step_by(AT_ONCE) {
            let opening = (begun..count).take(AT_ONCE).map(|_| self.open(protocol));
            streams.extend(join_all(opening).await.into_iter().flatten());
        }
        streams
    }

    /// `count` HTTP/1 clients that send `bytes` and then nothing, and read nothing.
    pub(crate) async fn mute(&self, count: usize, bytes: impl AsRef<[u8]>) -> Siege {
        let mut held = self.open_many(count, "http/1.1").await;
        let sending = held.iter_mut().map(|stream| send(stream, bytes.as_ref()));
        join_all(sending).await;
        Siege::holding(held)
    }

    /// `count` HTTP/1 clients that send `bytes` and read all that comes, as fast as they can.
    pub(crate) async fn greedy(&self, count: usize, bytes: &'static [u8]) -> Siege {
        let mut tasks = JoinSet::new();
        for mut stream in self.open_many(count, "http/1.1").await {
            tasks.spawn(async move {
                let mut scratch = vec![0; 1 << 16];
                send(&mut stream, bytes).await;
                while matches!(stream.read(&mut scratch).await, Ok(1..)) {}
            });
        }
        Siege::of(tasks)
    }

    /// `count` HTTP/1 clients that send `bytes` and get an answer, read no further than that, and stay.
    pub(crate) async fn satisfied(&self, count: usize, bytes: &[u8]) -> Siege {
        let mut held = self.open_many(count, "http/1.1").await;
        let asking = held.iter_mut().map(async |stream| {
            send(stream, bytes).await;
            let _ = timeout(TRY, stream.read(&mut [0; 4096])).await;
        });
        join_all(asking).await;
        Siege::holding(held)
    }

    /// `count` HTTP/1 clients that send `trickle`.
    pub(crate) async fn slow(&self, count: usize, trickle: &Trickle) -> Siege {
        let mut tasks = JoinSet::new();
        for mut stream in self.open_many(count, "http/1.1").await {
            let trickle = trickle.clone();
            tasks.spawn(async move {
                send(&mut stream, &trickle.first).await;
                let mut pause = interval(trickle.every);
                loop {
                    pause.tick().await;
                    if !send(&mut stream, &trickle.piece).await {
                        return;
                    }
                }
            });
        }
        Siege::of(tasks)
    }

    /// HTTP/2 clients that take nothing, or little, of their answers.
    pub(crate) async fn stalled(&self, how: &Stalled) -> Siege {
        let mut tasks = JoinSet::new();
        for stream in self.open_many(how.connections, "h2").await {
            let how = how.clone();
            tasks.spawn(async move {
                let settings = [(INITIAL_WINDOW_SIZE, how.window)];
                if let Some(frames) = Frames::try_over(stream, &settings).await {
                    let (read, write) = tokio::io::split(frames.into_stream());
                    tokio::join!(discard(read), stall(write, &how));
                }
            });
        }
        Siege::of(tasks)
    }

    /// HTTP/2 clients that do not end their uploads.
    pub(crate) async fn unfinished(&self, how: &Unfinished) -> Siege {
        let mut tasks = JoinSet::new();
        for stream in self.open_many(how.connections, "h2").await {
            let how = how.clone();
            tasks.spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(stream);
                let Ok((sender, connection)) = builder.handshake(stream).await else {
                    return;
                };
                let mut uploads = JoinSet::new();
                for _ in 0..how.streams {
                    uploads.spawn(upload(sender.clone(), how.clone()));
                }
                let _ = connection.await;
            });
        }
        Siege::of(tasks)
    }

    /// `count` HTTP/1 clients that send `bytes` and the end of what they send, and read nothing.
    pub(crate) async fn half_closed(&self, count: usize, bytes: impl AsRef<[u8]>) -> Siege {
        let mut siege = self.mute(count, bytes).await;
        let closing = siege.held.iter_mut().map(AsyncWriteExt::shutdown);
        join_all(closing).await;
        siege
    }

    /// `count` HTTP/2 clients that send the frames of `begin` and then those of `again`, as fast as they are taken.
    pub(crate) async fn flood(&self, count: usize, begin: &[u8], again: &[u8]) -> Siege {
        let mut tasks = JoinSet::new();
        for stream in self.open_many(count, "h2").await {
            let (begin, again) = (begin.to_vec(), again.to_vec());
            tasks.spawn(async move {
                if let Some(frames) = Frames::try_over(stream, &[]).await {
                    let (read, mut write) = tokio::io::split(frames.into_stream());
                    let sending = async {
                        if write.write_all(&begin).await.is_err() {
                            return;
                        }
                        while !again.is_empty() && write.write_all(&again).await.is_ok() {}
                    };
                    tokio::join!(discard(read), sending);
                }
            });
        }
        Siege::of(tasks)
    }
}

impl Siege {
    fn holding(held: Vec<Stream>) -> Self {
        Self {
            held,
            tasks: Vec::new(),
        }
    }

    fn of(tasks: JoinSet<()>) -> Self {
        Self {
            held: Vec::new(),
            tasks: vec![tasks],
        }
    }

    /// Both.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.held.append(&mut other.held);
        self.tasks.append(&mut other.tasks);
        self
    }
}

/// Whether it could be sent.
async fn send(stream: &mut Stream, bytes: &[u8]) -> bool {
    let sending = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    matches!(timeout(TRY, sending).await, Ok(Ok(())))
}

async fn upload(mut sender: SendRequest<Part>, how: Unfinished) {
    let request = http::Request::post(format!("http://localhost{}", how.target));
    let body = Part { left: how.bytes };
    let request = request.body(body).unwrap();
    if sender.ready().await.is_ok() {
        let _ = sender.send_request(request).await;
    }
}

/// A body that stays without its end.
struct Part {
    left: usize,
}

impl Body for Part {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        static PIECE: [u8; 16_384] = [b'x'; 16_384];
        let size = self.left.min(PIECE.len());
        if size == 0 {
            return Poll::Pending;
        }
        self.left -= size;
        let piece = Bytes::from_static(&PIECE[..size]);
        Poll::Ready(Some(Ok(BodyFrame::data(piece))))
    }
}

async fn discard(mut read: ReadHalf<Stream>) {
    let mut scratch = vec![0; 1 << 16];
    while matches!(read.read(&mut scratch).await, Ok(1..)) {}
}

async fn stall(mut write: WriteHalf<Stream>, how: &Stalled) {
    let streams = || (0..how.streams).map(|number| 2 * number + 1);
    let fields = block(&request("GET", how.target, how.fields));
    let mut bytes = Frame::bytes(WINDOW_UPDATE, 0, 0, &WIDE.to_be_bytes());
    for stream in streams() {
        bytes.extend(Frame::bytes(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &fields,
        ));
    }
    if write.write_all(&bytes).await.is_err() || write.flush().await.is_err() {
        return;
    }
    let Some((more, every)) = how.more else {
        // The connection stays as long as this half of it.
        return std::future::pending().await;
    };
    let updates: Vec<u8> = streams()
        .flat_map(|stream| Frame::bytes(WINDOW_UPDATE, 0, stream, &more.to_be_bytes()))
        .collect();
    let mut pause = interval(every);
    while write.write_all(&updates).await.is_ok() && write.flush().await.is_ok() {
        pause.tick().await;
    }
}
