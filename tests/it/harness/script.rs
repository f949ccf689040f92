//! What a scripted responder does with one request, step by step.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::records::{self, Record};
use super::scripted_responder::Received;

/// The steps for one request. They begin when BEGIN_REQUEST has been read; nothing more is read unless a step says
/// so. After the last one the connection is ready for the next request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(super) steps: Vec<Step>,
    pub(super) bytewise: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    ReadParams,
    ReadRequest,
    ReadToEnd,
    /// At least so many bytes of STDIN.
    ReadSome(usize),
    Choose(Choice),
    Raw(Vec<u8>),
    /// In one write.
    Send {
        records: Vec<Record>,
        padding: u8,
    },
    Wait(Gate),
    Pause,
    LastWords(Vec<u8>, Gate),
    Close,
    Reset,
    Stall,
}

/// Which script a request gets.
#[derive(Clone)]
pub(super) struct Choice(pub(super) Arc<dyn Fn(&Received) -> Script + Send + Sync>);

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice")
    }
}

/// Holds scripts up until the test lets them through, one for each pass.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed one.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets `count` scripts through that wait or will come.
    pub(crate) fn pass(&self, count: usize) {
        self.0.add_permits(count);
    }

    /// Waits until it is let through.
    pub(crate) async fn wait(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Script {
    /// Does nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Reads the whole request, prints `text`, and ends the request: an ordinary application.
    pub(crate) fn answer(text: impl AsRef<[u8]>) -> Self {
        Self::new().read_request().stdout(text).end_request()
    }

    /// A whole request, and this answer once the gate is passed.
    pub(crate) fn held(gate: &Gate, text: impl AsRef<[u8]>) -> Self {
        Self::new()
            .read_request()
            .wait(gate)
            .stdout(text)
            .end_request()
    }

    /// Reads PARAMS and goes on as `choose` says.
    pub(crate) fn by(choose: impl Fn(&Received) -> Self + Send + Sync + 'static) -> Self {
        let choice = Choice(Arc::new(choose));
        Self::new().read_params().step(Step::Choose(choice))
    }

    /// Reads up to the empty PARAMS record.
    pub(crate) fn read_params(self) -> Self {
        self.step(Step::ReadParams)
    }

    /// Reads up to the empty STDIN record.
    pub(crate) fn read_request(self) -> Self {
        self.step(Step::ReadRequest)
    }

    /// Reads until the gateway closes the connection.
    pub(crate) fn read_to_end(self) -> Self {
        self.step(Step::ReadToEnd)
    }

    /// Reads PARAMS and at least so many bytes of STDIN, or all of it.
    pub(crate) fn read_some(self, bytes: usize) -> Self {
        self.step(Step::ReadSome(bytes))
    }

    /// Sends exactly these bytes; in the headers of records id 1 stands for the id of the request.
    pub(crate) fn raw(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Raw(bytes.into()))
    }

    /// Prints `text`, in as many records as it takes.
    pub(crate) fn stdout(self, text: impl AsRef<[u8]>) -> Self {
        self.print(records::STDOUT, text.as_ref(), 0)
    }

    /// The same with padding behind each record.
    pub(crate) fn stdout_padded(self, text: impl AsRef<[u8]>, padding: u8) -> Self {
        self.print(records::STDOUT, text.as_ref(), padding)
    }

    /// Writes `text` to the error stream, in as many records as it takes.
    pub(crate) fn stderr(self, text: impl AsRef<[u8]>) -> Self {
        self.print(records::STDERR, text.as_ref(), 0)
    }

    /// Sends records of any kind in one write; request id 0 stands for the id of the request.
    pub(crate) fn records(self, records: impl IntoIterator<Item = Record>) -> Self {
        self.step(Step::Send {
            records: records.into_iter().collect(),
            padding: 0,
        })
    }

    /// REQUEST_COMPLETE with exit status 0.
    pub(crate) fn end_request(self) -> Self {
        self.end(0, 0)
    }

    /// END_REQUEST as told (specification §5.5).
    pub(crate) fn end(self, app_status: u32, protocol_status: u8) -> Self {
        self.records([Record::end(0, app_status, protocol_status)])
    }

    /// Waits until the test lets it through.
    pub(crate) fn wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Does nothing for 2 ms.
    pub(crate) fn pause(self) -> Self {
        self.step(Step::Pause)
    }

    /// Closes the connection.
    pub(crate) fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Sends these bytes where the connection is still open, lets one through `told`, and closes.
    pub(crate) fn last_words(self, bytes: Vec<u8>, told: &Gate) -> Self {
        self.step(Step::LastWords(bytes, told.clone()))
    }

    /// Resets the connection (on a unix socket: closes it).
    pub(crate) fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Does nothing more and keeps the connection open.
    pub(crate) fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Sends every byte by itself.
    pub(crate) fn bytewise(self) -> Self {
        Self {
            bytewise: true,
            ..self
        }
    }

    fn print(self, kind: u8, text: &[u8], padding: u8) -> Self {
        let records = text
            .chunks(usize::from(u16::MAX))
            .map(|chunk| Record::new(kind, 0, chunk));
        records.fold(self, |script, record| {
            script.step(Step::Send {
                records: vec![record],
                padding,
            })
        })
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}
