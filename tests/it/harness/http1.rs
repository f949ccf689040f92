//! A client that speaks HTTP/1.1 byte by byte, so that tests can send what no library would, and see where an answer
//! breaks off.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};

use super::address::Stream;
use super::{Address, Content, Request, Response, patiently};

/// One connection. Dropped, it is closed.
pub(crate) struct Connection {
    reader: Reader,
    writer: WriteHalf<Stream>,
}

struct Reader {
    stream: BufReader<ReadHalf<Stream>>,
    left: Left,
}

/// What is to come of the content of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Bytes(usize),
    Chunks,
    UntilClose,
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(address: &Address, request: &Request) -> Response {
    Connection::open(address).await.send(request).await
}

/// Sends `bytes` and gives back all that comes until the connection is closed.
pub(crate) async fn raw(address: &Address, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut connection = Connection::open(address).await;
    connection.write(bytes).await;
    connection.read_to_end().await
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Self {
        Self::over(address.connect().await)
    }

    /// On a stream that is open already.
    pub(crate) fn over(stream: Stream) -> Self {
        let (read, writer) = tokio::io::split(stream);
        Self {
            reader: Reader {
                stream: BufReader::new(read),
                left: Left::Nothing,
            },
            writer,
        }
    }

    /// Writes these bytes; that the other side does not want them is no failure.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.writer.write_all(bytes.as_ref()).await;
        let _ = self.writer.flush().await;
    }

    /// Returns whether the other side has closed the connection by now.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let read = std::pin::pin!(self.reader.stream.fill_buf());
        let looked = futures_util::future::poll_immediate(read).await;
        looked.is_some_and(|read| read.is_ok_and(<[u8]>::is_empty))
    }

    /// Sends no more, and reads on.
    pub(crate) async fn close_sending(&mut self) {
        let _ = self.writer.shutdown().await;
    }

    /// Sends a request and reads its response, at the same time: an answer may come before the content is sent.
    pub(crate) async fn send(&mut self, request: &Request) -> Response {
        let head = head_of(request);
        let writer = &mut self.writer;
        let writing = async {
            let _ = write_request(writer, &head, request.content.as_ref()).await;
            std::future::pending::<Response>().await
        };
        let reading = self.reader.response(request.method == "HEAD");
        patiently(&format!("{} {}", request.method, request.target), async {
            tokio::select! { response = reading => response, response = writing => response }
        })
        .await
    }

    /// Writes a request without waiting for an answer.
    pub(crate) async fn start(&mut self, request: &Request) {
        let _ = write_request(
            &mut self.writer,
            &head_of(request),
            request.content.as_ref(),
        )
        .await;
    }

    /// Reads a response to anything but HEAD.
    pub(crate) async fn response(&mut self) -> Response {
        patiently("a response", self.reader.response(false)).await
    }

    /// Reads the head of a response; the content comes by [`Self::piece`].
    pub(crate) async fn head(&mut self) -> Response {
        patiently("the head of a response", self.reader.head(false))
            .await
            .unwrap()
    }

    /// The next piece of content as it was sent: a chunk, or what is there. `None` at its end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        patiently("a piece of content", self.reader.piece()).await
    }

    /// The status of the next head, final or not; its content is not read.
    pub(crate) async fn interim(&mut self) -> u16 {
        patiently("any head", self.reader.any_head())
            .await
            .unwrap()
            .status
    }

    /// Everything until the other side closes, or resets, the connection.
    pub(crate) async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = patiently(
            "the end of the connection",
            self.reader.stream.read_to_end(&mut bytes),
        )
        .await;
        bytes
    }
}

fn head_of(request: &Request) -> String {
    let Request {
        method,
        target,
        fields,
        version,
        ..
    } = request;
    let mut head = format!("{method} {target} {version}\r\n");
    let named = fields
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"));
    if !named && *version == "HTTP/1.1" {
        head += "Host: localhost\r\n";
    }
    for (name, value) in fields {
        head += &format!("{name}: {value}\r\n");
    }
    match &request.content {
        Some(content) if content.is_announced() => {
            head += &format!("Content-Length: {}\r\n", content.length())
        }
        Some(_) => head += "Transfer-Encoding: chunked\r\n",
        None => {}
    }
    head + "\r\n"
}

async fn write_request(
    writer: &mut WriteHalf<Stream>,
    head: &str,
    content: Option<&Content>,
) -> io::Result<()> {
    writer.write_all(head.as_bytes()).await?;
    let Some(content) = content else {
        return writer.flush().await;
    };
    for piece in content.pieces() {
        if content.is_announced() {
            writer.write_all(piece).await?;
        } else {
            writer
                .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
                .await?;
            writer.write_all(piece).await?;
            writer.write_all(b"\r\n").await?;
        }
    }
    if !content.is_announced() {
        writer.write_all(b"0\r\n\r\n").await?;
    }
    writer.flush().await
}

impl Reader {
    /// A connection that ends before the head does is a response with the status 0.
    async fn response(&mut self, to_head: bool) -> Response {
        let Ok(mut response) = self.head(to_head).await else {
            return Response::none();
        };
        response.whole = loop {
            match self.piece().await {
                Ok(Some(piece)) => response.body.extend(piece),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        response
    }

    /// The final head; interim ones (RFC 9110 §15.2) are passed over.
    async fn head(&mut self, to_head: bool) -> io::Result<Response> {
        loop {
            let response = self.any_head().await?;
            if response.status >= 200 {
                self.left = left(&response, to_head);
                return Ok(response);
            }
        }
    }

    async fn any_head(&mut self) -> io::Result<Response> {
        let status_line = self.line().await?;
        let mut words = status_line.split(' ');
        let (version, status) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        assert!(
            version.starts_with("HTTP/1."),
            "not a status line: {status_line:?}"
        );
        let mut response = Response {
            status: status.parse().unwrap(),
            ..Response::none()
        };
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(response);
            }
            let Some((name, value)) = line.split_once(':') else {
                panic!("not a field line: {line:?}")
            };
            response
                .fields
                .push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A line without its end, which must be CRLF.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        let text = line
            .strip_suffix(b"\r\n")
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.left {
            Left::Nothing => Ok(None),
            Left::Chunks => self.chunk().await,
            Left::Bytes(left) => {
                let piece = self.some(left).await?;
                if piece.is_empty() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let left = left - piece.len();
                self.left = if left == 0 {
                    Left::Nothing
                } else {
                    Left::Bytes(left)
                };
                Ok(Some(piece))
            }
            Left::UntilClose => {
                let piece = self.some(65_536).await?;
                Ok((!piece.is_empty()).then_some(piece))
            }
        }
    }

    /// At most `most` bytes, whatever is there; empty at the end of the connection.
    async fn some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        (&mut self.stream)
            .take(most.min(65_536) as u64)
            .read_buf(&mut piece)
            .await?;
        Ok(piece)
    }

    async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let size = line
            .strip_suffix("\r\n")
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).await?;
        assert_eq!(
            chunk.split_off(size),
            b"\r\n",
            "a chunk is longer than it says"
        );
        if size == 0 {
            self.left = Left::Nothing;
            return Ok(None);
        }
        Ok(Some(chunk))
    }
}

/// RFC 9112 §6.3.
fn left(response: &Response, to_head: bool) -> Left {
    if to_head || response.status == 204 || response.status == 304 {
        return Left::Nothing;
    }
    match (
        response.header("transfer-encoding"),
        response.header("content-length"),
    ) {
        (Some("chunked"), None) => Left::Chunks,
        (None, Some("0")) => Left::Nothing,
        (None, Some(length)) => Left::Bytes(length.parse().unwrap()),
        (None, None) => Left::UntilClose,
        (Some(_), _) => panic!("contradictory or unknown framing: {response:?}"),
    }
}
