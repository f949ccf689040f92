//! The answer with a file that a script named.

use std::io;

use http::{HeaderMap, Response, StatusCode, header};

use super::{Named, Refusal, SendFile};
use crate::failure::Failure;
use crate::handler::Body;
use crate::handler::fastcgi::attempt::Begun;
use crate::handler::fastcgi::reply;
use crate::handler::static_files::{Description, Representation};
use crate::message::{Disk, Request};

impl SendFile {
    /// Sends the file in place of the script's content, which is read to its end by itself, so
    /// that the worker is free. A file that cannot be sent is 404 and an error in the log.
    pub(in crate::handler::fastcgi) fn respond(
        &self,
        named: Named<'_>,
        mut begun: Begun,
        request: &Request,
        disk: &dyn Disk,
    ) -> Result<Response<Body>, Failure> {
        let opened = self.open(named, disk);
        if let Err(Refusal::Because(why)) = &opened {
            begun.errors.not_sent(&named.to_string(), why);
        }
        let trace = std::mem::take(&mut begun.trace);
        let description = Description {
            status: status(begun.head.status),
            fields: fields(std::mem::take(&mut begun.head.headers)),
        };
        reply::abandon(begun);
        let (path, file) = opened.map_err(failure)?;
        let representation = Representation::described(request, &path, file, description);
        let mut response = representation.into_response()?;
        response.body_mut().trace = trace;
        Ok(response)
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

fn failure(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Because(_) => Failure::NotFound,
        Refusal::Trouble(errno) => Failure::Disk(io::Error::from_raw_os_error(errno)),
    }
}
