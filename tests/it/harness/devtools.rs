//! The dialogue in which a browser asks for a user and a password. WebDriver has no command for it; Chromium's DevTools
//! protocol has (its Fetch domain), over a WebSocket (RFC 6455).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::address::Stream;
use super::{Address, Request, http1};

/// The dialogues of one window, from now on; it shows none any more when this is dropped.
pub(crate) struct Dialogues {
    /// The realms of those that were shown.
    shown: watch::Receiver<Vec<String>>,
    answers: Arc<Mutex<VecDeque<[String; 2]>>>,
    answering: JoinHandle<()>,
}

/// A connection to the window.
struct Socket {
    stream: Stream,
    commands: u64,
}

impl Dialogues {
    /// Watches the window of the browser that is debugged at `debugger`.
    pub(super) async fn watch(debugger: &Address) -> Self {
        let mut socket = Socket::open(debugger).await;
        let intercept = json!({ "handleAuthRequests": true });
        let command = socket.send("Fetch.enable", intercept).await.unwrap();
        while socket.receive().await.unwrap()["id"] != command {}
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, shown) = watch::channel(Vec::new());
        let given = Arc::clone(&answers);
        let answering = tokio::spawn(async move {
            // It ends with the browser.
            let _ = answer_all(socket, &given, &sender).await;
        });
        Self {
            shown,
            answers,
            answering,
        }
    }

    /// Fills in the next dialogue. One that nothing is filled in is cancelled.
    pub(crate) fn fill_in(&self, user: &str, password: &str) {
        let answer = [user.to_owned(), password.to_owned()];
        self.answers.lock().unwrap().push_back(answer);
    }

    /// The realms of the dialogues so far.
    pub(crate) fn realms(&self) -> Vec<String> {
        self.shown.borrow().clone()
    }
}

impl Drop for Dialogues {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

async fn answer_all(
    mut socket: Socket,
    answers: &Mutex<VecDeque<[String; 2]>>,
    shown: &watch::Sender<Vec<String>>,
) -> io::Result<()> {
    loop {
        let event = socket.receive().await?;
        let parameters = &event["params"];
        let request = &parameters["requestId"];
        match event["method"].as_str() {
            Some("Fetch.requestPaused") => {
                let go_on = json!({ "requestId": request });
                socket.send("Fetch.continueRequest", go_on).await?;
            }
            Some("Fetch.authRequired") => {
                let realm = parameters["authChallenge"]["realm"].as_str().unwrap();
                shown.send_modify(|shown| shown.push(realm.to_owned()));
                let answer = match answers.lock().unwrap().pop_front() {
                    Some([username, password]) => {
                        json!({ "response": "ProvideCredentials", "username": username, "password": password })
                    }
                    None => json!({ "response": "CancelAuth" }),
                };
                let answered = json!({ "requestId": request, "authChallengeResponse": answer });
                socket.send("Fetch.continueWithAuth", answered).await?;
            }
            _ => {}
        }
    }
}

/// First bytes of frames (RFC 6455 §5.2): the end of a message, with text; the bit for that end; the bit for a mask.
const WHOLE_TEXT: u8 = 0x81;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

impl Socket {
    async fn open(debugger: &Address) -> Self {
        let targets = http1::send(debugger, &Request::get("/json/list")).await;
        let targets = targets.json();
        let mut pages = targets.as_array().unwrap().iter();
        let page = pages.find(|target| target["type"] == "page").unwrap();
        let url = page["webSocketDebuggerUrl"].as_str().unwrap();
        let path = url.strip_prefix("ws://").unwrap();
        let (_, path) = path.split_once('/').unwrap();
        let mut stream = debugger.connect().await;
        let head = format!(
            "GET /{path} HTTP/1.1\r\nHost: {debugger}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        Self {
            stream,
            commands: 0,
        }
    }

    /// Sends a command and returns its number.
    async fn send(&mut self, method: &str, parameters: Value) -> io::Result<u64> {
        self.commands += 1;
        let command = json!({ "id": self.commands, "method": method, "params": parameters });
        let text = command.to_string().into_bytes();
        let length = u16::try_from(text.len()).unwrap();
        let mut frame = vec![WHOLE_TEXT];
        match u8::try_from(length) {
            Ok(short @ ..=125) => frame.push(MASKED | short),
            Ok(_) | Err(_) => {
                frame.push(MASKED | 126);
                frame.extend(length.to_be_bytes());
            }
        }
        // A mask of zeros leaves the text as it is.
        frame.extend([0; 4]);
        frame.extend(text);
        self.stream.write_all(&frame).await?;
        Ok(self.commands)
    }

    /// Receives a message, which may come in several frames.
    async fn receive(&mut self) -> io::Result<Value> {
        let mut message = Vec::new();
        loop {
            let first = self.stream.read_u8().await?;
            let length = match self.stream.read_u8().await? {
                126 => u64::from(self.stream.read_u16().await?),
                127 => self.stream.read_u64().await?,
                short => u64::from(short),
            };
            let start = message.len();
            message.resize(start + usize::try_from(length).unwrap(), 0);
            self.stream.read_exact(&mut message[start..]).await?;
            if first & FINAL != 0 {
                return serde_json::from_slice(&message).map_err(io::Error::other);
            }
        }
    }
}
