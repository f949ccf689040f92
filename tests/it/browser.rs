//! The Slim example in a real browser: page, style sheet, form, upload.

use std::path::Path;

use crate::harness::php_fpm::Setup;
use crate::harness::webdriver::Browser;
use crate::harness::{Gateway, PhpFpm};

/// The example behind a gateway, and a browser.
async fn shown() -> (PhpFpm, Gateway, Browser, String) {
    let sizes = ["upload_max_filesize", "post_max_size"]
        .map(|name| format!("php_admin_value[{name}] = 128M"));
    let php = Setup::new(2).line(&sizes[0]).line(&sizes[1]).start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/slim/public");
    let config = format!(
        "[[site]]\nroot = \"{}\"\nphp = \"{}\"\nlimits = {{ body = \"128MiB\" }}\n",
        root.display(),
        php.address()
    );
    let gateway = Gateway::start(&config).await;
    let url = format!("http://{}", gateway.address());
    (php, gateway, Browser::start().await, url)
}

#[tokio::test]
async fn the_page_is_shown_with_its_style_and_pictures() {
    let (_php, _gateway, browser, url) = shown().await;
    browser.go(&url).await;
    assert_eq!(browser.title().await, "Slim behind fcgate");
    assert_eq!(browser.text("#protocol").await, "HTTP/1.1");
    assert_eq!(browser.text("#client").await, "127.0.0.1");
    assert_eq!(
        browser
            .run("return getComputedStyle(document.body).display")
            .await,
        "flex",
        "the style sheet is applied"
    );
    for picture in ["#picture", "#logo"] {
        let script = format!(
            "const i = document.querySelector('{picture}'); return i.complete && i.naturalWidth > 0"
        );
        assert_eq!(browser.run(&script).await, true, "{picture}");
    }
    browser.click("#to-hello").await;
    assert_eq!(browser.text("#name").await, "wörld");
    assert!(browser.url().await.ends_with("/hello/w%C3%B6rld"));
    assert!(browser.screenshot().await.len() > 1000);
}

#[tokio::test]
async fn a_form_is_filled_in_and_sent() {
    let (_php, _gateway, browser, url) = shown().await;
    browser.go(&format!("{url}/form")).await;
    browser.type_into("#name", "Ada <b>").await;
    browser.type_into("#message", "two\nlines & ü").await;
    browser.click("#submit").await;
    assert_eq!(browser.text("#result-name").await, "Ada <b>");
    assert_eq!(
        browser.text("#result-bytes").await,
        "15",
        "lines end with CRLF in forms"
    );
}

#[tokio::test]
async fn a_file_is_uploaded() {
    let (_php, gateway, browser, url) = shown().await;
    let file = gateway.directory().join("three bytes.txt");
    std::fs::write(&file, "abc").unwrap();
    browser.go(&format!("{url}/upload")).await;
    browser
        .type_into("#file", &file.display().to_string())
        .await;
    browser.click("#submit").await;
    assert_eq!(browser.text("#filename").await, "three bytes.txt");
    assert_eq!(browser.text("#size").await, "3");
    // FIPS 180-2, appendix B.1.
    assert_eq!(
        browser.text("#sha256").await,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}
