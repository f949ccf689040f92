//! The fields of a failed response that gets the content of an error page, whatever the kind of the page; those of
//! Apache's ErrorDocument are the same, but for what is about the page alone.

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::php_fpm::Setup;
use crate::harness::{Gateway, PhpFpm, Request, Response};

const FAILING: &str = "<?php
foreach (['X-Own: failed', 'WWW-Authenticate: Basic', 'Retry-After: 9', 'Cache-Control: no-cache', 'Vary: Cookie',
    'Access-Control-Allow-Origin: *', 'Set-Cookie: failed=1', 'Content-Language: fr', 'ETag: \"failed\"',
    'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'] as $field) { header($field); }
http_response_code((int) $_GET['status']);
echo 'of the script';";

const PAGE: &str = "<?php
foreach (['X-Page: page', 'X-Own: page', 'Cache-Control: private, max-age=60', 'Vary: Accept-Language',
    'Set-Cookie: page=1', 'Content-Language: en', 'ETag: \"page\"', 'Expires: Thu, 01 Jan 2099 00:00:00 GMT',
    'Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT', 'Accept-Ranges: bytes'] as $field) { header($field); }
echo 'page';";

const PAGES: &str = r#"
[[site.error_page]]
status = "401"
when = "always"
file = "page.html"
[[site.error_page]]
status = "409"
when = "always"
body = "page"
[[site.error_page]]
status = "410"
when = "always"
path = "/page.html"
[[site.error_page]]
status = ["416", "503"]
when = "always"
path = "/page.php"
"#;

const DOCUMENTS: &str = r#"
ProxyErrorOverride On
ErrorDocument 401 /page.html
ErrorDocument 409 "page
ErrorDocument 410 /page.html
ErrorDocument 503 /page.php
"#;

/// Fields of the failure, or of none.
const OF_FAILURE: [(&str, &str); 8] = [
    ("x-own", "failed"),
    ("www-authenticate", "Basic"),
    ("retry-after", "9"),
    ("access-control-allow-origin", "*"),
    ("etag", ""),
    ("last-modified", ""),
    ("accept-ranges", ""),
    ("expires", ""),
];

/// Fields that a page without fields of its own leaves as they are.
const ALONE: [(&str, &str); 5] = [
    ("cache-control", "no-cache"),
    ("vary", "Cookie"),
    ("set-cookie", "failed=1"),
    ("content-language", ""),
    ("x-page", ""),
];

/// The same with the page of a script.
const WITH_SCRIPT: [(&str, &str); 5] = [
    ("cache-control", "no-cache, private"),
    ("vary", "Cookie, Accept-Language"),
    ("set-cookie", "failed=1, page=1"),
    ("content-language", "en"),
    ("x-page", "page"),
];

/// Fields that Apache sends alike. It keeps the language of the replaced content too, and the validators of the page.
const AS_APACHE: [&str; 5] = [
    "www-authenticate",
    "retry-after",
    "access-control-allow-origin",
    "set-cookie",
    "x-page",
];

/// Values of a field, as one list.
fn joined(response: &Response, name: &str) -> String {
    response.headers(name).join(", ")
}

async fn start() -> (PhpFpm, Gateway, Apache) {
    let php = Setup::new(2).tcp().start().await;
    let_it_read(php.root().parent().unwrap());
    php.write("app.php", FAILING);
    php.write("page.php", PAGE);
    php.write("page.html", "page");
    let gateway = Gateway::before(&php).site(PAGES).start().await;
    let apache = Apache::start(&format!(
        "DocumentRoot {}\n<FilesMatch \"\\.php$\">\nSetHandler \"proxy:fcgi://{}\"\n</FilesMatch>\n{DOCUMENTS}",
        php.root().display(),
        php.address()
    ))
    .await;
    (php, gateway, apache)
}

#[tokio::test]
async fn all_kinds_of_pages_leave_the_same_fields_of_the_failure() {
    let (_php, gateway, apache) = start().await;
    for (status, of_page) in [(401, ALONE), (409, ALONE), (410, ALONE), (503, WITH_SCRIPT)] {
        let request = Request::get(&format!("/app.php?status={status}"));
        let [ours, theirs] = [gateway.send(&request).await, apache.send(&request).await];
        for response in [&ours, &theirs] {
            assert_eq!(
                (response.status, response.text().as_str()),
                (status, "page")
            );
        }
        for (name, value) in OF_FAILURE.into_iter().chain(of_page) {
            assert_eq!(joined(&ours, name), value, "{status} {name}: {ours:?}");
        }
        for name in AS_APACHE {
            assert_eq!(
                joined(&ours, name),
                joined(&theirs, name),
                "{status} {name}"
            );
        }
    }
    let unsatisfied = Request::get("/page.html").field("Range", "bytes=9-");
    let page = gateway.send(&unsatisfied).await;
    assert_eq!((page.status, page.text().as_str()), (416, "page"));
    assert_eq!(page.header("content-range"), Some("bytes */4"));
}
