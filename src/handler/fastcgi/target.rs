//! Apache's spelling of a FastCGI target: `fcgi://php/srv/www/$1`, or
//! `unix:/run/php.sock|fcgi://localhost/srv/www/$1` (mod_proxy, ProxyPassMatch), with options behind it.

use std::time::Duration;

use crate::value::parse_duration;

/// A parsed target: the server, and the template of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An upstream's name, or an address.
    pub server: String,
    /// The absolute path of the file, with `$1` and other variables in it.
    pub file: String,
    /// `timeout=…`: limit on the silence of the script.
    pub timeout: Option<Duration>,
}

const SCHEME: &str = "fcgi://";

/// mod_proxy_fcgi's default port, for a host that is written without one.
const DEFAULT_PORT: u16 = 8000;

/// Parses `text`; `is_upstream` reports which hosts are names of upstreams. Without any `$` it adds `appended`,
/// as mod_proxy appends the path. The error names the expected form.
pub fn parse(
    text: &str,
    appended: &str,
    is_upstream: impl Fn(&str) -> bool,
) -> Result<Target, String> {
    let (url, timeout) = split_options(text)?;
    let expected = || {
        format!(
            "`{text}` is not a FastCGI target: write \"fcgi://UPSTREAM/srv/www/$1\" or \"unix:/run/php.sock|fcgi://localhost/srv/www/$1\""
        )
    };
    let (server, path) = split(url, is_upstream).ok_or_else(expected)?;
    if !path.starts_with('/') {
        return Err(expected());
    }
    let file = if path.contains('$') {
        path.to_owned()
    } else {
        format!("{}{appended}", path.trim_end_matches('/'))
    };
    Ok(Target {
        server,
        file,
        timeout,
    })
}

/// Returns the server of a `SetHandler`: `proxy:unix:/sock|fcgi://localhost` or `proxy:fcgi://host:port`.
pub fn handler(text: &str, is_upstream: impl Fn(&str) -> bool) -> Result<String, String> {
    let named = text
        .strip_prefix("proxy:")
        .filter(|text| text.contains(SCHEME));
    let target = named.ok_or_else(|| {
        format!(
            "`{text}` is not a FastCGI handler: write \"proxy:unix:/run/php.sock|fcgi://localhost\" or \"proxy:fcgi://host:port\""
        )
    })?;
    server(target, is_upstream)
}

/// Reports whether a server is in Apache's form, and not a bare address.
pub fn is_target(text: &str) -> bool {
    let last = text.trim_end().rsplit_once(' ');
    text.contains(SCHEME) || last.is_some_and(|(_, word)| is_option(word))
}

/// Returns the server of a target without a file: `unix:/sock|fcgi://localhost`, `fcgi://host:port`, or an
/// address.
pub fn server(text: &str, is_upstream: impl Fn(&str) -> bool) -> Result<String, String> {
    let (url, timeout) = split_options(text)?;
    if timeout.is_some() {
        return Err(format!(
            "`{text}` has a `timeout`, which is not supported here: write `timeouts` of an [upstream.NAME]"
        ));
    }
    if !url.contains(SCHEME) {
        return Ok(url.to_owned());
    }
    match split(url, is_upstream) {
        Some((server, "" | "/")) => Ok(server),
        Some((server, path)) => Err(format!(
            "`{text}` has the path `{path}`, which is not supported here: write \"{server}\", and the folder as `root`"
        )),
        None => Err(format!(
            "`{text}` names no server: write \"unix:/run/php.sock|fcgi://localhost\" or \"fcgi://host:port\""
        )),
    }
}

/// Splits a URL into the server and the path behind it.
fn split(url: &str, is_upstream: impl Fn(&str) -> bool) -> Option<(String, &str)> {
    let (socket, url) = match url.split_once('|') {
        Some((socket, url)) => (Some(socket), url),
        None => (None, url),
    };
    let rest = url.strip_prefix(SCHEME)?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let server = match socket {
        // Behind the bar the host is only a name for the pool.
        Some(socket) if socket.starts_with("unix:/") => socket.to_owned(),
        Some(_) => return None,
        None if host.is_empty() => return None,
        None if is_upstream(host) || has_port(host) => host.to_owned(),
        None => format!("{host}:{DEFAULT_PORT}"),
    };
    Some((server, path))
}

/// Splits the URL from the options of ProxyPass behind it, and parses `timeout`. A path may have spaces: an
/// option is a word with a `=`, or one of the few without.
fn split_options(text: &str) -> Result<(&str, Option<Duration>), String> {
    let mut timeout = None;
    let mut url = text.trim_end();
    while let Some((before, option)) = url.rsplit_once(' ').filter(|(_, word)| is_option(word)) {
        timeout = timeout.or(read_option(option)?);
        url = before.trim_end();
    }
    Ok((url, timeout))
}

fn is_option(word: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let name = word.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(in_name)) || FLAGS.contains(&word)
}

/// mod_proxy's options without a value.
const FLAGS: [&str; 3] = ["nocanon", "interpolate", "noquery"];

/// Parses an option of mod_proxy: a timeout, a setting that is the default here, or an error with the key to
/// write in its place.
fn read_option(option: &str) -> Result<Option<Duration>, String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    match (name.to_ascii_lowercase().as_str(), value) {
        ("enablereuse", "on" | "On") | ("disablereuse", "off" | "Off") => Ok(None),
        ("flushpackets", "on" | "auto") => Ok(None),
        ("timeout", seconds) if seconds.bytes().all(|byte| byte.is_ascii_digit()) => {
            let duration = parse_duration(&format!("{seconds}s"));
            let describe = |error| format!("`{option}`: a timeout is a number of seconds: {error}");
            duration.map(Some).map_err(describe)
        }
        ("timeout", _) => Err(format!("`{option}`: a timeout is a number of seconds")),
        (name, _) => {
            let key = INSTEAD.iter().find(|(known, _)| *known == name);
            let help = match key {
                Some((_, key)) => format!("write `{key}` of an [upstream.NAME]"),
                None => {
                    "options are enablereuse=on, flushpackets=on and timeout=SECONDS".to_owned()
                }
            };
            Err(format!(
                "`{option}` after a target is not supported: {help}"
            ))
        }
    }
}

/// Options of mod_proxy, and the equivalent keys.
const INSTEAD: [(&str, &str); 9] = [
    ("enablereuse", "keep = \"0s\""),
    ("disablereuse", "keep = \"0s\""),
    ("flushpackets", "response_buffer"),
    ("connectiontimeout", "timeouts.connect"),
    ("acquire", "timeouts.queue"),
    ("max", "capacity"),
    ("smax", "max_idle"),
    ("min", "max_idle"),
    ("ttl", "keep"),
];

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the folder before the template's first variable: the root that no capture leaves. A name in it that
/// looks like a script counts as one, not as a folder.
pub fn literal_folder(file: &str) -> &str {
    let (literal, variable) = file.split_once('$').unwrap_or((file, ""));
    let beginning = if variable.trim_start_matches('{').starts_with("path") {
        // The path begins with a slash, so that the name before it is whole.
        literal.trim_end_matches('/')
    } else {
        literal.rsplit_once('/').map_or("", |(folder, _)| folder)
    };
    let folder = before_script(beginning);
    if folder.is_empty() { "/" } else { folder }
}

/// Reports whether one of the names in `path` is that of a script.
pub(super) fn names_script(path: &str) -> bool {
    before_script(path) != path
}

fn before_script(folder: &str) -> &str {
    let mut start = 0;
    for segment in folder.split_inclusive('/') {
        let name = segment.trim_end_matches('/');
        if name
            .rsplit_once('.')
            .is_some_and(|(_, extension)| is_script(extension))
        {
            return folder.get(..start).unwrap_or(folder).trim_end_matches('/');
        }
        start += segment.len();
    }
    folder
}

/// Reports whether it is `php`, `php5` or another extension of PHP.
fn is_script(extension: &str) -> bool {
    extension.starts_with("php") || matches!(extension, "phtml" | "phar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_php(host: &str) -> bool {
        host == "php"
    }

    #[test]
    fn apaches_spellings_are_understood() {
        let parsed =
            |text: &str| parse(text, "$path", is_php).map(|target| (target.server, target.file));
        let of = |server: &str, file: &str| Ok((server.to_owned(), file.to_owned()));
        assert_eq!(parsed("fcgi://php/srv/www/$1"), of("php", "/srv/www/$1"));
        assert_eq!(
            parsed("fcgi://127.0.0.1:9000/srv/$1"),
            of("127.0.0.1:9000", "/srv/$1")
        );
        assert_eq!(
            parsed("fcgi://[::1]:9000/srv/$1"),
            of("[::1]:9000", "/srv/$1")
        );
        assert_eq!(parsed("fcgi://app/srv/$1"), of("app:8000", "/srv/$1"));
        assert_eq!(
            parsed("unix:/run/a.sock|fcgi://localhost/srv/$1"),
            of("unix:/run/a.sock", "/srv/$1")
        );
        assert_eq!(parsed("fcgi://php/srv/www/"), of("php", "/srv/www$path"));
        for bad in [
            "",
            "http://a/b",
            "fcgi://",
            "fcgi://php",
            "fcgi:///srv",
            "tcp:a|fcgi://b/c",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_ends_before_the_first_variable_and_before_a_script() {
        for (file, folder) in [
            ("/srv/www/$1", "/srv/www"),
            ("/srv/www$path", "/srv/www"),
            ("/srv/www/${path}", "/srv/www"),
            ("$path", "/"),
            ("/$1", "/"),
            ("/srv/www/index.php/$1", "/srv/www"),
            ("/srv/www/index.phtml$path", "/srv/www"),
            ("/srv/v1.2/$1", "/srv/v1.2"),
            ("/index.php5/$1", "/"),
        ] {
            assert_eq!(literal_folder(file), folder, "{file}");
        }
    }

    #[test]
    fn options_are_understood_or_refused_and_never_part_of_the_path() {
        let parsed = |options: &str| {
            let target = parse(&format!("fcgi://php/srv/a b/$1{options}"), "", is_php)?;
            assert_eq!(target.file, "/srv/a b/$1", "{options}");
            Ok::<_, String>(target.timeout.map(|timeout| timeout.as_secs()))
        };
        for (options, timeout) in [
            ("", None),
            (" ", None),
            (" enablereuse=on", None),
            ("  enableReuse=On flushpackets=auto disablereuse=off ", None),
            (" timeout=30", Some(30)),
            (" timeout=30 enablereuse=on", Some(30)),
        ] {
            assert_eq!(parsed(options), Ok(timeout), "{options}");
        }
        for (options, named) in [
            (" max=10", "capacity"),
            (" connectiontimeout=5", "timeouts.connect"),
            (" enablereuse=off", "keep"),
            (" flushpackets=off", "response_buffer"),
            (" timeout=soon", "seconds"),
            (" timeout=", "seconds"),
            (" timeout=-1", "seconds"),
            (" timeout=3153600001", "at most"),
            (" timeout=18446744073709551615", "at most"),
            (" nocanon", "enablereuse=on"),
            (" enablereuse=on retry=0", "timeout=SECONDS"),
        ] {
            let refused = parsed(options).unwrap_err();
            assert!(refused.contains(named), "{options}: {refused}");
        }
    }

    #[test]
    fn a_server_alone_has_neither_path_nor_timeout() {
        for (text, expected) in [
            ("unix:/run/a.sock|fcgi://localhost", "unix:/run/a.sock"),
            ("unix:/run/a.sock|fcgi://localhost/", "unix:/run/a.sock"),
            ("fcgi://127.0.0.1:9000 enablereuse=on", "127.0.0.1:9000"),
            ("fcgi://php", "php"),
            ("fcgi://app", "app:8000"),
        ] {
            assert_eq!(server(text, is_php).as_deref(), Ok(expected), "{text}");
            let handled = handler(&format!("proxy:{text}"), is_php);
            assert_eq!(handled.as_deref(), Ok(expected), "{text}");
            assert!(is_target(text), "{text}");
        }
        let address = "unix:/run/a b.sock";
        assert!(!is_target(address));
        let with_option = format!("{address} enablereuse=on");
        assert!(is_target(&with_option));
        assert_eq!(server(&with_option, is_php).as_deref(), Ok(address));
        for text in [
            "unix:/run/a.sock|fcgi://localhost/srv/www",
            "fcgi://php timeout=3",
            "tcp:a|fcgi://b",
            "fcgi://",
        ] {
            assert!(server(text, is_php).is_err(), "{text}");
            assert!(handler(&format!("proxy:{text}"), is_php).is_err(), "{text}");
        }
        for text in ["fcgi://php", "proxy:php", "proxy:http://php"] {
            assert!(handler(text, is_php).is_err(), "{text}");
        }
    }
}
