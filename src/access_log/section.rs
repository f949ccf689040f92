//! `access_log` of the server, of a listener and of a site.

use crate::route::condition;
use crate::section::{At, Group, Key, Section, Table, Tables};

/// `server.access_log`.
pub static SERVER_ACCESS_LOG: Key<Tables> = Key::one_or_more(
    "access_log",
    &SERVER_SECTION,
    "The access log: one line for each request.",
);

/// `access_log` of a listener or a site.
pub static ACCESS_LOG: Key<Tables> = Key::one_or_more("access_log", &SECTION, "The access log of these requests, with the keys of server.access_log: that of the site, else that of the listener, else that of the server. It replaces those behind it, as a CustomLog of a <VirtualHost> does in Apache; a list has several, for one of one's own and the common one. Logs that name the same file share it. \"off\": none.").example("{ to = \"/var/log/fcgate/example.log\", format = \"combined\" }");

static SERVER_SECTION: Section = Section {
    title: "[server.access_log]",
    doc: "The access log: one line for each request, unless its site or its listener has a log of its own.",
    groups: &[KEYS],
};

/// The doc is empty: the reference describes the keys once.
static SECTION: Section = Section {
    title: "access_log",
    doc: "",
    groups: &[KEYS],
};

static KEYS: Group = &[&TO, &FORMAT, &SECRETS, &WHEN, &UNLESS];

/// The `to` key.
pub static TO: Key<At<String>> = Key::text("to", "\"stdout\", \"off\", or the absolute path of a file. The file is reopened after SIGUSR1, and within two seconds when it was renamed or removed. At most 1024 files.").default("\"stdout\"");

/// The `format` key.
pub(super) static FORMAT: Key<At<String>> = Key::text("format", "\"combined\" or \"common\" as in Apache, \"json\" with times, upstream and cause, or a text of Apache's LogFormat directives: %a %h %A %b %B %D %H %l %L %m %O %p %P %q %r %R %s %T %u %U %v %V %X %%, %t and %{strftime}t, %{begin:…}t and %{end:…}t with sec, msec, usec, msec_frac and usec_frac, %{ms}T, %{us}T, %{local}p, %{remote}p, %{Field}i, %{Field}o, %{cookie}C, %{UNIQUE_ID}e, mod_ssl's %{NAME}x of HTTPS, SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI and SSL_CLIENT_S_DN, with `<`, `>`, %400,501{Field}i and %!200{Field}i as in Apache; and %{NAME}x for each name in the JSON object: time, client, host, scheme, tls, cipher, method, uri, protocol, status, bytes, complete, duration_ms, queue_ms, connect_ms, acknowledge_ms, first_byte_ms, site, handler, upstream, cause, user, request_id, trace_id. For example '%h %t \"%r\" %>s %b %{queue_ms}x %L'.\n%v is the name of the site; %L and %{UNIQUE_ID}e are the id of the request in all logs; %O counts the head and the content, without framing and TLS; %U is not decoded. Status 499: the client closed the connection before its answer began.").default("\"combined\"");

/// The `secrets` key.
pub(super) static SECRETS: Key<bool> = Key::flag("secrets", "Logs secrets in plain text. By default `redacted` replaces the fields Authorization, Proxy-Authorization, Cookie and Set-Cookie, cookies, and in targets, Referer and Location the values of access_token, api_key, apikey, auth_token, client_secret, id_token, pass, passwd, password, phpsessid, pwd, refresh_token, secret and token.").default("false");

/// The `when` key.
pub(super) static WHEN: Key<Table> = Key::table("when", &CONDITIONS, "Conditions of a line, all of which must hold: those of a rule, judged for the request as the client sent it, `status`, and `env`. Apache's `env=NAME` and `expr=`, nginx's `if=`.")
    .example("{ status = [\"4xx\", \"5xx\"] }");

/// The `unless` key.
pub(super) static UNLESS: Key<Table> = Key::table(
    "unless",
    &CONDITIONS,
    "Conditions likewise; a request for which all of them hold has no line. Apache's `env=!NAME`.",
)
.example("{ path = \"/health\" }");

/// The conditions of a line. The doc is empty, so that the reference shows the examples.
static CONDITIONS: Section = Section {
    title: "when and unless",
    doc: "",
    groups: &[condition::KEYS, &[&condition::NOT_KEY], &[&STATUS, &ENV]],
};

/// The `status` key.
pub(super) static STATUS: Key<Vec<At<String>>> = Key::texts(
    "status",
    "Status codes of the response, one of which it must have: \"404\", \"500-503\" or \"4xx\".",
)
.example("[\"4xx\", \"5xx\"]");

/// The `env` key.
pub(super) static ENV: Key<Vec<At<String>>> = Key::texts(
    "env",
    "Variables, one of which a rule must have set by `set_env` for the request.",
)
.example("[\"dontlog\"]");
