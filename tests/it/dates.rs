//! Date (RFC 9110 §6.6.1): one on every answer, whoever made it.

use crate::harness::{Gateway, Request, Response, Script, ScriptedResponder, http1, http2};

/// The only date of an answer.
fn date(response: &Response) -> String {
    let dates = response.headers("date");
    assert_eq!(dates.len(), 1, "{dates:?}");
    dates[0].to_owned()
}

#[tokio::test]
async fn every_answer_has_one_date() {
    let by_path = Script::by(|request| match request.param("REQUEST_URI") {
        "/own" => Script::answer("Date: Sun, 06 Nov 1994 08:49:37 GMT\n\nown"),
        _ => Script::answer("\nnone"),
    });
    let responder = ScriptedResponder::start([by_path]).await;
    let files = "[[site.rule]]\npath = \"/here\"\nrespond = { body = \"here\" }\n";
    let site = responder
        .site("")
        .replace("[[site.rule]]", &format!("{files}[[site.rule]]"));
    let gateway = Gateway::start(&site).await;
    for target in ["/here", "/none", "/own", "/%zz"] {
        let request = Request::get(target);
        let first = http1::send(gateway.address(), &request).await;
        let second = http2::send(gateway.address(), &request).await;
        for date in [first, second].iter().map(date) {
            let time = httpdate::parse_http_date(&date).unwrap();
            let age = time.elapsed().unwrap().as_secs();
            assert!((age < 100) != (target == "/own"), "{target}: {date}");
        }
    }
    let refused = http1::raw(gateway.address(), "GET / HTTP/1.1\r\nbad head\r\n\r\n").await;
    let refused = String::from_utf8_lossy(&refused).to_lowercase();
    assert_eq!(refused.matches("\r\ndate: ").count(), 1, "{refused}");
}
