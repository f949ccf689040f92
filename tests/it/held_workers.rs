//! Clients that take or send next to nothing hold no worker of PHP's: while they stand, whoever else asks is answered, and
//! what they take later is right, byte for byte.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::net::TcpSocket;
use tokio::time::{Duration, sleep};

use crate::harness::h2_frames::{DATA, Frames, Outcome, SETTINGS, WINDOW_UPDATE, request};
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{
    Address, Connection, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, Response, eventually,
    http2, patiently, php_fpm, require,
};

const MIB: usize = 1 << 20;

/// An upload of which all would soon be here, as it begins.
const UPLOAD: usize = MIB;

/// What the scripts print: no two pieces of a file's page are alike.
const SCRIPTS: [(&str, &str); 4] = [
    ("hello.php", "<?php echo 'hello';"),
    (
        "print.php",
        "<?php $piece = ''; for ($i = 0; $i < 65537; $i++) $piece .= chr($i % 251);
         for ($left = $_GET['bytes']; $left > 0; $left -= 65537) echo substr($piece, 0, min($left, 65537));",
    ),
    (
        "upload.php",
        "<?php $read = strlen(file_get_contents('php://input'));
         file_put_contents(__DIR__ . '/read-' . $_GET['n'], $read . ' of ' . $_SERVER['CONTENT_LENGTH']); echo $read;",
    ),
    (
        "live.php",
        "<?php header('Content-Type: text/event-stream'); echo 'first'; flush();
         while (!file_exists(__DIR__ . '/go')) { echo ':'; flush(); usleep(1000); clearstatcache(); }",
    ),
];

/// What `print.php` prints.
fn content(bytes: usize) -> Vec<u8> {
    let piece: Vec<u8> = (0..=250).cycle().take(65_537).collect();
    piece.iter().copied().cycle().take(bytes).collect()
}

fn php(workers: usize) -> php_fpm::Setup {
    SCRIPTS
        .iter()
        .fold(php_fpm::Setup::new(workers), |php, (name, script)| {
            php.file(name, script)
        })
}

/// A gateway with one thread and these keys of `[server]` in front of `php`.
fn one_thread<'a>(php: &'a PhpFpm, server: &str) -> GatewaySetup<&'a PhpFpm> {
    Gateway::before(php)
        .server("workers = 1")
        .server(server)
        .upstream("")
}

/// What everybody else sees.
async fn check_bystander(gateway: &Gateway) {
    for _ in 0..4 {
        assert_eq!(gateway.get("/hello.php").await.text(), "hello");
    }
}

/// A client that has the head of an answer and reads no further for now.
enum Slow {
    Http1(Connection),
    Http2(http2::Connection, Incoming),
}

impl Slow {
    async fn http1(mut connection: Connection, target: &str) -> Self {
        connection.start(&Request::get(target)).await;
        assert_eq!(connection.head().await.status, 200);
        Self::Http1(connection)
    }

    async fn http2(mut connection: http2::Connection, target: &str) -> Self {
        let response = connection.start(&Request::get(target)).await;
        assert_eq!(response.status(), 200);
        Self::Http2(connection, response.into_body())
    }

    /// All that is left; `None` where it is visibly cut.
    async fn rest(self) -> Option<Vec<u8>> {
        match self {
            Self::Http1(mut connection) => {
                let mut bytes = Vec::new();
                while let Some(piece) = connection.piece().await.ok()? {
                    bytes.extend(piece);
                }
                Some(bytes)
            }
            Self::Http2(_connection, content) => {
                let all = patiently("the content", content.collect()).await;
                Some(all.ok()?.to_bytes().to_vec())
            }
        }
    }
}

/// A gateway with a listener in clear text and one with TLS.
async fn with_tls(php: &PhpFpm) -> (Gateway, TlsClient) {
    let authority = Authority::new();
    let gateway = one_thread(php, "")
        .certificate(&authority)
        .listen("")
        .listen("tls = true");
    (gateway.start().await, TlsClient::new(&authority))
}

#[tokio::test]
async fn readers_that_take_nothing_hold_no_worker_and_lose_nothing() {
    let php = php(2).start().await;
    let (gateway, tls) = with_tls(&php).await;
    let [clear, secured] = gateway.addresses() else {
        panic!("two listeners")
    };
    let target = |bytes: usize| format!("/print.php?bytes={bytes}");
    let mut slow = Vec::new();
    for bytes in [6 * MIB, 5 * MIB + 4321] {
        let target = target(bytes);
        let each = [
            Slow::http1(Connection::open(clear).await, &target).await,
            Slow::http2(http2::Connection::open(clear).await, &target).await,
            Slow::http1(tls.http1(secured, "localhost").await, &target).await,
            Slow::http2(tls.http2(secured, "localhost").await, &target).await,
        ];
        slow.extend(each.map(|slow| (slow, bytes)));
    }
    check_bystander(&gateway).await;
    for (slow, bytes) in slow {
        assert!(slow.rest().await.unwrap() == content(bytes), "{bytes}");
    }
}

#[tokio::test]
async fn streams_without_a_window_hold_no_worker() {
    let php = php(2).start().await;
    let gateway = one_thread(&php, "").start().await;
    for window in [0, 1, 16_384] {
        for bytes in [60_000_usize, 100_000, 3 * MIB] {
            let mut frames = Frames::open_with(gateway.address(), &[(4, window)]).await;
            let target = format!("/print.php?bytes={bytes}");
            let streams = (0..8).map(|number| 1 + 2 * number);
            for stream in streams.clone() {
                frames
                    .head(stream, &request("GET", &target, &[]), true)
                    .await;
            }
            check_bystander(&gateway).await;
            // RFC 9113 §6.9.2: the windows of all streams grow by the difference.
            let most = (1_u32 << 30).to_be_bytes();
            frames
                .send(SETTINGS, 0, 0, &[&[0, 4][..], &most[..]].concat())
                .await;
            frames.send(WINDOW_UPDATE, 0, 0, &most).await;
            let mut left: Vec<_> = streams.collect();
            let mut got = std::collections::HashMap::<u32, Vec<u8>>::new();
            while !left.is_empty() {
                let frame = frames.next().await.unwrap();
                if frame.kind == DATA {
                    got.entry(frame.stream).or_default().extend(&frame.payload);
                }
                if frame.ends() {
                    left.retain(|stream| *stream != frame.stream);
                }
            }
            let expected = content(bytes);
            assert!(
                got.len() == 8 && got.values().all(|got| *got == expected),
                "{window}, {bytes}"
            );
        }
    }
}

/// Who lags and catches up again and again is polled for by turns: by the client's own end and by the sweep.
#[tokio::test]
async fn an_answer_whose_client_lags_now_and_then_goes_on() {
    const BURSTS: u8 = 8;
    let php = php(8).start().await;
    php.write(
        "bursts.php",
        format!(
            "<?php for ($i = 0; $i < {BURSTS}; $i++) {{ echo str_repeat(chr(65 + $i), 300000); flush(); usleep(($_GET['n'] * 7919 + $i * 104729) % 90000); }}"
        ),
    );
    let gateway = one_thread(&php, "").start().await;
    let clients = (0..16_u64).map(|number| {
        let address = gateway.address().clone();
        async move {
            let mut connection = with_little_room(&address).await;
            let target = format!("/bursts.php?n={number}");
            connection.start(&Request::get(&target)).await;
            assert_eq!(connection.head().await.status, 200);
            let mut bytes = Vec::new();
            let mut pauses = 0;
            while let Some(piece) = connection.piece().await.unwrap() {
                bytes.extend(piece);
                if bytes.len() / 100_000 > pauses {
                    pauses = bytes.len() / 100_000;
                    sleep(Duration::from_millis(
                        (number * 31 + pauses as u64 * 53) % 120,
                    ))
                    .await;
                }
            }
            let expected = (0..BURSTS).flat_map(|burst| vec![b'A' + burst; 300_000]);
            assert!(bytes == expected.collect::<Vec<_>>(), "{number}");
        }
    });
    patiently("all answers", futures_util::future::join_all(clients)).await;
}

/// Two clients that hold both workers, since their share of the spool is used up.
async fn beyond_its_share(php: &PhpFpm) -> (Gateway, [Slow; 2]) {
    let server = "spool_quota = \"1MiB\"\nanswer_memory = \"1MiB\"";
    let gateway = one_thread(php, server).admin().start().await;
    let address = gateway.address();
    let target = format!("/print.php?bytes={}", 24 * MIB);
    let first = Slow::http1(Connection::open(address).await, &target).await;
    let second = Slow::http1(Connection::open(address).await, &target).await;
    (gateway, [first, second])
}

#[tokio::test]
async fn who_is_beyond_its_share_gives_its_oldest_answer_up_when_others_wait() {
    let php = php(2).start().await;
    let (gateway, [first, second]) = beyond_its_share(&php).await;
    assert_eq!(gateway.get("/hello.php").await.text(), "hello");
    gateway
        .log
        .wait_for(|line| line.contains("CLIENT_SHARE"))
        .await;
    assert_eq!(first.rest().await, None, "visibly cut");
    assert!(second.rest().await.unwrap() == content(24 * MIB));
}

#[tokio::test]
async fn who_is_beyond_its_share_and_in_nobodys_way_just_waits() {
    let php = php(3).start().await;
    let (gateway, slow) = beyond_its_share(&php).await;
    for _ in 0..20 {
        check_bystander(&gateway).await;
        // For a second: whether somebody waits is looked at now and then, and nothing tells when.
        sleep(Duration::from_millis(50)).await;
    }
    for slow in slow {
        assert!(slow.rest().await.unwrap() == content(24 * MIB));
    }
}

/// Bytes of the spool, of answers, of bodies and of encoders.
async fn used(gateway: &Gateway) -> Vec<f64> {
    let metrics = gateway.ask("/metrics").await.text();
    let lines = metrics.lines();
    let lines = lines.filter(|line| line.contains("budget_used_bytes{"));
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}

async fn wait_until_used(gateway: &Gateway, what: &str, holds: impl Fn(&[f64]) -> bool) {
    eventually(what, PATIENCE, async || {
        require(used(gateway).await, |used| holds(used))
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_all_of_it_back() {
    let php = php(2).start().await;
    let gateway = one_thread(&php, "").admin().start().await;
    let address = gateway.address();
    let target = format!("/print.php?bytes={}", 24 * MIB);
    let slow = [
        Slow::http1(Connection::open(address).await, &target).await,
        Slow::http2(http2::Connection::open(address).await, &target).await,
    ];
    let mut upload = Connection::open(address).await;
    upload
        .write("POST /upload.php?n=0 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        .await;
    wait_until_used(&gateway, "both to be stored", |used| {
        used.iter().filter(|used| **used > 0.0).count() == 3
            && used.iter().sum::<f64>() > 20.0 * 1048576.0
    })
    .await;
    drop((slow, upload));
    wait_until_used(&gateway, "nothing to be used", |used| {
        used.len() == 4 && used.iter().all(|used| *used == 0.0)
    })
    .await;
}

/// A gateway whose folder for files is gone, and a client that reads nothing of a large answer.
async fn without_a_folder_for_files(php: &PhpFpm) -> (Gateway, Slow) {
    let spool = tempfile::tempdir().unwrap();
    let server = format!("spool_directory = \"{}\"", spool.path().display());
    let gateway = one_thread(php, &server).start().await;
    drop(spool);
    let target = format!("/print.php?bytes={}", 24 * MIB);
    let slow = Slow::http1(Connection::open(gateway.address()).await, &target).await;
    gateway
        .log
        .wait_for(|line| line.contains("writing the buffer file of an answer failed"))
        .await;
    (gateway, slow)
}

#[tokio::test]
async fn without_a_folder_for_files_php_waits_for_the_client() {
    let php = php(2).start().await;
    let (gateway, slow) = without_a_folder_for_files(&php).await;
    check_bystander(&gateway).await;
    assert!(slow.rest().await.unwrap() == content(24 * MIB));
}

#[tokio::test]
async fn without_a_folder_for_files_a_worker_goes_to_who_waits() {
    let php = php(1).start().await;
    let (gateway, slow) = without_a_folder_for_files(&php).await;
    assert_eq!(gateway.get("/hello.php").await.text(), "hello");
    assert_eq!(slow.rest().await, None, "visibly cut");
}

#[tokio::test]
async fn live_streams_of_one_client_are_bounded() {
    let php = php(6).start().await;
    let limits = "access_log = { format = \"json\" }\nlimits = { live_streams_per_client = 2 }";
    let gateway = one_thread(&php, limits).start().await;
    let mut live = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get("/live.php")).await;
        assert_eq!(connection.head().await.status, 200);
        live.push(connection);
    }
    assert_eq!(gateway.get("/live.php").await.status, 429);
    gateway
        .access
        .wait_for(|line| line.contains("LIVE_STREAMS"))
        .await;
    check_bystander(&gateway).await;
    live.pop();
    let admitted = eventually("a place to be free", PATIENCE, async || {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get("/live.php")).await;
        match connection.head().await.status {
            200 => Ok(connection),
            status => Err(status),
        }
    });
    live.push(admitted.await);
    php.write("go", "");
    for mut connection in live {
        let first = connection.piece().await.unwrap().unwrap();
        assert!(first.starts_with(b"first"), "{first:?}");
    }
}

/// Sends the head of an upload and the first bytes at once, then a little again and again, for ever.
async fn turn_slow(address: &Address, number: usize) -> Response {
    let mut connection = Connection::open(address).await;
    let head = format!(
        "POST /upload.php?n={number} HTTP/1.1\r\nHost: a\r\nContent-Length: {UPLOAD}\r\n\r\n"
    );
    connection.write(head).await;
    connection.write(vec![b'x'; 400_000]).await;
    let trickle = async {
        loop {
            connection.write([b'x'; 1024]).await;
            // 20 KiB/s: slow, and above limits.body_rate.
            sleep(Duration::from_millis(50)).await;
        }
    };
    // Until somebody else is answered nothing is to be read.
    let _ = tokio::time::timeout(Duration::from_secs(8), trickle).await;
    connection.response().await
}

#[tokio::test]
async fn uploads_that_turn_slow_are_ended_when_others_wait_and_the_script_can_see_it() {
    let php = php(2).start().await;
    let gateway = one_thread(&php, "").start().await;
    let address = gateway.address();
    let slow = async { tokio::join!(turn_slow(address, 0), turn_slow(address, 1)) };
    let bystander = async {
        // Both workers are taken, or will be: a request that is answered in between proves nothing.
        let log = &gateway.access;
        while log.all().iter().all(|line| !line.contains(" 408 ")) {
            check_bystander(&gateway).await;
        }
        check_bystander(&gateway).await;
    };
    let (answers, ()) = tokio::join!(slow, patiently("the bystander", bystander));
    assert!([answers.0.status, answers.1.status].contains(&408));
    let read = |number: usize| std::fs::read_to_string(php.root().join(format!("read-{number}")));
    eventually("a script to have seen a short body", PATIENCE, async || {
        (0..2).any(|number| {
            let text = read(number).unwrap_or_default();
            let (read, announced) = text.split_once(" of ").unwrap_or(("0", "0"));
            let [read, announced]: [usize; 2] =
                [read, announced].map(|number| number.parse().unwrap());
            announced == UPLOAD && (1..announced).contains(&read)
        })
    })
    .await;
}

/// A connection of which the client's system takes next to nothing that is not read.
async fn with_little_room(address: &Address) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let stream = socket.connect(([127, 0, 0, 1], address.port()).into());
    Connection::over(Box::new(stream.await.unwrap()))
}

/// On a connection from another address of this machine: another client.
async fn from_elsewhere(address: &Address) -> Connection {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let stream = socket
        .connect(([127, 0, 0, 1], address.port()).into())
        .await
        .unwrap();
    Connection::over(Box::new(stream))
}

#[tokio::test]
async fn slow_uploads_leave_room_for_honest_ones() {
    let php = php(2).start().await;
    let server = "spool_quota = \"4MiB\"\nbody_memory = \"1MiB\"";
    let gateway = one_thread(&php, server)
        .site("request_body = \"spool\"")
        .admin();
    let gateway = gateway.start().await;
    let address = gateway.address();
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut connection = Connection::open(address).await;
        connection
            .write("POST /upload.php?n=0 HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
            .await;
        connection.write(vec![b'x'; 60_000]).await;
        slow.push(connection);
    }
    for connection in &mut slow {
        connection.write(vec![b'x'; 100_000]).await;
    }
    wait_until_used(&gateway, "a share to be used up", |used| {
        used[0] >= 1048576.0
    })
    .await;
    let upload = |bytes: usize| Request::post("/upload.php?n=1").body(vec![b'x'; bytes]);
    // A small one of the same client, and small and large ones of another.
    for (mut connection, sizes) in [
        (Connection::open(address).await, vec![1000, 20_000]),
        (from_elsewhere(address).await, vec![1000, 60_000, 300_000]),
    ] {
        for bytes in sizes {
            let answer = connection.send(&upload(bytes)).await;
            assert_eq!((answer.status, answer.text()), (200, bytes.to_string()));
        }
    }
}

#[tokio::test]
async fn a_page_that_waits_for_its_client_is_charged_to_it() {
    let php = php(2).start().await;
    for bytes in [10_000, 50_000] {
        check_charged(&php, bytes).await;
    }
}

/// A client takes none of 100 pages of `bytes`.
async fn check_charged(php: &PhpFpm, bytes: usize) {
    let server = "answer_memory = \"1MiB\"\nspool_quota = \"4MiB\"";
    let gateway = one_thread(php, server).admin().start().await;
    let address = gateway.address();
    let mut frames = Frames::open_with(address, &[(4, 0)]).await;
    let target = &format!("/print.php?bytes={bytes}");
    for number in 0..100 {
        frames
            .head(1 + 2 * number, &request("GET", target, &[]), true)
            .await;
    }
    wait_until_used(&gateway, "its share to be used up", |used| {
        used[1] >= 400_000.0
    })
    .await;
    let mut elsewhere = from_elsewhere(address).await;
    for _ in 0..10 {
        let answer = elsewhere.send(&Request::get(target)).await;
        assert!(answer.body == content(bytes));
        let used = used(&gateway).await;
        assert!(
            used[0] <= 4.0 * 1048576.0 && used[1] <= 1048576.0,
            "{used:?}"
        );
    }
    frames.send(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).await;
    frames
        .send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())
        .await;
    let outcome = frames.outcome(1).await;
    assert_eq!(
        outcome,
        Outcome::Answered {
            status: 200,
            data: bytes
        }
    );
}
