//! A folder that is asked for without its slash: by whatever method, the client is sent to the folder, and no other
//! script gets its request.

use crate::harness::php_fpm::write_below;
use crate::harness::{Gateway, PhpFpm, Request};

const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "FOO",
];

const SHOW: &str =
    "<?php header('X-Script: ' . $_SERVER['SCRIPT_NAME']); echo $_SERVER['REQUEST_METHOD'];";

#[tokio::test]
async fn methods_do_not_change_the_way_to_a_folder() {
    let php = PhpFpm::start(1).await;
    let mounted = php.root().with_file_name("mounted");
    for folder in [php.root(), mounted.clone()] {
        for script in ["index.php", "sub/index.php", "empty/a.txt"] {
            write_below(&folder, script, SHOW);
        }
    }
    let mount = format!(
        "[[site.mount]]\npath = \"/m/\"\nroot = \"{}\"\n",
        mounted.display()
    );
    let gateway = Gateway::start(&(php.site() + &mount)).await;
    for method in METHODS {
        let status = match method {
            "GET" | "HEAD" => 301,
            _ => 308,
        };
        for (target, location) in [
            ("/sub", "/sub/"),
            ("/sub?a=b", "/sub/?a=b"),
            ("/sub?", "/sub/"),
            ("/sub?a=b&", "/sub/?a=b"),
            ("/empty", "/empty/"),
            ("/m", "/m/"),
            ("/m/sub?a=b", "/m/sub/?a=b"),
        ] {
            let response = gateway.send(&Request::new(method, target)).await;
            assert_eq!(
                (
                    response.status,
                    response.header("location"),
                    response.header("x-script")
                ),
                (status, Some(location), None),
                "{method} {target}"
            );
        }
        check_others(&gateway, method).await;
    }
}

/// Where clients are sent, and what is neither a file nor a folder, is the same for all methods too.
async fn check_others(gateway: &Gateway, method: &str) {
    for (target, script) in [
        ("/sub/", "/sub/index.php"),
        ("/empty/", "/index.php"),
        ("/route", "/index.php"),
        ("/m/", "/m/index.php"),
        ("/m/sub/", "/m/sub/index.php"),
        ("/m/route", "/m/index.php"),
    ] {
        let response = gateway.send(&Request::new(method, target)).await;
        assert_eq!(
            response.header("x-script"),
            Some(script),
            "{method} {target}"
        );
        if method != "HEAD" {
            assert_eq!(response.text(), method, "{target}");
        }
    }
}
