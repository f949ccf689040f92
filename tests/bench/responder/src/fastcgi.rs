//! The FastCGI application: it reads a request to its end and sends an answer that was ready before it came.
//!
//! The last segment of SCRIPT_FILENAME chooses the answer: see `Answers::new`. Answers are encoded with the id 1, which is
//! what most gateways send; for another they are copied and stamped.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listener::{Listener, Stream};

// Types of records (FastCGI specification §8).
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const GET_VALUES: u8 = 9;
const GET_VALUES_RESULT: u8 = 10;

const HEADER: usize = 8;
const KEEP_CONN: u8 = 1;
const REQUEST_ID: [u8; 2] = [0, 1];

/// The content of a record of a large answer: what PHP sends of one that it does not print in small pieces.
const PIECE: usize = 32 * 1024;
const MIB: usize = 1024 * 1024;

/// Room for the largest record, and for more than one read of a body.
const MOST_BUFFERED: usize = 256 * 1024;
const FIRST_BUFFERED: usize = 8 * 1024;

/// Answers until it is ended.
pub(crate) async fn serve(address: &str) -> io::Result<()> {
    let listener = Listener::bind(address)?;
    let answers = Arc::new(Answers::new());
    loop {
        let stream = listener.accept().await?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // A gateway that leaves in the middle of a request is no fault of ours.
            let _ = Connection::new(stream, answers).serve().await;
        });
    }
}

/// An answer, encoded: `block` is sent `times` times between `head` and `end`.
#[derive(Clone)]
struct Answer {
    delay: Duration,
    head: Vec<u8>,
    block: Vec<u8>,
    times: usize,
    end: Vec<u8>,
}

impl Answer {
    /// The same for the request `id`.
    fn stamped(&self, id: [u8; 2]) -> Self {
        let mut answer = self.clone();
        for records in [&mut answer.head, &mut answer.block, &mut answer.end] {
            let mut rest = records.as_mut_slice();
            while let Some((header, content)) = rest.split_first_chunk_mut::<HEADER>() {
                [header[2], header[3]] = id;
                let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
                rest = &mut content[length..];
            }
        }
        answer
    }

    fn small(delay: Duration) -> Self {
        let mut head = record(
            STDOUT,
            b"Content-Type: text/plain\r\n\r\nHello from FastCGI\n",
        );
        head.extend(record(END_REQUEST, &[0; 8]));
        Self {
            delay,
            head,
            block: Vec::new(),
            times: 0,
            end: Vec::new(),
        }
    }

    /// Of so many MiB, and of no length that is told beforehand, as PHP's are.
    fn large(times: usize) -> Self {
        Self {
            delay: Duration::ZERO,
            head: record(STDOUT, b"Content-Type: application/octet-stream\r\n\r\n"),
            block: record(STDOUT, &[b'x'; PIECE]).repeat(MIB / PIECE),
            times,
            end: record(END_REQUEST, &[0; 8]),
        }
    }
}

struct Answers {
    hello: Answer,
    slow: Answer,
    one_mib: Answer,
    sixty_four_mib: Answer,
}

impl Answers {
    fn new() -> Self {
        Self {
            hello: Answer::small(Duration::ZERO),
            slow: Answer::small(Duration::from_secs(1)),
            one_mib: Answer::large(1),
            sixty_four_mib: Answer::large(64),
        }
    }

    fn of(&self, script: &[u8]) -> &Answer {
        match script.rsplit(|byte| *byte == b'/').next() {
            Some(b"slow.php") => &self.slow,
            Some(b"1m.php") => &self.one_mib,
            Some(b"64m.php") => &self.sixty_four_mib,
            _ => &self.hello,
        }
    }
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let [id_high, id_low] = REQUEST_ID;
    let mut record = vec![1, kind, id_high, id_low, high, low, 0, 0];
    record.extend_from_slice(&content[..usize::from(length)]);
    record
}

struct Connection {
    stream: Box<dyn Stream>,
    answers: Arc<Answers>,
    /// What was read and not looked at is `buffer[start..end]`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    keep: bool,
    /// Of the request that is being read.
    id: [u8; 2],
    params: Vec<u8>,
}

impl Connection {
    fn new(stream: Box<dyn Stream>, answers: Arc<Answers>) -> Self {
        Self {
            stream,
            answers,
            buffer: vec![0; FIRST_BUFFERED],
            start: 0,
            end: 0,
            keep: false,
            id: REQUEST_ID,
            params: Vec::new(),
        }
    }

    async fn serve(mut self) -> io::Result<()> {
        while let Some((kind, id, content)) = self.next().await? {
            if kind == GET_VALUES {
                self.acknowledge().await?;
                continue;
            }
            match kind {
                BEGIN_REQUEST => {
                    self.id = id;
                    self.keep = self.buffer[content][2] & KEEP_CONN != 0;
                }
                _ if id != self.id => {
                    return Err(io::Error::other("a record of another request"));
                }
                PARAMS => self.params.extend_from_slice(&self.buffer[content]),
                STDIN if content.is_empty() => {
                    self.answer().await?;
                    if !self.keep {
                        return self.stream.shutdown().await;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The next record: its type, its request's id, and where its content lies; none at the end of the stream.
    async fn next(&mut self) -> io::Result<Option<(u8, [u8; 2], std::ops::Range<usize>)>> {
        if !self.fill(HEADER).await? {
            return Ok(None);
        }
        let [_, kind, id_high, id_low, high, low, padding, _] = self.buffer[self.start..][..HEADER]
        else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let whole = HEADER + length + usize::from(padding);
        if !self.fill(whole).await? {
            return Ok(None);
        }
        let content = self.start + HEADER;
        self.start += whole;
        Ok(Some((kind, [id_high, id_low], content..content + length)))
    }

    /// Reads until so many bytes are there; false where the stream ends before.
    async fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        while self.end - self.start < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if wanted > self.buffer.len() {
                self.buffer.resize(MOST_BUFFERED, 0);
            }
            match self.stream.read(&mut self.buffer[self.end..]).await? {
                0 => return Ok(false),
                read => self.end += read,
            }
        }
        Ok(true)
    }

    /// Answers a probe as PHP-FPM does: it knows one of the names.
    async fn acknowledge(&mut self) -> io::Result<()> {
        let mut values = record(GET_VALUES_RESULT, b"\x0f\x01FCGI_MPXS_CONNS0");
        values[3] = 0; // management records belong to no request (§3.3)
        self.stream.write_all(&values).await
    }

    async fn answer(&mut self) -> io::Result<()> {
        let answer = self
            .answers
            .of(parameter(&self.params, b"SCRIPT_FILENAME").unwrap_or_default());
        let stamped = (self.id != REQUEST_ID).then(|| answer.stamped(self.id));
        let answer = stamped.as_ref().unwrap_or(answer);
        if !answer.delay.is_zero() {
            tokio::time::sleep(answer.delay).await;
        }
        self.stream.write_all(&answer.head).await?;
        for _ in 0..answer.times {
            self.stream.write_all(&answer.block).await?;
        }
        if !answer.end.is_empty() {
            self.stream.write_all(&answer.end).await?;
        }
        self.params.clear();
        Ok(())
    }
}

/// The value of a name in name-value pairs (§3.4).
fn parameter<'a>(mut pairs: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    while !pairs.is_empty() {
        let (name, rest) = length(pairs)?;
        let (value, rest) = length(rest)?;
        let (name, rest) = rest.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        if name == wanted {
            return Some(value);
        }
        pairs = rest;
    }
    None
}

/// A length of one byte or four, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short, ref rest @ ..] if short < 128 => Some((usize::from(short), rest)),
        [a, b, c, d, ref rest @ ..] => {
            let long = u32::from_be_bytes([a & 127, b, c, d]);
            Some((usize::try_from(long).ok()?, rest))
        }
        _ => None,
    }
}
