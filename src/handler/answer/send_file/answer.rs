//! The answer with a file named by an upstream.

use std::borrow::Cow;
use std::io;

use http::{HeaderMap, Response, StatusCode, header};

use super::{NamedFile, Refusal};
use crate::failure::Failure;
use crate::handler::answer::incoming::{Incoming, StartedAnswer};
use crate::handler::answer::orders::Orders;
use crate::handler::answer::reply::{self, Reply};
use crate::handler::body::Body;
use crate::handler::static_files::{Description, Representation};
use crate::message::Disk;

impl Reply<'_> {
    /// Sends the named file in place of the script's content, which is read to its end on its own, so that the
    /// worker is free. A file that cannot be sent is 404 and an error in the log.
    pub(in crate::handler::answer) async fn send_file<I: Incoming>(
        &self,
        named: NamedFile<'_>,
        mut started: Box<StartedAnswer<I>>,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, Failure> {
        let trace = std::mem::take(&mut started.trace);
        let description = Description {
            status: status(started.head.status),
            fields: fields(std::mem::take(&mut started.head.headers)),
        };
        let (script_status, reason) = (started.head.status, started.head.reason.take());
        reply::abandon(started);
        let opened = self.settings.send_file.open(named, disk);
        let (path, file) = opened.map_err(|refusal| self.refused(refusal, named))?;
        let representation = Representation::described(self.request, &path, file, description);
        let mut response = representation.into_response().await?;
        if let Some(reason) = reason.filter(|_| response.status() == script_status) {
            response.extensions_mut().insert(reason);
        }
        let body = response.body_mut();
        body.set_maker(I::MAKER);
        body.trace = trace;
        Ok(response)
    }

    fn refused(&self, refusal: Refusal, named: NamedFile<'_>) -> Failure {
        match refusal {
            Refusal::Because(why) => {
                tracing::error!(request_id = %self.request.id, trace_id = self.request.id.trace_id().map(display), upstream = %self.upstream, script = %self.script_name(), %named, "file named by the script not sent: {why}");
                Failure::NotFound
            }
            Refusal::Trouble(errno) => Failure::Disk(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Logs once for each site that a script named a file without a configuration for it.
    pub(in crate::handler::answer) fn log_unconfigured_field(&self, orders: &Orders) {
        if let Some(key) = self.settings.send_file.missing_key(orders) {
            tracing::warn!(request_id = %self.request.id, trace_id = self.request.id.trace_id().map(display), upstream = %self.upstream, script = %self.script_name(), "the script named a file to send, and {key} is not set: its own content was sent instead; logged once for each site");
        }
    }

    fn script_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.script)
    }
}

impl std::fmt::Display for NamedFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, value) = match self {
            Self::Path(value) => ("X-Sendfile", value),
            Self::Uri(value) => ("X-Accel-Redirect", value),
        };
        write!(f, "{name}: {}", value.as_bytes().escape_ascii())
    }
}

/// Removes the fields that describe the script's own content, not the file: zlib.output_compression sends
/// Content-Encoding even for none.
fn fields(mut fields: HeaderMap) -> HeaderMap {
    for name in [header::CONTENT_ENCODING, header::CONTENT_RANGE] {
        fields.remove(name);
    }
    fields
}

/// Returns the status of the file; the gateway decides which part is sent.
fn status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::PARTIAL_CONTENT => StatusCode::OK,
        other => other,
    }
}
