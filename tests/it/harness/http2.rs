//! A client that speaks HTTP/2, in clear text with prior knowledge (RFC 9113 §3.3) or over TLS.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::address::Stream;
use super::{Address, Content, Request, Response, patiently};

/// What heads may have here, in bytes: more than the gateway takes from a script. hyper's own limit is 16 KiB.
const LARGEST_HEAD: u32 = 1 << 18;

/// One connection; its clones share it. It is closed when the last is dropped.
#[derive(Clone)]
pub(crate) struct Connection {
    sender: SendRequest<Content>,
    scheme: &'static str,
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(address: &Address, request: &Request) -> Response {
    Connection::open(address).await.send(request).await
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Self {
        Self::over(address.connect().await).await
    }

    /// On a stream that is open already.
    pub(crate) async fn over(stream: Stream) -> Self {
        Self::speaking("http", stream).await
    }

    /// The same, on a stream that TLS protects.
    pub(crate) async fn secured(stream: Stream) -> Self {
        Self::speaking("https", stream).await
    }

    async fn speaking(scheme: &'static str, stream: Stream) -> Self {
        let stream = TokioIo::new(stream);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.max_header_list_size(LARGEST_HEAD);
        let (sender, connection) = builder.handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self { sender, scheme }
    }

    /// A stream that is reset before its head was seen is a response with the status 0.
    pub(crate) async fn send(&mut self, request: &Request) -> Response {
        patiently(&format!("{} {}", request.method, request.target), async {
            let Ok(started) = self.try_start(request).await else {
                return Response::none();
            };
            let (head, mut content) = started.into_parts();
            let mut response = response_of(&head);
            response.whole = loop {
                match content.frame().await {
                    Some(Ok(frame)) => response.body.extend(frame.into_data().unwrap_or_default()),
                    Some(Err(_)) => break false,
                    None => break true,
                }
            };
            response
        })
        .await
    }

    /// Sends a request and reads the head of its response.
    pub(crate) async fn start(&mut self, request: &Request) -> http::Response<Incoming> {
        self.try_start(request).await.unwrap()
    }

    /// The same; fails when the stream is reset before the head.
    pub(crate) async fn try_start(
        &mut self,
        request: &Request,
    ) -> hyper::Result<http::Response<Incoming>> {
        self.sender.ready().await?;
        let message = message(self.scheme, request);
        self.sender.send_request(message).await
    }
}

fn message(scheme: &str, request: &Request) -> http::Request<Content> {
    let host = request
        .fields
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"));
    let authority = host.map_or("localhost", |(_, value)| value.as_str());
    let uri = format!("{scheme}://{authority}{}", request.target);
    let mut builder = http::Request::builder()
        .method(request.method.as_str())
        .uri(uri);
    for (name, value) in request
        .fields
        .iter()
        .filter(|(name, _)| !name.eq_ignore_ascii_case("host"))
    {
        builder = builder.header(name, value);
    }
    builder
        .body(request.content.clone().unwrap_or_default())
        .unwrap()
}

fn response_of(head: &http::response::Parts) -> Response {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let fields = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)));
    Response {
        status: head.status.as_u16(),
        fields: fields.collect(),
        ..Response::none()
    }
}
