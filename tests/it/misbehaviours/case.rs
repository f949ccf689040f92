//! One row of the table: what the application does, and what the client must see.

use http_body_util::BodyExt;
use serde_json::Value;

use crate::harness::{Connection, Gate, Request, Response, Script, http2, patiently};

/// A misbehaviour.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) script: Script,
    pub(super) view: View,
    pub(super) method: &'static str,
    /// Bytes of the request's content.
    pub(super) upload: usize,
    /// The beginning of the path, which chooses the limits of time.
    pub(super) limits: &'static str,
    pub(super) pause: Option<Pause>,
}

/// The script goes on when the client has so many bytes of the content.
pub(super) struct Pause {
    pub(super) gate: Gate,
    pub(super) after: usize,
}

/// What the client sees.
pub(super) enum View {
    /// This status and this content, to its end.
    Whole(u16, Vec<u8>),
    /// An error page of ours with this status and cause.
    Refused(u16, &'static str),
    /// 200 and exactly this much of the content, visibly cut for this cause.
    Cut(Vec<u8>, &'static str),
}

/// What comes before a break.
pub(super) const PART: &str = "the first part";

impl Case {
    pub(super) fn new(name: &'static str, script: Script, view: View) -> Self {
        Self {
            name,
            script,
            view,
            method: "GET",
            upload: 0,
            limits: "",
            pause: None,
        }
    }

    /// 200 with this content.
    pub(super) fn whole(name: &'static str, script: Script, content: &str) -> Self {
        Self::new(name, script, View::whole(content))
    }

    /// 502 with this cause.
    pub(super) fn refused(name: &'static str, script: Script, cause: &'static str) -> Self {
        Self::new(name, script, View::Refused(502, cause))
    }

    /// Prints `head` and [`PART`]; does the rest when the client has them.
    pub(super) fn cut(
        name: &'static str,
        head: &str,
        rest: impl FnOnce(Script) -> Script,
        cause: &'static str,
    ) -> Self {
        let mut case = Self::paused(name, head, rest);
        case.view = View::Cut(PART.into(), cause);
        case
    }

    /// The same, where [`PART`] is all of the content.
    pub(super) fn paused(
        name: &'static str,
        head: &str,
        rest: impl FnOnce(Script) -> Script,
    ) -> Self {
        let gate = Gate::new();
        let begun = Script::new().read_request();
        let begun = begun.stdout(format!("{head}\n{PART}")).wait(&gate);
        let after = PART.len();
        Self {
            pause: Some(Pause { gate, after }),
            ..Self::whole(name, rest(begun), PART)
        }
    }

    pub(super) fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// A POST with so many bytes.
    pub(super) fn upload(self, upload: usize) -> Self {
        Self { upload, ..self }.method("POST")
    }

    pub(super) fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }
}

impl View {
    pub(super) fn whole(content: &str) -> Self {
        Self::Whole(200, content.into())
    }

    /// The cause code in the access log.
    pub(super) fn cause(&self) -> Value {
        match self {
            Self::Whole(..) => Value::Null,
            Self::Refused(_, cause) | Self::Cut(_, cause) => (*cause).into(),
        }
    }

    #[track_caller]
    pub(super) fn check(&self, name: &str, response: &Response) {
        let Response { status, whole, .. } = *response;
        match self {
            Self::Whole(expected, content) => {
                assert_eq!((status, whole), (*expected, true), "{name}: {response:?}");
                assert!(response.body == *content, "{name}: {response:?}");
            }
            Self::Refused(expected, cause) => {
                assert_eq!((status, whole), (*expected, true), "{name}: {response:?}");
                let text = response.text();
                assert!(text.contains(cause), "{name}: {text}");
                assert!(
                    !text.contains("stolen") && !text.contains(PART),
                    "{name}: {text}"
                );
                assert!(
                    response.header("x-stolen").is_none(),
                    "{name}: {response:?}"
                );
            }
            Self::Cut(part, _) => {
                assert_eq!((status, whole), (200, false), "{name}: {response:?}");
                assert!(response.body == *part, "{name}: {response:?}");
            }
        }
    }
}

/// A connection of either version.
pub(super) enum Client {
    Http1(Box<Connection>),
    Http2(http2::Connection),
}

impl Client {
    pub(super) fn version(&self) -> &'static str {
        match self {
            Self::Http1(_) => "h1",
            Self::Http2(_) => "h2",
        }
    }

    pub(super) async fn send(&mut self, request: &Request) -> Response {
        match self {
            Self::Http1(connection) => connection.send(request).await,
            Self::Http2(connection) => connection.send(request).await,
        }
    }

    /// Sends it, lets the script go on where it pauses, and reads to the end.
    pub(super) async fn ask(&mut self, request: &Request, pause: Option<&Pause>) -> Response {
        match (self, pause) {
            (client, None) => client.send(request).await,
            (Self::Http1(connection), Some(pause)) => http1(connection, request, pause).await,
            (Self::Http2(connection), Some(pause)) => http2(connection, request, pause).await,
        }
    }
}

async fn http1(connection: &mut Connection, request: &Request, pause: &Pause) -> Response {
    connection.start(request).await;
    let mut response = connection.head().await;
    response.whole = loop {
        match connection.piece().await {
            Ok(Some(piece)) => pause.receive(&mut response, &piece),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    response
}

async fn http2(connection: &mut http2::Connection, request: &Request, pause: &Pause) -> Response {
    let started = patiently("the head", connection.start(request)).await;
    let mut response = Response::none();
    response.status = started.status().as_u16();
    let mut content = started.into_body();
    response.whole = loop {
        match patiently("a frame", content.frame()).await {
            Some(Ok(frame)) => {
                pause.receive(&mut response, &frame.into_data().unwrap_or_default());
            }
            Some(Err(_)) => break false,
            None => break true,
        }
    };
    response
}

impl Pause {
    fn receive(&self, response: &mut Response, piece: &[u8]) {
        let before = response.body.len();
        response.body.extend(piece);
        if before < self.after && response.body.len() >= self.after {
            self.gate.pass(1);
        }
    }
}
