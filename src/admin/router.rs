//! Routes of the admin listener.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::oneshot;

use super::host_check::HostCheck;
use super::readiness::Subject;
use super::{Admin, Command, RELOADS, metrics, status};

type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";

/// Media type of OpenMetrics, which prometheus-client writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers one request that passes `host_check`.
pub(super) async fn answer(
    admin: &Admin,
    host_check: &HostCheck,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    if let Some(why) = host_check.refusal(request.uri(), request.headers()) {
        return Ok(text(StatusCode::FORBIDDEN, format!("{why}\n")));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = match request.uri().path() {
        "/live" if reads => text(StatusCode::OK, "alive\n".to_owned()),
        "/ready" if reads => ready(admin, request.uri().query()).await,
        "/metrics" if reads => match metrics::encode_scrape(admin).await {
            Ok(body) => with_type(StatusCode::OK, body, OPEN_METRICS),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
        "/status" if reads => {
            let body = format!("{:#}\n", status::status(admin).await);
            with_type(StatusCode::OK, body, "application/json")
        }
        "/reload" if *request.method() == Method::POST => {
            let dry_run = request.uri().query() == Some("dry-run");
            reload(admin, dry_run).await
        }
        "/live" | "/ready" | "/metrics" | "/status" | "/reload" => text(
            StatusCode::METHOD_NOT_ALLOWED,
            "allowed: GET, and POST for /reload\n".to_owned(),
        ),
        _ => text(
            StatusCode::NOT_FOUND,
            "available: /live, /ready, /metrics, /status and POST /reload\n".to_owned(),
        ),
    };
    Ok(answer)
}

async fn ready(admin: &Admin, query: Option<&str>) -> Answer {
    let Some(subject) = Subject::parse(query) else {
        let message = "write /ready, /ready?upstream=NAME or /ready?site=HOST\n";
        return text(StatusCode::BAD_REQUEST, message.to_owned());
    };
    let readiness = match admin.readiness(&subject).await {
        Ok(readiness) => readiness,
        Err(unknown) => return text(StatusCode::NOT_FOUND, format!("{unknown}\n")),
    };
    let (status, word) = if readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    };
    let mut body = word.to_owned();
    for reason in readiness.reasons {
        body.push_str(&format!("{reason}\n"));
    }
    for warning in readiness.warnings {
        body.push_str(&format!("warning: {warning}\n"));
    }
    text(status, body)
}

async fn reload(admin: &Admin, dry_run: bool) -> Answer {
    let Ok(_permit) = admin.reloads.try_acquire() else {
        let busy = format!("{RELOADS} reloads are pending; try again\n");
        return text(StatusCode::SERVICE_UNAVAILABLE, busy);
    };
    let (answer, result) = oneshot::channel();
    let gone = || {
        text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is stopping\n".to_owned(),
        )
    };
    if admin
        .commands
        .send(Command::Reload { dry_run, answer })
        .await
        .is_err()
    {
        return gone();
    }
    match result.await {
        Ok(Ok(changes)) if changes.is_empty() => {
            text(StatusCode::OK, "nothing changes\n".to_owned())
        }
        Ok(Ok(changes)) => text(StatusCode::OK, format!("{changes}\n")),
        Ok(Err(why)) => text(StatusCode::UNPROCESSABLE_ENTITY, format!("{why}\n")),
        Err(_) => gone(),
    }
}

fn text(status: StatusCode, body: String) -> Answer {
    with_type(status, body, TEXT)
}

fn with_type(status: StatusCode, body: String, media_type: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let value = HeaderValue::from_static(media_type);
    let fields = answer.headers_mut();
    fields.insert(header::CONTENT_TYPE, value);
    // A web page must not load the response as a script.
    let no_sniffing = HeaderValue::from_static("nosniff");
    fields.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniffing);
    answer
}
