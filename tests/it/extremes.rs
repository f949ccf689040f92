//! Whatever number a key is set to, the gateway that takes it serves.

use crate::harness::{Gateway, PhpFpm, Request, http2};

/// All sizes, durations and counts of a site with PHP. `workers`, and ports, are left as they are.
const CONFIG: &str = r#"
[server]
drain = "TIME"
drain_delay = "0"
spool_quota = "SIZE"
answer_memory = "SIZE"
body_memory = "SIZE"
encoder_memory = "SIZE"
file_cache = "SIZE"
[server.limits]
connections = COUNT
connections_per_client = COUNT
keep_alive_requests = COUNT
header = "TIME"
keep_alive = "TIME"
head = "SIZE"
request_line = "64KiB"
path = "64KiB"
field_line = "SIZE"
fields = 1000
answer_head = "SIZE"
answer_fields = 16384
body = "SIZE"
body_pause = "TIME"
send_pause = "TIME"
[upstream.php]
servers = ["ADDRESS"]
queue_length = COUNT
scouts = 64
turn = "TIME"
keep = "TIME"
max_idle = 1024
max_requests = 9223372036854775807
max_age = "TIME"
resolve = "30s"
response_buffer = "SIZE"
timeouts = { connect = "TIME", queue = "TIME", first_byte = "TIME", idle = "TIME", total = "TIME" }
[[site]]
root = "ROOT"
php = "php"
limits = { body = "SIZE", requests_per_second = COUNT, burst = COUNT, requests_at_once = COUNT }
compress = { minimum = "0", cache = "SIZE" }
files = { cache = [{ expires = "TIME" }] }
[[site.rule]]
expires = "TIME"
limits = { body = "SIZE", requests_per_second = COUNT, burst = COUNT, requests_at_once = COUNT, key = "cookie:a" }
timeouts = { queue = "TIME", first_byte = "TIME", idle = "TIME", total = "TIME" }
"#;

#[tokio::test]
async fn the_greatest_numbers_serve() {
    let php = PhpFpm::start(2).await;
    php.write(
        "echo.php",
        "<?php echo strlen(file_get_contents('php://input'));",
    );
    php.write("a.css", "a { color: red }".repeat(100));
    let config = CONFIG
        .replace("TIME", "36500d")
        .replace("SIZE", "1048576TiB")
        .replace("COUNT", "1000000")
        .replace("ADDRESS", &php.address().to_string())
        .replace("ROOT", &php.root().display().to_string());
    let gateway = Gateway::start(&config).await;
    for coding in ["identity", "gzip"] {
        let file = Request::get("/a.css").field("Accept-Encoding", coding);
        let file = gateway.send(&file).await;
        assert_eq!(file.status, 200, "{}", file.text());
        let control = file.header("cache-control").unwrap();
        assert!(control.contains("max-age=3153600000"), "{control}");
    }
    let posted = Request::new("POST", "/echo.php").body(vec![b'x'; 300_000]);
    let one = gateway.send(&posted).await;
    assert_eq!((one.status, one.text()), (200, "300000".to_owned()));
    let two = http2::send(gateway.address(), &posted).await;
    assert_eq!((two.status, two.text()), (200, "300000".to_owned()));
    assert!(
        one.header("expires")
            .is_some_and(|date| date.contains(" 21"))
    );
}
