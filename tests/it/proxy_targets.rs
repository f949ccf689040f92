//! Apache's spellings of where PHP is: what in the target of a ProxyPassMatch is a script, which document root it is
//! told, and what may stand behind it.

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::php_fpm::{Setup, write_below};
use crate::harness::{Gate, Gateway, PhpFpm, Request, Script, ScriptedResponder};
use crate::mounts::told;

const SERVER: &str = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";

/// A pattern, what follows the server in its target, and paths that it matches; `ROOT` is the site's root and `OTHER`
/// another folder, each with the same scripts.
const TARGETS: [(&str, &str, &[&str]); 5] = [
    (
        r"^/five/(.*\.php5(/.*)?)$",
        "ROOT/$1",
        &["/five/a.php5", "/five/a.php5?x=1", "/five/sub/a.php5/x/y"],
    ),
    (
        r"^/(.*\.phtml(/.*)?)$",
        "OTHER/$1",
        &["/a.phtml", "/a.phtml/info?x=1", "/sub/a.phtml/"],
    ),
    (
        r"^/other/(.*\.php(/.*)?)$",
        "OTHER/$1",
        &["/other/a.php", "/other/a.php/info", "/other/sub/a.php"],
    ),
    (
        r"^/pages/(.*)$",
        "OTHER/a.phtml/$1",
        &["/pages/Main", "/pages/a/b?x=1"],
    ),
    (r"^/exact$", "OTHER/a.page", &[]),
];

/// PHP that runs whatever it is given, the site's root and the other folder.
async fn php() -> (PhpFpm, [String; 2]) {
    let setup = Setup::new(2).tcp();
    let setup = setup.line("security.limit_extensions = .php .php5 .phtml .page .jpg");
    let php = setup.start().await;
    let (root, other) = (php.root(), php.root().with_file_name("other"));
    for folder in [&root, &other] {
        for script in ["a.php", "a.php5", "a.phtml", "a.page", "a.jpg"] {
            write_below(folder, script, SERVER);
            write_below(&folder.join("sub"), script, SERVER);
        }
    }
    let_it_read(php.root().parent().unwrap());
    let folders = [root, other].map(|folder| folder.display().to_string());
    (php, folders)
}

fn filled(text: &str, [root, other]: &[String; 2]) -> String {
    text.replace("ROOT", root).replace("OTHER", other)
}

#[tokio::test]
async fn a_script_is_what_the_pattern_says_and_is_told_the_same_as_behind_apache() {
    let (php, folders) = php().await;
    let (mut lines, mut rules) = (format!("DocumentRoot {}\n", folders[0]), String::new());
    for (pattern, target, _) in TARGETS {
        let target = format!("fcgi://{}{}", php.address(), filled(target, &folders));
        // With enablereuse=on Apache would keep the workers to itself.
        lines += &format!("ProxyPassMatch \"{pattern}\" \"{target}\"\n");
        rules += &format!(
            "[[site.rule]]\nproxy_pass_match = '{pattern}'\nto = \"{target} enablereuse=on\"\n"
        );
    }
    let apache = Apache::start(&lines).await;
    let site = format!("[[site]]\nroot = \"{}\"\n{rules}", folders[0]);
    let gateway = Gateway::start(&site).await;
    for target in TARGETS.iter().flat_map(|(_, _, targets)| *targets) {
        let request = Request::get(target).field("Host", "localhost");
        let ours = gateway.send(&request).await;
        assert_eq!(ours.status, 200, "{target}: {}", ours.text());
        let theirs = told(&apache.send(&request).await.json());
        assert_eq!(told(&ours.json()), theirs, "{target}");
    }
}

#[tokio::test]
async fn nothing_runs_that_no_pattern_names() {
    let (php, folders) = php().await;
    let site = format!(
        r#"
        [[site]]
        root = "ROOT"
        [[site.rule]]
        proxy_pass = "/app"
        to = "fcgi://{php}OTHER"
        [[site.rule]]
        proxy_pass_match = '^/(.*\.(php|phtml)(/.*)?)$'
        to = "fcgi://{php}OTHER/$1"
        "#,
        php = php.address()
    );
    let gateway = Gateway::start(&filled(&site, &folders)).await;
    for (target, script) in [
        ("/a.php/x.jpg", Some("/a.php")),
        ("/a.phtml/x.php", Some("/a.phtml")),
        ("/app/a.php/x", Some("/app/a.php")),
        ("/app/a.phtml", Some("/app/a.phtml")),
        // A picture with a script's name behind it: PHP-FPM would run it, here and behind Apache.
        ("/a.jpg/x.php", None),
        ("/sub/a.jpg/x.phtml", None),
        ("/app/a.jpg/x.php", None),
        ("/a.page/x.php", None),
        ("/missing.php", None),
        ("/.a/a.php", None),
    ] {
        let response = gateway.get(target).await;
        match script {
            Some(script) => assert_eq!(response.json()["SCRIPT_NAME"], script, "{target}"),
            None => assert_eq!(response.status, 404, "{target}"),
        }
    }
}

#[tokio::test]
async fn php_is_named_as_in_a_target_wherever_it_is_named() {
    let php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'php';");
    let root = php.root().display().to_string();
    let apaches = format!("{}|fcgi://localhost", php.address());
    let script = format!("script = \"{root}/index.php\"");
    for site in [
        format!("root = \"{root}\"\nphp = \"{apaches}\""),
        format!("root = \"{root}\"\nphp = \"{apaches}/ enablereuse=on\""),
        format!(
            "[[site.mount]]\npath = \"/m/\"\nroot = \"{root}\"\nphp = \"{apaches}\"\n[[site.rule]]\npath = \"/\"\nrewrite = {{ to = \"/m/\" }}"
        ),
        format!(
            "root = \"{root}\"\nrule = [{{ fastcgi = {{ upstream = \"{apaches}\", {script} }} }}]"
        ),
        format!(
            "root = \"{root}\"\nindex = \"index.php\"\nrule = [{{ path = \"/\", rewrite = {{ to = \"/index.php\" }} }}, {{ set_handler = \"proxy:{apaches}\" }}]"
        ),
    ] {
        let gateway = Gateway::start(&format!("[[site]]\n{site}\n")).await;
        assert_eq!(gateway.get("/").await.text(), "php", "{site}");
    }
}

#[tokio::test]
async fn a_timeout_behind_a_target_is_the_scripts() {
    let gate = Gate::new();
    let silent = Script::new().read_request().wait(&gate).end_request();
    let responder = ScriptedResponder::start([silent]).await;
    let folder = tempfile::tempdir().unwrap();
    write_below(folder.path(), "a.php", "");
    let site = format!(
        "[[site]]\nrule = [{{ proxy_pass_match = '^/(.*)$', to = \"{}|fcgi://localhost{}/$1 timeout=1\" }}]\n",
        responder.address(),
        folder.path().display()
    );
    let gateway = Gateway::start(&site).await;
    assert_eq!(gateway.get("/a.php").await.status, 504);
    let told = gateway
        .log
        .wait_for(|line| line.contains("timeouts.first_byte"))
        .await;
    assert!(
        told.contains("1s") && told.contains("fcgate.toml:2"),
        "{told}"
    );
    gate.pass(1);
}
