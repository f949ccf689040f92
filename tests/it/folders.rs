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

#[tokio::test]
async fn a_missing_picture_does_not_get_the_front_controller_where_it_is_excepted() {
    let php = PhpFpm::start(1).await;
    let mounted = php.root().with_file_name("mounted");
    for folder in [php.root(), mounted.clone()] {
        write_below(&folder, "index.php", SHOW);
        write_below(&folder, "there.png", "picture");
        write_below(&folder, "folder.png/index.php", SHOW);
    }
    let front = "front_controller = { except = [\"png\", \".JPG\"] }\n";
    let site = php.site();
    let mount = format!(
        "[[site.mount]]\npath = \"/m/\"\nroot = \"{}\"\n{front}",
        mounted.display()
    );
    let gateway = Gateway::start(&format!("{site}{front}{mount}")).await;
    for prefix in ["", "/m"] {
        for (target, status, script) in [
            ("/there.png", 200, None),
            ("/missing.png", 404, None),
            ("/missing.PNG?v=1", 404, None),
            ("/a/b.jpg", 404, None),
            ("/missing.gif", 200, Some("/index.php")),
            ("/png", 200, Some("/index.php")),
            ("/a.png/edit", 200, Some("/index.php")),
            ("/index.php/a.png", 200, Some("/index.php")),
            ("/folder.png", 301, None),
            ("/folder.png/", 200, Some("/folder.png/index.php")),
        ] {
            let target = format!("{prefix}{target}");
            let response = gateway.get(&target).await;
            let script = script.map(|script| format!("{prefix}{script}"));
            let ran = response.header("x-script").map(str::to_owned);
            assert_eq!((response.status, ran), (status, script), "{target}");
        }
    }
}

#[tokio::test]
async fn presets_except_what_their_application_does_not_make() {
    let php = PhpFpm::start(1).await;
    for script in ["index.php", "app.php"] {
        php.write(script, SHOW);
    }
    for (preset, more, targets) in [
        (
            "slim",
            "",
            [("/a.png", 404), ("/favicon.ico", 404), ("/a.js", 200)],
        ),
        (
            "wordpress",
            "",
            [("/a.webp", 404), ("/favicon.ico", 200), ("/a.xml", 200)],
        ),
        (
            "laravel",
            "",
            [("/a.woff2", 404), ("/img/a.png", 200), ("/a.js", 200)],
        ),
        (
            "symfony",
            "",
            [("/a.png", 200), ("/favicon.ico", 200), ("/a.js", 200)],
        ),
        // A word of the site's leaves the rest of what the preset says.
        (
            "slim",
            "front_controller = \"app.php\"\n",
            [("/a.png", 404), ("/x", 200), ("/a.js", 200)],
        ),
        (
            "slim",
            "front_controller = { except = [] }\n",
            [("/a.png", 200), ("/x", 200), ("/a.js", 200)],
        ),
    ] {
        let site = php.site();
        let gateway = Gateway::start(&format!("{site}preset = \"{preset}\"\n{more}")).await;
        for (target, status) in targets {
            assert_eq!(
                gateway.get(target).await.status,
                status,
                "{preset} {more}{target}"
            );
        }
    }
}
