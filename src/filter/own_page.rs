//! The built-in error page: small, without a version, in the form that the client prefers.

use http::{HeaderValue, Response, StatusCode, header};

use crate::handler::Body;
use crate::message::RequestId;

/// The public data of a failure.
#[derive(Clone, Copy, Debug)]
pub struct FailureSummary<'a> {
    /// The status.
    pub status: StatusCode,
    /// The cause code; shown for 5xx alone.
    pub cause: &'a str,
    /// The ID of the request, under which the log has the rest.
    pub id: &'a RequestId,
}

/// Builds the page in the form that the client prefers (RFC 9110 §12.5.1): JSON (RFC 9457), HTML for browsers, else text.
pub fn build_page(summary: FailureSummary<'_>, accept: Option<&HeaderValue>) -> Response<Body> {
    let (text, media_type) = match preferred_form(accept) {
        Form::Text => (text(summary), "text/plain; charset=utf-8"),
        Form::Html => (html(summary), "text/html; charset=utf-8"),
        Form::Json => (json(summary), "application/problem+json"),
    };
    let mut response = Response::new(Body::bytes(text));
    *response.status_mut() = summary.status;
    let value = HeaderValue::from_static(media_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

impl FailureSummary<'_> {
    fn cause(&self) -> Option<&str> {
        self.status.is_server_error().then_some(self.cause)
    }

    fn reason(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

fn text(summary: FailureSummary<'_>) -> String {
    let cause = summary
        .cause()
        .map_or_else(String::new, |cause| format!("{cause}\n"));
    format!("{}\n{cause}request {}\n", summary.status, summary.id)
}

fn html(summary: FailureSummary<'_>) -> String {
    let (status, reason, id) = (summary.status.as_u16(), summary.reason(), summary.id);
    let cause = summary
        .cause()
        .map_or_else(String::new, |cause| format!("{cause}, "));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{status} {reason}</title>\
         <style>body{{font:1rem/1.5 system-ui,sans-serif;margin:12vh auto;max-width:32rem;padding:0 1rem}}</style>\
         <h1>{status} {reason}</h1><p><small>{cause}request {id}</small></p></html>\n"
    )
}

fn json(summary: FailureSummary<'_>) -> String {
    let mut object = serde_json::json!({
        "status": summary.status.as_u16(),
        "title": summary.reason(),
        "request_id": summary.id.to_string(),
    });
    if let (Some(cause), Some(object)) = (summary.cause(), object.as_object_mut()) {
        object.insert("cause".to_owned(), cause.into());
    }
    format!("{object}\n")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Html,
    Json,
}

/// Returns the preferred form among those that Accept names; `*/*` selects neither JSON nor HTML.
fn preferred_form(accept: Option<&HeaderValue>) -> Form {
    let Some(text) = accept.and_then(|value| value.to_str().ok()) else {
        return Form::Text;
    };
    let quality = |wanted: &dyn Fn(&str) -> bool| {
        let ranges = text.split(',').filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next()?.to_ascii_lowercase();
            let given = parts.find_map(|part| part.strip_prefix("q="));
            let weight = given.map_or(Some(1.0), |weight| weight.parse::<f32>().ok())?;
            wanted(&essence).then_some(weight)
        });
        ranges.fold(0.0_f32, f32::max)
    };
    let html = quality(&|essence| matches!(essence, "text/html" | "application/xhtml+xml"));
    let json = quality(&|essence| essence == "application/json" || essence.ends_with("+json"));
    if json > html {
        Form::Json
    } else if html > 0.0 {
        Form::Html
    } else {
        Form::Text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_follows_accept() {
        for (accept, form) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                Form::Html,
            ),
            ("application/json", Form::Json),
            ("application/problem+json, */*", Form::Json),
            ("application/json;q=0.5, text/html", Form::Html),
            ("text/html;q=0.5, application/vnd.api+json", Form::Json),
            ("application/json;q=0", Form::Text),
            ("text/plain", Form::Text),
        ] {
            let value = HeaderValue::from_static(accept);
            assert_eq!(preferred_form(Some(&value)), form, "{accept}");
        }
        assert_eq!(preferred_form(None), Form::Text);
    }
}
