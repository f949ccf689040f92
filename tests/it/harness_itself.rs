//! The harness against itself: that what the other tests rely on works without fcgate.

use tokio::io::AsyncWriteExt;
use tokio::time::Duration;

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::records::{self, Record, read_record};
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::webdriver::Browser;
use crate::harness::{
    Address, PATIENCE, PhpFpm, Request, Script, ScriptedResponder, eventually, http2, require,
};

/// A GET request for `script` as FastCGI records with an id of its own.
fn request(script: &str) -> Vec<u8> {
    let params = records::encode_pairs(&[("REQUEST_METHOD", "GET"), ("SCRIPT_FILENAME", script)]);
    let begin = Record::new(records::BEGIN_REQUEST, 7, [0, 1, 1, 0, 0, 0, 0, 0]);
    let rest = [
        (records::PARAMS, params),
        (records::PARAMS, Vec::new()),
        (records::STDIN, Vec::new()),
    ];
    let rest = rest
        .into_iter()
        .map(|(kind, content)| Record::new(kind, 7, content));
    std::iter::once(begin)
        .chain(rest)
        .flat_map(|record| record.encode())
        .collect()
}

/// What an application answers to `request`: its STDOUT.
async fn ask(address: &Address, request: &[u8]) -> String {
    let mut stream = address.connect().await;
    stream.write_all(request).await.unwrap();
    let mut stdout = Vec::new();
    loop {
        let record = read_record(&mut stream).await.unwrap().unwrap();
        match record.kind {
            records::STDOUT => stdout.extend(record.content),
            records::END_REQUEST => return String::from_utf8(stdout).unwrap(),
            _ => {}
        }
    }
}

#[tokio::test]
async fn php_fpm_runs_a_script_also_after_a_restart() {
    let mut php = PhpFpm::start(1).await;
    php.write("sum.php", "<?php echo 20 + 22;");
    let request = request(&php.root().join("sum.php").to_string_lossy());
    assert!(ask(php.address(), &request).await.ends_with("\r\n\r\n42"));
    php.restart().await;
    assert!(ask(php.address(), &request).await.ends_with("\r\n\r\n42"));
}

#[tokio::test]
async fn the_responder_plays_its_script_and_remembers_the_request() {
    let responder = ScriptedResponder::start([Script::answer("Status: 204\n\n").bytewise()]).await;
    assert_eq!(
        ask(responder.address(), &request("/x.php")).await,
        "Status: 204\n\n"
    );
    let requests = responder.requests();
    assert_eq!(requests[0].param("SCRIPT_FILENAME"), "/x.php");
    assert!(requests[0].complete);
}

#[tokio::test]
async fn apache_answers_in_all_protocols_and_leaves_nothing_behind() {
    let root = tempfile::tempdir().unwrap();
    let_it_read(root.path());
    std::fs::write(root.path().join("a.txt"), "hello").unwrap();
    let authority = Authority::new();
    let lines = format!("DocumentRoot {}", root.path().display());
    let apache = Apache::start_as(&lines, &authority.issue(&["a.example"])).await;
    let client = TlsClient::new(&authority);
    let tls = apache.tls_address();
    let request = Request::get("/a.txt").field("Host", "a.example");
    let responses = [
        apache.send(&request).await,
        http2::send(apache.address(), &request).await,
        client.http1(tls, "a.example").await.send(&request).await,
        client.http2(tls, "a.example").await.send(&request).await,
    ];
    for response in responses {
        assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    }
    let process = apache.process_id();
    drop(apache);
    assert!(!std::fs::exists(format!("/proc/{process}")).unwrap());
}

#[tokio::test]
async fn apache_says_in_its_log_what_went_wrong() {
    let root = tempfile::tempdir().unwrap();
    let_it_read(root.path());
    std::fs::write(root.path().join("a.php"), "").unwrap();
    let lines = format!(
        "DocumentRoot {}\nSetHandler \"proxy:unix:{0}/nobody|fcgi://php\"",
        root.path().display()
    );
    let apache = Apache::start(&lines).await;
    assert_eq!(apache.send(&Request::get("/a.php")).await.status, 503);
    apache.log.wait_for(|line| line.contains("AH02454")).await;
}

#[tokio::test]
async fn what_is_awaited_in_vain_is_named_with_what_was_seen() {
    let mut looks = 0;
    let value = eventually("the third look", PATIENCE, async || {
        looks += 1;
        require(looks, |looks| *looks == 3)
    });
    assert_eq!(value.await, 3);
    let bound = Duration::from_millis(50);
    let waiting = tokio::spawn(async move {
        eventually("a miracle", bound, async || require(7, |seen| *seen == 8)).await
    });
    let why = waiting.await.unwrap_err().into_panic();
    let why = why.downcast_ref::<String>().unwrap();
    assert!(
        why.contains("a miracle") && why.ends_with("last seen: Some(7)"),
        "{why}"
    );
}

#[tokio::test]
async fn the_browser_shows_a_page_of_its_own() {
    let browser = Browser::start().await;
    browser
        .go("data:text/html,<title>T</title><p id=p>hello")
        .await;
    assert_eq!(browser.text("#p").await, "hello");
    assert_eq!(browser.title().await, "T");
    assert_eq!(browser.run("return 6 * 7").await, 42);
}
