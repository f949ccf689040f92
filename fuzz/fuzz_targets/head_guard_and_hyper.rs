//! What the head guard lets pass, hyper reads in the same way: the same requests with the same content. Where the two
//! disagree, a request could be smuggled past the rules.
#![no_main]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fcgate_fuzz::{BOUNDS, Guarded, Message, guard};
use http::{Method, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncWriteExt, duplex};

/// A request as hyper read it.
#[derive(Debug)]
struct Read {
    method: Method,
    uri: Uri,
    is_chunked: bool,
    /// Absent where the client broke off.
    content: Option<Bytes>,
}

fuzz_target!(|bytes: &[u8]| {
    let guarded = guard(&[bytes]);
    let (read, result) = serve(guarded.passed());
    agree(&guarded, &read);
    // hyper refuses targets that are no URI, and ends a connection that it was told to close.
    let all = read.len() == guarded.messages.len();
    assert!(all || result.is_err() || closes(&guarded, read.len()));
    if let Err(error) = result.as_ref() {
        let refused = error.to_string() == "invalid URI" && !all;
        assert!(refused || guarded.in_content, "{error:?}");
    }
});

fn agree(guarded: &Guarded, read: &[Read]) {
    assert!(read.len() <= guarded.messages.len(), "{read:?}");
    for (index, (message, read)) in guarded.messages.iter().zip(read).enumerate() {
        is_the_same(message, read);
        let is_whole = index + 1 < guarded.messages.len() || !guarded.in_content;
        assert_eq!(read.content.is_some(), is_whole, "one sees an end, one not");
    }
}

fn is_the_same(message: &Message, read: &Read) {
    let head = message.head.strip_prefix(b"\r\n").unwrap_or(&message.head);
    let mut words = head.split(|byte| *byte == b' ');
    assert_eq!(words.next(), Some(read.method.as_str().as_bytes()));
    let target = words.next().unwrap_or_default();
    assert_eq!(Uri::try_from(target).ok().as_ref(), Some(&read.uri));
    match &read.content {
        None => {}
        Some(content) if read.is_chunked => assert_eq!(*content, without_chunks(&message.content)),
        Some(content) => assert_eq!(*content, message.content),
    }
}

/// What chunks contain (RFC 9112 §7.1.3), of which the guard has judged the form.
fn without_chunks(mut chunks: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let digits = chunks.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let digits = str::from_utf8(&chunks[..digits.count()]).expect("digits");
        let size = usize::from_str_radix(digits, 16).expect("a size");
        if size == 0 {
            return content;
        }
        let line = chunks.iter().position(|byte| *byte == b'\n');
        let data = &chunks[line.expect("the end of a line") + 1..];
        content.extend_from_slice(&data[..size]);
        chunks = &data[size + 2..];
    }
}

/// Whether the last of the requests that hyper read may end the connection (RFC 9112 §9.3).
fn closes(guarded: &Guarded, read: usize) -> bool {
    let last = read
        .checked_sub(1)
        .and_then(|index| guarded.messages.get(index));
    last.is_some_and(|message| {
        let head = String::from_utf8_lossy(&message.head).to_ascii_lowercase();
        head.contains("connection:") || head.contains(" http/1.0\r\n")
    })
}

fn serve(passed: Vec<u8>) -> (Vec<Read>, hyper::Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (mut client, server) = duplex(passed.len() + 64 * 1024);
        client.write_all(&passed).await.expect("room for all");
        client.shutdown().await.expect("an end");
        let log = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&log);
        let service = service_fn(move |request| answer(Arc::clone(&written), request));
        let mut builder = http1::Builder::new();
        builder.max_headers(BOUNDS.fields).half_close(true);
        let result = builder
            .serve_connection(TokioIo::new(server), service)
            .await;
        let read = std::mem::take(&mut *log.lock().expect("nobody panicked"));
        (read, result)
    })
}

async fn answer(
    log: Arc<Mutex<Vec<Read>>>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let content = body.collect().await.ok();
    log.lock().expect("nobody panicked").push(Read {
        is_chunked: head.headers.contains_key("transfer-encoding"),
        method: head.method,
        uri: head.uri,
        content: content.map(|content| content.to_bytes()),
    });
    Ok(http::Response::new(Empty::new()))
}
