//! The answer with a file that a script named.

use std::borrow::Cow;
use std::io;

use http::{HeaderMap, Response, StatusCode, header};

use super::{Named, Refusal};
use crate::failure::Failure;
use crate::handler::Body;
use crate::handler::answer::orders::Orders;
use crate::handler::answer::reply;
use crate::handler::fastcgi::Call;
use crate::handler::fastcgi::attempt::Begun;
use crate::handler::static_files::{Description, Representation};
use crate::message::{Disk, Request};

impl Call {
    /// Sends the file that was named in place of the script's content, which is read to its end by
    /// itself, so that the worker is free. A file that cannot be sent is 404 and an error in the
    /// log.
    pub(in crate::handler) async fn send_file(
        &self,
        named: Named<'_>,
        mut begun: Box<Begun>,
        request: &Request,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, Failure> {
        let trace = std::mem::take(&mut begun.trace);
        let description = Description {
            status: status(begun.head.status),
            fields: fields(std::mem::take(&mut begun.head.headers)),
        };
        let (said, reason) = (begun.head.status, begun.head.reason.take());
        reply::abandon(begun);
        let opened = self.fastcgi.send_file.open(named, disk);
        let (path, file) = opened.map_err(|refusal| self.refused(refusal, named, request))?;
        let representation = Representation::described(request, &path, file, description);
        let mut response = representation.into_response().await?;
        if let Some(reason) = reason.filter(|_| response.status() == said) {
            response.extensions_mut().insert(reason);
        }
        response.body_mut().trace = trace;
        Ok(response)
    }

    fn refused(&self, refusal: Refusal, named: Named<'_>, request: &Request) -> Failure {
        match refusal {
            Refusal::Because(why) => {
                tracing::error!(request_id = %request.id, upstream = %self.fastcgi.name, script = %self.script_name(), %named, "the script named a file that is not sent: {why}");
                Failure::NotFound
            }
            Refusal::Trouble(errno) => Failure::Disk(io::Error::from_raw_os_error(errno)),
        }
    }

    /// Says once for each site that a script named a file and the configuration knows nothing of
    /// it.
    pub(in crate::handler) fn warn_of_orders(&self, orders: &Orders, request: &Request) {
        if let Some(key) = self.fastcgi.send_file.missing_key(orders) {
            tracing::warn!(request_id = %request.id, upstream = %self.fastcgi.name, script = %self.script_name(), "the script named a file to send, and {key} is not set: its own content was sent instead; this is said once for each site");
        }
    }

    fn script_name(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.script.name)
    }
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, value) = match self {
            Self::Path(value) => ("X-Sendfile", value),
            Self::Uri(value) => ("X-Accel-Redirect", value),
        };
        write!(f, "{name}: {}", value.as_bytes().escape_ascii())
    }
}

/// What is said of the script's own content is not true of the file: zlib.output_compression says
/// Content-Encoding even of nothing.
fn fields(mut fields: HeaderMap) -> HeaderMap {
    for name in [header::CONTENT_ENCODING, header::CONTENT_RANGE] {
        fields.remove(name);
    }
    fields
}

/// Which part is sent is not for the script to say.
fn status(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::PARTIAL_CONTENT => StatusCode::OK,
        other => other,
    }
}
