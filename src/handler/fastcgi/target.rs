//! Apache's spelling of a FastCGI target: `fcgi://php/srv/www/$1`, or
//! `unix:/run/php.sock|fcgi://localhost/srv/www/$1` (mod_proxy, ProxyPassMatch).

/// A target taken apart: which server, and the template of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// An upstream's name, or an address.
    pub server: String,
    /// The file's path, absolute, with `$1` and its like still in it.
    pub file: String,
}

/// mod_proxy_fcgi's default port, for a host that is written without one.
const DEFAULT_PORT: u16 = 8000;

/// Takes `text` apart; `is_upstream` tells which hosts are names of upstreams. Without any `$` the
/// whole path is appended, as mod_proxy does. The error says what is expected.
pub fn parse(text: &str, is_upstream: impl Fn(&str) -> bool) -> Result<Target, String> {
    let expected = || {
        format!(
            "`{text}` is not a FastCGI target: write \"fcgi://UPSTREAM/srv/www/$1\" or \"unix:/run/php.sock|fcgi://localhost/srv/www/$1\""
        )
    };
    let (socket, url) = match text.split_once('|') {
        Some((socket, url)) => (Some(socket), url),
        None => (None, text),
    };
    let rest = url.strip_prefix("fcgi://").ok_or_else(expected)?;
    let (host, path) = rest.split_once('/').ok_or_else(expected)?;
    let server = match socket {
        // Behind the bar the host is only a name for the pool.
        Some(socket) if socket.starts_with("unix:/") => socket.to_owned(),
        Some(_) => return Err(expected()),
        None if host.is_empty() => return Err(expected()),
        None if is_upstream(host) || has_port(host) => host.to_owned(),
        None => format!("{host}:{DEFAULT_PORT}"),
    };
    let path = format!("/{path}");
    let file = if path.contains('$') {
        path
    } else {
        format!("{}$path", path.trim_end_matches('/'))
    };
    Ok(Target { server, file })
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The folder that the template names before its first variable: the root that no capture leaves.
pub fn literal_folder(file: &str) -> &str {
    let (literal, variable) = file.split_once('$').unwrap_or((file, ""));
    // `$path` begins with a slash, so that a whole folder stands before it.
    let folder = match variable.starts_with("path") && !literal.ends_with('/') {
        true => literal,
        false => literal.rsplit_once('/').map_or("", |(folder, _)| folder),
    };
    if folder.is_empty() { "/" } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apaches_spellings_are_understood() {
        let parsed = |text: &str| {
            parse(text, |host| host == "php").map(|target| (target.server, target.file))
        };
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
        assert_eq!(literal_folder("/srv/www/$1"), "/srv/www");
        assert_eq!(literal_folder("/srv/www$path"), "/srv/www");
        assert_eq!(literal_folder("$path"), "/");
        assert_eq!(literal_folder("/$1"), "/");
    }
}
