//! Large files, which the kernel sends by itself: not a byte is another than on the disk, whatever comes before and
//! after, and what is asked for often is not looked at each time.

use std::time::Duration;

use crate::harness::{
    Address, Connection, Files, Gateway, GatewaySetup, PATIENCE, Request, Response, eventually,
    patiently, require,
};

/// So that every offset has a value of its own nearby, and no zeros.
fn content(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from((at / 251 + at) % 251).unwrap() + 1)
        .collect()
}

const LARGE: usize = 5 * 1024 * 1024 + 17;

/// Files of three sizes, on a port and on a socket.
fn of_three_sizes() -> GatewaySetup<Files> {
    Gateway::with_files()
        .listen("")
        .section("[[listen]]\naddress = \"unix:{folder}/web.sock\"")
        .file("large.bin", content(LARGE))
        .file("middle.bin", content(100 * 1024))
        .file("small.bin", content(1000))
}

fn check(response: &Response, expected: &[u8]) {
    assert!(response.whole);
    assert_eq!(response.body.len(), expected.len());
    assert!(response.body == expected, "another byte");
}

/// Written at once, before anything is read.
async fn pipelined(address: &Address) {
    let (large, middle, small) = (content(LARGE), content(100 * 1024), content(1000));
    let range = |spec| Request::get("/large.bin").field("range", spec);
    let rows: Vec<(Request, u16, &[u8])> = vec![
        (Request::get("/large.bin"), 200, &large),
        (Request::get("/small.bin"), 200, &small),
        (Request::get("/middle.bin"), 200, &middle),
        (
            range("bytes=70000-4000000"),
            206,
            &large[70_000..=4_000_000],
        ),
        (Request::get("/middle.bin"), 200, &middle),
        (range("bytes=-100000"), 206, &large[LARGE - 100_000..]),
        (Request::get("/large.bin"), 200, &large),
    ];
    let mut connection = Connection::open(address).await;
    for (request, ..) in &rows {
        connection.start(request).await;
    }
    for (request, status, expected) in rows {
        let response = connection.response().await;
        assert_eq!(response.status, status, "{}", request.target);
        check(&response, expected);
    }
}

#[tokio::test]
async fn pipelined_files_of_all_sizes_are_exact() {
    let gateway = of_three_sizes().start().await;
    for address in gateway.addresses() {
        patiently("all answers", pipelined(address)).await;
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_exact() {
    let gateway = of_three_sizes().start().await;
    let response = gateway.send(&Request::get("/large.bin").http10()).await;
    check(&response, &content(LARGE));
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_every_byte() {
    let gateway = of_three_sizes().start().await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/large.bin")).await;
    assert_eq!(client.head().await.status, 200);
    let (mut all, mut pauses) = (Vec::new(), 0);
    while let Some(piece) = client.piece().await.unwrap() {
        all.extend_from_slice(&piece);
        // Slower than it is sent, so that what the sockets hold is full: nothing tells the reader that it is.
        if all.len() / (1024 * 1024) > pauses {
            pauses += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(
        all == content(LARGE),
        "another byte, or {} of them",
        all.len()
    );
}

/// Two seconds after its last change a file stays open, and is another one all the same when it is exchanged or gone.
#[tokio::test]
async fn what_stays_open_is_given_up_when_it_changes() {
    let gateway = of_three_sizes().start().await;
    let root = gateway.directory().join("public");
    let replace = |name: &str, text: &str, age: u64| {
        let new = root.join("new");
        std::fs::write(&new, text).unwrap();
        let time = std::time::SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options()
            .write(true)
            .open(&new)
            .unwrap()
            .set_modified(time)
            .unwrap();
        std::fs::rename(new, root.join(name)).unwrap();
    };
    let until = async |status: u16, text: &str| {
        eventually(text, PATIENCE, async || {
            let response = gateway.get("/a.txt").await;
            require((response.status, response.text()), |(now, content)| {
                *now == status && content.contains(text)
            })
        })
        .await;
    };
    // Of one length and one time: only the inode tells them from each other.
    for text in ["first", "other", "third"] {
        replace("a.txt", text, 100);
        until(200, text).await;
    }
    let revalidated = gateway.get("/a.txt").await;
    let tag = revalidated.header("etag").unwrap();
    let again = gateway
        .send(&Request::get("/a.txt").field("if-none-match", tag))
        .await;
    assert_eq!(again.status, 304);
    std::fs::remove_file(root.join("a.txt")).unwrap();
    until(404, "").await;
    std::fs::create_dir(root.join("a.txt")).unwrap();
    until(301, "").await;
}
