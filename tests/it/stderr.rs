//! What an application writes to its error stream, as records in the log; and why PHP-FPM does not run a script.

use crate::harness::records::{self, Record};
use crate::harness::{Gateway, PhpFpm, Script, ScriptedResponder};

/// The answer to a request, behind what it writes to its error stream.
fn answering(errors: &[&[u8]]) -> Script {
    let records = errors
        .iter()
        .map(|part| Record::new(records::STDERR, 0, *part));
    let script = Script::new().read_request().records(records);
    script.stdout("X-A: 1\n\nhello").end_request()
}

/// The lines that speak of the request with this id.
fn of_request(gateway: &Gateway, id: &str) -> Vec<String> {
    let id = format!("request_id={id}");
    let lines = gateway.log.all().into_iter();
    lines.filter(|line| line.contains(&id)).collect()
}

/// The value of `field=value` or `field="value"` in a line of the log.
#[track_caller]
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let start = format!(" {name}=");
    let Some((_, value)) = line.split_once(&start) else {
        panic!("no {name} in {line}");
    };
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap(),
        None => value.split(' ').next().unwrap(),
    }
}

/// Asks for `/`, and gives back what the log has about it once `last` is in it.
async fn told_of(script: Script, last: &str) -> Vec<String> {
    let responder = ScriptedResponder::start([script]).await;
    let hosts = "[[site]]\nhosts = [\"example.org\"]";
    let site = responder.site("").replace("[[site]]", hosts);
    let gateway = Gateway::start(&site).await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    gateway.log.wait_for(|line| line.contains(last)).await;
    of_request(&gateway, responder.requests()[0].param("REQUEST_ID"))
}

#[tokio::test]
async fn each_message_of_php_is_one_record_under_the_requests_name() {
    let (_php, gateway) = Gateway::with_php(1).file(
        "index.php",
        "<?php error_log('one'); error_log('two'); error_log('three'); echo $undefined;
         trigger_error('old', E_USER_DEPRECATED); function f() { throw new Exception(\"what\nwent wrong\"); } f();",
    )
    .start()
    .await;
    assert_eq!(gateway.get("/").await.status, 500);
    let last = gateway
        .log
        .wait_for(|line| line.contains("went wrong"))
        .await;
    let lines = of_request(&gateway, field(&last, "request_id"));
    let expected = [
        ("ERROR", "PHP: one"),
        ("ERROR", "PHP: two"),
        ("ERROR", "PHP: three"),
        ("WARN", "PHP: PHP Warning:  Undefined variable $undefined"),
        ("INFO", "PHP: PHP Deprecated:  old"),
        (
            "ERROR",
            "PHP: PHP Fatal error:  Uncaught Exception: what\\nwent wrong",
        ),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, (level, text)) in lines.iter().zip(expected) {
        assert!(line.contains(level) && line.contains(text), "{line}");
        assert_eq!(field(line, "site"), "default");
        assert_eq!(field(line, "script"), "/index.php");
    }
    for part in ["Stack trace:\\n#0 ", "\\n#1 {main}\\n  thrown in "] {
        assert!(last.contains(part), "{last}");
    }
}

#[tokio::test]
async fn where_records_end_does_not_matter() {
    let stream = b"PHP message: one; PHP message: PHP Warning:  w\nStack trace:\n#0 {main}\nof FPM; PHP message: PHP Notice:  last";
    let whole = answering(&[stream]);
    let bytes: Vec<_> = stream.chunks(1).collect();
    for script in [whole.clone(), whole.bytewise(), answering(&bytes)] {
        let lines = told_of(script, "last").await;
        let expected = [
            "PHP: one",
            "PHP: PHP Warning:  w\\nStack trace:\\n#0 {main}",
            "PHP: of FPM",
            "PHP: PHP Notice:  last",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, text) in lines.iter().zip(expected) {
            assert!(line.contains(text), "{line}");
            assert_eq!(field(line, "site"), "example.org");
        }
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_the_count_is_told() {
    let php = PhpFpm::start(1).await;
    let notice = format!(
        "<?php $text = str_repeat('x', 90); for ($i = 0; $i < 10000; $i++) error_log('PHP Notice:  ' . $text); {}",
        "throw new Exception('at last');"
    );
    php.write("index.php", notice);
    let gateway = Gateway::start(&php.site()).await;
    assert_eq!(gateway.get("/").await.status, 500);
    let told = gateway.log.wait_for(|line| line.contains("dropped=")).await;
    let lines = of_request(&gateway, field(&told, "request_id"));
    let notices = lines.iter().filter(|line| line.contains("PHP Notice:"));
    let notices = notices.count();
    assert!((100..=256).contains(&notices), "{notices}");
    assert_eq!(field(&told, "dropped"), (10_000 - notices).to_string());
    // Room is kept for what ended the script.
    assert!(lines.iter().any(|line| line.contains("at last")));
}

#[tokio::test]
async fn all_requests_together_are_bounded() {
    let flood = "PHP message: PHP Fatal error:  f; ".repeat(250);
    let (_responder, gateway) = Gateway::with_app([answering(&[flood.as_bytes()])])
        .start()
        .await;
    for _ in 0..40 {
        assert_eq!(gateway.get("/").await.text(), "hello");
    }
    let log = gateway.log.clone();
    assert!(gateway.terminate().await.success());
    let count = |text: &str| log.all().iter().filter(|line| line.contains(text)).count();
    let told: usize = log
        .all()
        .iter()
        .filter(|line| line.contains("its share of the log"))
        .map(|line| field(line, "dropped").parse::<usize>().unwrap())
        .sum();
    let logged = count("PHP Fatal error:");
    assert!(logged < 5000, "{logged}");
    assert_eq!(logged + told, 40 * 250);
}

/// A PHP with one script, and a site that sends it paths below a `backend_root` that it does not have.
async fn with_a_wrong_backend_root() -> (PhpFpm, Gateway) {
    let php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'hello';");
    let config = format!(
        "[upstream.php]\nservers = \"{}\"\nbackend_root = \"{}\"\n[[site]]\nhosts = [\"example.org\"]\nroot = \"{}\"\n\
         [[site.rule]]\nfastcgi = {{ upstream = \"php\", missing = \"pass\" }}\n",
        php.address(),
        beside(&php, "var/www/html"),
        beside(&php, "public"),
    );
    let gateway = Gateway::start(&config).await;
    (php, gateway)
}

/// A path in the folder of the document root.
fn beside(php: &PhpFpm, name: &str) -> String {
    let path = php.root().with_file_name(name);
    path.display().to_string()
}

#[tokio::test]
async fn an_unknown_script_is_diagnosed() {
    let (php, gateway) = with_a_wrong_backend_root().await;
    let response = gateway.get("/index.php").await;
    assert_eq!(
        (response.status, response.text().as_str()),
        (404, "File not found.\n")
    );
    let told = gateway
        .log
        .wait_for(|line| line.contains("does not run the script"))
        .await;
    let expected = [
        ("site", "example.org"),
        ("script", "/index.php"),
        ("script_filename", &beside(&php, "var/www/html/index.php")),
        ("here", &beside(&php, "public/index.php")),
        ("exists_here", "yes"),
        ("first_missing", &beside(&php, "var")),
        ("config", "fcgate.toml:8"),
        ("backend_root", "fcgate.toml:3"),
    ];
    for (name, value) in expected {
        assert!(field(&told, name).ends_with(value), "{name}: {told}");
    }
    assert!(
        told.contains("ERROR") && told.contains("`backend_root` makes another path of it"),
        "{told}"
    );
}

#[tokio::test]
async fn the_same_unknown_script_is_counted() {
    let (_php, gateway) = with_a_wrong_backend_root().await;
    for target in ["/index.php", "/missing.php", "/index.php", "/index.php"] {
        assert_eq!(gateway.get(target).await.status, 404);
    }
    let log = gateway.log.clone();
    assert!(gateway.terminate().await.success());
    let lines = log.all();
    let find = |text: &str| -> Vec<_> {
        let found = lines.iter().filter(|line| line.contains(text));
        found.collect()
    };
    assert_eq!(find("does not run the script").len(), 2, "{lines:#?}");
    assert_eq!(find("Primary script unknown").len(), 0);
    let missing = find("/missing.php")[0];
    assert!(
        missing.contains("WARN") && missing.contains("does not exist below the root"),
        "{missing}"
    );
    let rest = find("further requests, beyond the logged ones")[0];
    assert_eq!(field(rest, "repeated"), "2");
}

#[tokio::test]
async fn a_script_that_may_not_be_read_is_diagnosed_by_fpms_words() {
    let words = b"Unable to open primary script: /srv/index.php (Permission denied)";
    let lines = told_of(answering(&[words]), "does not run the script").await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("PHP-FPM's user"), "{}", lines[0]);
    // What a script writes is no word of PHP-FPM's.
    let forged = told_of(
        answering(&[b"PHP message: Primary script unknown"]),
        "unknown",
    )
    .await;
    assert!(
        forged[0].contains("PHP: Primary script unknown"),
        "{forged:?}"
    );
}
