//! A connection after its response: the client has the whole answer, and the script may work on
//! (docs/internals/php-fpm.md, "After the answer"). It is read until its worker is done, and only then serves the
//! next request; late output is discarded. It is never closed before: that could abort a script.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio_util::io::read_buf;

use super::admission::After;
use super::lease::Lease;
use crate::fastcgi::Ended;
use crate::fastcgi::decoder::Event;
use crate::fastcgi::management::{PROBE, Values};
use crate::fastcgi::record::ProtocolError;
use crate::threads;

/// Takes a connection whose request has `ended`. With `is_unanswered`, the probe in front of it was not answered: no
/// request follows on it then.
pub(super) fn start(mut lease: Lease, ended: Ended, is_unanswered: bool) {
    let asked = u8::from(is_unanswered) + u8::from(ended.is_probed);
    let is_between = ended.input.is_empty() && ended.decoder.is_between_records();
    let after = lease.cool(ended.is_sent && !is_unanswered);
    if after == After::Ready && is_between && asked == 0 {
        return lease.pass_on();
    }
    if after == After::Close {
        tracing::debug!(address = %lease.member().address(), "closed after its answer: too many connections neither answer a probe nor close");
        return;
    }
    let mut cooling = Cooling {
        lease,
        ended,
        asked,
    };
    if after == After::Probe && asked > 0 {
        match cooling.is_answered() {
            Ok(true) => return cooling.pass_on(),
            Ok(false) => {}
            Err(error) => return cooling.broke(&error),
        }
    }
    threads::spawn_background(async move {
        let done = match after {
            After::Probe => cooling.probe().await,
            After::Ready | After::HalfClose | After::Close => cooling.half_close().await,
        };
        match done {
            Ok(()) => cooling.pass_on(),
            Err(error) => cooling.broke(&error),
        }
    });
}

struct Cooling {
    lease: Lease,
    ended: Ended,
    /// Number of unanswered probes.
    asked: u8,
}

impl Cooling {
    /// Waits until the worker is done.
    async fn probe(&mut self) -> io::Result<()> {
        if self.asked == 0 {
            self.lease.write_all(PROBE).await?;
            self.asked += 1;
        }
        while !self.is_answered()? {
            self.read().await?;
        }
        Ok(())
    }

    fn pass_on(self) {
        self.count();
        self.lease.pass_on();
    }

    /// Reads until the server closes the connection, which ends the worker's request; never succeeds.
    async fn half_close(&mut self) -> io::Result<()> {
        self.lease.shutdown().await?;
        loop {
            self.is_answered()?;
            self.read().await?;
        }
    }

    /// Skips late output, and reports whether the last probe is answered, with its padding.
    fn is_answered(&mut self) -> io::Result<bool> {
        let Ended { decoder, input, .. } = &mut self.ended;
        while let Some(event) = decoder.next(input).map_err(io::Error::other)? {
            // No request is running: its records are skipped, or are errors.
            if let Event::Values(content) = event
                && Values::read(&content).is_some()
            {
                let unasked = || io::Error::other(ProtocolError::UnexpectedValues);
                self.asked = self.asked.checked_sub(1).ok_or_else(unasked)?;
            }
        }
        Ok(self.asked == 0 && input.is_empty() && decoder.is_between_records())
    }

    async fn read(&mut self) -> io::Result<()> {
        let input = &mut self.ended.input;
        input.reserve(READ);
        match read_buf(&mut self.lease, input).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Logs errors other than the end or reset of the connection, which is the worker's end.
    fn broke(&self, error: &io::Error) {
        self.count();
        if let Some(broken) = error.get_ref() {
            let address = self.lease.member().address();
            tracing::warn!(%address, error = %broken, "closed: after its answer the script or the server sent records without a request");
        }
    }

    fn count(&self) {
        let late = self.ended.decoder.late_bytes();
        if late > 0 {
            let member = self.lease.member();
            member.numbers().late_bytes.add_many(late);
            tracing::debug!(address = %member.address(), late, "output of a script after its answer: discarded");
        }
    }
}

/// Bytes read at once: an answer to a probe is shorter than 100, and late output is rare.
const READ: usize = 1024;
