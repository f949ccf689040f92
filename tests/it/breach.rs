//! Whose content is compressed for a client that shows its cookies (BREACH): that of a script is kept as it is, whatever
//! place it is read from, and what the site alone has said is not.

use crate::harness::php_fpm::write_below;
use crate::harness::{Gateway, PhpFpm, Request};

const APP: &str = "<?php
if (isset($_GET['status'])) { http_response_code((int) $_GET['status']); }
if (isset($_GET['file'])) { header('X-Sendfile: ' . $_GET['file']); }
header('Content-Type: text/plain');
echo str_repeat(\"said by a script\\n\", 200);";

#[tokio::test]
async fn who_made_the_content_decides_and_not_who_was_asked() {
    let php = PhpFpm::start(1).await;
    php.write("app.php", APP);
    let lines = |words: &str| format!("{words}\n").repeat(200);
    php.write("page.txt", lines("said by a file"));
    let files = php.root().with_file_name("files");
    write_below(&files, "a.txt", lines("said by a file that a script names"));
    let site = format!(
        "{}compress = true\nsend_file = {{ roots = [\"{}\"] }}\n\
         [[site.error_page]]\nstatus = [\"404\"]\nwhen = \"always\"\nbody = \"\"\"{}\"\"\"\n\
         [[site.rule]]\npath = \"/fixed\"\nrespond = {{ body = \"\"\"{}\"\"\" }}\n",
        php.site(),
        files.display(),
        lines("said by the site"),
        lines("said by a rule"),
    );
    let gateway = Gateway::start(&site).await;
    let named = format!("/app.php?file={}/a.txt", files.display());
    for (target, status, is_coded) in [
        ("/page.txt", 200, true),
        ("/fixed", 200, true),
        ("/none.txt", 404, true),
        ("/app.php", 200, false),
        (&named, 200, false),
        ("/app.php?status=404", 404, true),
        ("/app.php?status=500", 500, false),
    ] {
        let anyone = Request::get(target).field("Accept-Encoding", "gzip");
        let coded = gateway.send(&anyone).await;
        assert_eq!(coded.status, status, "{target}");
        assert_eq!(coded.header("content-encoding"), Some("gzip"), "{target}");
        let somebody = gateway.send(&anyone.field("Cookie", "a=b")).await;
        let coding = somebody.header("content-encoding");
        assert_eq!(coding.is_some(), is_coded, "{target} {somebody:?}");
    }
}
