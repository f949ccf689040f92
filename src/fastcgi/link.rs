//! The connection of an exchange, its input, and its state at the end.

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
    /// Accepts the application's answer to the probe, `values`: a worker is on this connection. Returns the
    /// time since the probe; `None` where no probe was sent.
    fn acknowledged(&mut self, values: Values) -> Option<Duration>;

    /// Reports whether other requests wait for its worker.
    fn is_waited_for(&self) -> bool;

    /// Returns the timer of its deadlines; it stays with the connection, where the next exchange reuses it.
    fn timer(&mut self) -> Option<&mut Timer>;

    /// Takes the connection back after END_REQUEST: the answer is complete. Its worker may still be at work.
    fn end(self, ended: Ended);
}

/// State of a connection after END_REQUEST.
#[derive(Debug)]
pub struct Ended {
    /// The decoder, which skips later output of the script.
    pub decoder: Decoder,
    /// Bytes read after END_REQUEST.
    pub input: BytesMut,
    /// True if the whole request was written: the next one can only follow then.
    pub is_sent: bool,
    /// True if a probe was written after it.
    pub is_probed: bool,
}

/// A request to send.
#[derive(Debug)]
pub struct Outbound {
    /// The request's id, as in the records of `head` and `held`.
    pub id: Id,
    /// The request before it, without a proof that its script was done.
    pub over: Option<Id>,
    /// BEGIN_REQUEST and PARAMS, preceded by the probe on a new connection.
    pub head: Bytes,
    /// Records sent after the acknowledgement: the empty PARAMS record of an unsafe method, without which no
    /// application starts to work (docs/internals/admission.md, "The probe in front").
    pub held: Option<Bytes>,
    /// True if `head` begins with a probe, so that an acknowledgement is to come.
    pub probed: bool,
    /// True if a probe follows the end of STDIN, for applications that read no further than necessary
    /// and keep it for later.
    pub has_trailing_probe: bool,
    /// The request's content.
    pub upload: Upload,
    /// True if the application may finish after its client has gone: its work for an unsafe method has
    /// a value without a reader of the answer.
    pub runs_on: bool,
}
