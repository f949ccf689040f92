//! The floor: the least that a program can do between a request and an answer.
//!
//! One read, a look for the path, one write of an answer that was in memory before; no dates, no log, no limits. It is
//! no server to use: what it costs is what the kernel costs.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listener::{Listener, Stream};

/// Files that are larger are not served: they would all be in memory.
const MOST_SERVED: u64 = 1024 * 1024;

const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

type Answers = HashMap<Vec<u8>, Vec<u8>>;

/// Serves the files of a folder until it is ended.
pub(crate) async fn serve(configuration: &Path) -> io::Result<()> {
    let lines = std::fs::read_to_string(configuration)?;
    let (address, root) = lines.trim_end().split_once('\n').unwrap_or_default();
    let answers = Arc::new(answers(Path::new(root))?);
    let listener = Listener::bind(address)?;
    loop {
        let stream = listener.accept().await?;
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            // A client that leaves is no fault of ours.
            let _ = connection(stream, &answers).await;
        });
    }
}

/// The answers by path.
fn answers(root: &Path) -> io::Result<Answers> {
    let mut answers = Answers::new();
    for entry in root.read_dir()? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if !metadata.is_file() || metadata.len() > MOST_SERVED {
            continue;
        }
        let path = format!("/{}", entry.file_name().to_string_lossy());
        let length = metadata.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        let mut answer = head.into_bytes();
        answer.extend(std::fs::read(entry.path())?);
        answers.insert(path.into_bytes(), answer);
    }
    Ok(answers)
}

/// Says that the connection ends, for wrk to not take its end for an error.
async fn last(mut stream: Box<dyn Stream>, answer: &[u8]) -> io::Result<()> {
    let line = answer.iter().position(|byte| *byte == b'\n');
    let (status, rest) = answer.split_at(line.map_or(0, |end| end + 1));
    let answer = [status, b"Connection: close\r\n", rest].concat();
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

async fn connection(mut stream: Box<dyn Stream>, answers: &Answers) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        // Heads of the load generators are short and come in one piece, one at a time.
        let Some(head) = buffer[..read].strip_suffix(b"\r\n\r\n") else {
            return Ok(());
        };
        let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let answer = answers.get(path).map_or(NOT_FOUND, Vec::as_slice);
        if head.windows(17).any(|field| field == b"Connection: close") {
            return last(stream, answer).await;
        }
        stream.write_all(answer).await?;
    }
}
