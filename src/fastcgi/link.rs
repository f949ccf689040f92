//! What an exchange runs on, what it is given, and what it leaves.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::decoder::Decoder;
use super::management::Values;
use super::record::Id;
use crate::message::Upload;
use crate::timer::Timer;

/// A connection that an exchange can run on.
pub trait Link: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Notes that the application answered the probe with `values`: a worker is on this connection. Returns how long that
    /// took; `None` where no probe was sent, so that the answer is nobody's.
    fn acknowledged(&mut self, values: Values) -> Option<Duration>;

    /// Reports whether other requests wait for the worker on it.
    fn is_waited_for(&self) -> bool;

    /// What its deadlines are waited for with; it stays with the connection, where the next exchange
    /// finds it made and in its place.
    fn timer(&mut self) -> Option<&mut Timer>;

    /// Takes the connection back behind END_REQUEST: the answer is whole. Its worker may still be at work.
    fn end(self, ended: Ended);
}

/// What a connection is when its request has ended.
#[derive(Debug)]
pub struct Ended {
    /// Skips what the script prints now.
    pub decoder: Decoder,
    /// What was read behind END_REQUEST.
    pub input: BytesMut,
    /// Whether all of the request was written: the next one can only follow then.
    pub is_sent: bool,
    /// Whether a probe was written behind it.
    pub is_asked: bool,
}

/// What to send.
#[derive(Debug)]
pub struct Outbound {
    /// The request's id, as in the records of `head` and `held`.
    pub id: Id,
    /// The request before it, where nothing proved that its script was done.
    pub over: Option<Id>,
    /// BEGIN_REQUEST and PARAMS, with the probe in front on a new connection.
    pub head: Bytes,
    /// What waits for the acknowledgement: the empty PARAMS record of an unsafe method, without
    /// which no application starts to work (docs/internals/admission.md, "The probe in front").
    pub held: Option<Bytes>,
    /// Whether `head` begins with a probe, so that an acknowledgement is to come.
    pub probed: bool,
    /// Whether a probe follows the end of STDIN: for who reads no further than it has to, and keeps it for later.
    pub asks_behind: bool,
    /// The request's content.
    pub upload: Upload,
    /// Whether the application is let finish when the client has gone: what it does for an unsafe
    /// method is worth something without anybody who reads the answer.
    pub runs_on: bool,
}
