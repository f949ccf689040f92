//! The two servers, the PHP-FPM behind both, and the files that all see.

use super::Style;
use super::observation::{Observation, Own};
use super::requests::{Case, Protocol};
use crate::harness::apache::{Apache, let_it_read};
use crate::harness::php_fpm::Setup;
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{Address, Gateway, PhpFpm, Response, http1, http2};

/// Both servers, running.
pub(super) struct Sides {
    php: PhpFpm,
    apache: Apache,
    gateway: Gateway,
    client: TlsClient,
}

/// Where a server listens, in clear text and with TLS.
type Addresses<'a> = (&'a Address, &'a Address);

/// The hosts that have a site of their own, or share one; all others get the first.
const NAMES: &[&str] = &[
    "a.example",
    "b.example",
    "www.b.example",
    "front.example",
    "keep.example",
    "decode.example",
    "wiki.example",
    "plain.example",
];

/// Where below the document root the script stands that dumps what it sees.
const DUMPS: &[&str] = &[
    "dump.php",
    "index.php",
    "dir/dump.php",
    "dir/index.php",
    "dir.php/dump.php",
    "sp ace/du mp.php",
    "ümlaut/dümp.php",
    "plus+/du+mp.php",
    "per%cent/du%41mp.php",
    "semi;colon/a=b&c.php",
    "b/dump.php",
    "b/only-b.php",
];

impl Sides {
    pub(super) async fn start(style: Style) -> Self {
        let php = start_php().await;
        let authority = Authority::new();
        let identity = authority.issue(NAMES);
        let sites = Sites::of(style);
        let apache = sites.start_apache(&php, &identity).await;
        let gateway = sites.start_fcgate(&php, &identity).await;
        Self {
            php,
            apache,
            gateway,
            client: TlsClient::new(&authority),
        }
    }

    pub(super) async fn ask_apache(&self, case: &Case) -> Observation {
        self.ask((self.apache.address(), self.apache.tls_address()), case)
            .await
    }

    pub(super) async fn ask_fcgate(&self, case: &Case) -> Observation {
        let [plain, tls] = self.gateway.addresses() else {
            panic!("not two listeners")
        };
        self.ask((plain, tls), case).await
    }

    async fn ask(&self, (plain, tls): Addresses<'_>, case: &Case) -> Observation {
        let address = match case.protocol {
            Protocol::Http10 | Protocol::Http11 | Protocol::H2c => plain,
            Protocol::H2 | Protocol::Https => tls,
        };
        let response = self.send(address, case).await;
        let own = Own {
            root: self.php.root().display().to_string(),
            php: self.php.address().to_string(),
            port: address.port(),
        };
        Observation::of(&response, &own)
    }

    async fn send(&self, address: &Address, case: &Case) -> Response {
        let request = case.request(address.port());
        match case.protocol {
            Protocol::Http10 | Protocol::Http11 => http1::send(address, &request).await,
            Protocol::H2c => http2::send(address, &request).await,
            Protocol::H2 => {
                let mut connection = self.client.http2(address, server_name(case)).await;
                connection.send(&request).await
            }
            Protocol::Https => {
                let mut connection = self.client.http1(address, server_name(case)).await;
                connection.send(&request).await
            }
        }
    }
}

/// The name that the client asks for in the handshake (SNI).
fn server_name(case: &Case) -> &'static str {
    let known = NAMES.iter().find(|name| **name == case.host());
    known.unwrap_or(&NAMES[0])
}

async fn start_php() -> PhpFpm {
    let php = Setup::new(4)
        .tcp()
        .line("php_admin_value[post_max_size] = 64M")
        // By its X-Powered-By an answer of PHP is known.
        .line("php_admin_flag[expose_php] = on")
        .start()
        .await;
    let_it_read(php.root().parent().unwrap());
    for name in DUMPS {
        php.write(name, include_str!("../../differential/dump.php"));
    }
    php.write("answer.php", include_str!("../../differential/answer.php"));
    php.write("style.css", "p { color: red }\n");
    php
}

/// The same sites in the words of both servers.
struct Sites {
    apache: &'static str,
    fcgate: &'static str,
}

impl Sites {
    fn of(style: Style) -> Self {
        match style {
            Style::SetHandler => Self {
                apache: include_str!("../../differential/set_handler.conf"),
                fcgate: include_str!("../../differential/set_handler.toml"),
            },
            Style::ProxyPassMatch => Self {
                apache: include_str!("../../differential/proxy_pass_match.conf"),
                fcgate: include_str!("../../differential/proxy_pass_match.toml"),
            },
        }
    }

    async fn start_apache(&self, php: &PhpFpm, identity: &Identity) -> Apache {
        let lines = filled(self.apache, php);
        let (_, sites) = lines.split_once("\n<VirtualHost").unwrap();
        let sites =
            format!("<VirtualHost{sites}").replace("${PORT}>", "${TLS_PORT}>\nSSLEngine on");
        Apache::start_as(&format!("{lines}\n{sites}"), identity).await
    }

    async fn start_fcgate(&self, php: &PhpFpm, identity: &Identity) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        identity.write(folder.path(), "site");
        let tls = Identity::line(folder.path(), "site");
        let config = filled(self.fcgate, php).replace("{tls}", &tls);
        Gateway::start_in(folder, &config).await
    }
}

fn filled(text: &str, php: &PhpFpm) -> String {
    let text = text.replace("{root}", &php.root().display().to_string());
    text.replace("{php}", &php.address().to_string())
}
