//! PHP-FPM's configuration, if it is readable on this host: pools by their `listen`, `[global]` of the
//! master, and php.ini.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::upstream::Address;

/// Paths of the master's file in distributions, the PHP images and source builds.
const MASTERS: [&str; 5] = [
    "/etc/php/*/fpm/php-fpm.conf",
    "/etc/php-fpm.conf",
    "/etc/php*/php-fpm.conf",
    "/usr/local/etc/php-fpm.conf",
    "/opt/*/etc/php-fpm.conf",
];

/// Maximum depth of includes.
const MAX_DEPTH: usize = 4;

/// Maximum length of a configuration file, in bytes.
const MAX_LENGTH: u64 = 1 << 20;

/// A pool with its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pool {
    /// The name.
    pub(super) name: String,
    /// The file of the pool.
    pub(super) file: PathBuf,
    keys: HashMap<String, String>,
    /// `[global]` of its master.
    global: HashMap<String, String>,
    ini: HashMap<String, String>,
}

/// Returns the pools of all masters in [`MASTERS`] and in the `named` files.
pub(super) fn find(named: &[PathBuf]) -> Vec<Pool> {
    let usual = MASTERS.iter().flat_map(|pattern| files(pattern));
    let mut masters: Vec<PathBuf> = named.iter().cloned().chain(usual).collect();
    masters.dedup();
    masters
        .iter()
        .flat_map(|master| read_master(master))
        .collect()
}

impl Pool {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }

    /// Returns a setting of the master.
    pub(super) fn global(&self, key: &str) -> Option<&str> {
        self.global.get(key).map(String::as_str)
    }

    /// Returns a setting of PHP: that of the pool, else that of php.ini.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        let keys = ["php_admin_value", "php_value"].map(|kind| format!("{kind}[{name}]"));
        let own = keys.iter().find_map(|key| self.get(key));
        own.or_else(|| self.ini.get(name).map(String::as_str))
    }

    /// Reports whether the pool listens at `address`.
    pub(super) fn listens_at(&self, address: &Address) -> bool {
        let Some(listen) = self.get("listen") else {
            return false;
        };
        match address {
            Address::Unix(path) => same_path(path, Path::new(listen)),
            Address::Tcp(host, port) => {
                let (bound, number) = listen.rsplit_once(':').unwrap_or(("", listen));
                number.parse() == Ok(*port) && reaches(bound, host)
            }
        }
    }
}

/// Reports whether a pool bound to `bound` is reached at `host`. The pool is on this host, so another host's
/// address belongs to another pool.
fn reaches(bound: &str, host: &str) -> bool {
    let bare = |text: &str| {
        text.trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned()
    };
    let (bound, host) = (bare(bound), bare(host));
    let loops = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    bound == host || (loops && matches!(bound.as_str(), "" | "*" | "0.0.0.0" | "::" | "localhost"))
}

fn same_path(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    one == other || real(one) == real(other)
}

fn read_master(master: &Path) -> Vec<Pool> {
    let mut sections = Vec::new();
    read(master, "global", 0, &mut sections);
    let mut global = HashMap::new();
    let mut pools: Vec<Pool> = Vec::new();
    for (name, key, value, file) in sections {
        if name == "global" {
            global.insert(key, value);
            continue;
        }
        if pools.iter().all(|pool| pool.name != name) {
            pools.push(Pool {
                name: name.clone(),
                file,
                ..Pool::default()
            });
        }
        let pool = pools.iter_mut().find(|pool| pool.name == name);
        pool.map(|pool| pool.keys.insert(key, value));
    }
    let ini = php_ini(master.parent().unwrap_or_else(|| Path::new("/")));
    for pool in &mut pools {
        pool.global.clone_from(&global);
        pool.ini.clone_from(&ini);
    }
    pools
}

type Line = (String, String, String, PathBuf);

/// Reads section, key and value of each line, and of all included files.
fn read(file: &Path, section: &str, depth: usize, lines: &mut Vec<Line>) {
    let mut section = section.to_owned();
    for line in text(file).lines() {
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, value)) = pair(line) {
            if key != "include" {
                // `$pool` expands to the name of the pool.
                let value = value.replace("$pool", &section);
                lines.push((section.clone(), key, value, file.to_owned()));
            } else if depth < MAX_DEPTH {
                let pattern = file.parent().unwrap_or_else(|| Path::new("/")).join(value);
                for included in files(&pattern.to_string_lossy()) {
                    read(&included, &section, depth + 1, lines);
                }
            }
        }
    }
}

/// Reads php.ini and conf.d: later files win, as in PHP.
fn php_ini(folder: &Path) -> HashMap<String, String> {
    let image = Path::new("/usr/local/etc/php");
    let is_image = folder == Path::new("/usr/local/etc");
    let folder = if is_image { image } else { folder };
    let further = files(&folder.join("conf.d/*.ini").to_string_lossy());
    let all = std::iter::once(folder.join("php.ini")).chain(further);
    let texts: Vec<String> = all.map(|file| text(&file)).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| pair(line.trim())).collect()
}

fn pair(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    if key.is_empty() || key.starts_with([';', '#']) {
        return None;
    }
    let value = value.split(';').next().unwrap_or_default().trim();
    Some((key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
}

fn text(file: &Path) -> String {
    let short =
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() <= MAX_LENGTH);
    short
        .then(|| std::fs::read(file).ok())
        .flatten()
        .map_or_else(String::new, |bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        })
}

fn files(pattern: &str) -> Vec<PathBuf> {
    let found = glob::glob(pattern).ok().into_iter().flatten();
    found.filter_map(Result::ok).collect()
}

/// Parses a duration of PHP-FPM: seconds, or a number with the suffix s, m, h or d.
pub(super) fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let unit = match text.strip_prefix(digits)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    Some(Duration::from_secs(number.saturating_mul(unit)))
}

/// Parses a size of php.ini, in bytes: a number, or one with the suffix K, M or G.
pub(super) fn size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text.strip_prefix(digits)?.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_read_with_their_master() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("pool.d")).unwrap();
        write(
            "php-fpm.conf",
            "[global]\nprocess_control_timeout = 10s\ninclude=pool.d/*.conf\n",
        );
        write(
            "pool.d/www.conf",
            "[www]\n; listen = /no.sock\nlisten = /run/$pool.sock ; here\npm.max_children = 5\nphp_admin_value[post_max_size] = \"8M\"\n[two]\nlisten = 9001\n",
        );
        write("php.ini", "upload_max_filesize = 2M\npost_max_size = 1M\n");
        let pools = read_master(&folder.path().join("php-fpm.conf"));
        let [www, two] = pools.as_slice() else {
            panic!("{pools:?}")
        };
        assert_eq!(www.get("listen"), Some("/run/www.sock"));
        assert_eq!(www.global("process_control_timeout"), Some("10s"));
        assert_eq!(www.setting("post_max_size"), Some("8M"));
        assert_eq!(two.setting("post_max_size"), Some("1M"));
        assert_eq!(www.setting("upload_max_filesize"), Some("2M"));
        let at = |text: &str| Address::parse(text).unwrap();
        assert!(www.listens_at(&at("unix:/run/www.sock")));
        assert!(!www.listens_at(&at("127.0.0.1:9001")));
        assert!(two.listens_at(&at("127.0.0.1:9001")));
        assert!(!two.listens_at(&at("192.0.2.1:9001")));
    }

    #[test]
    fn units_are_phps() {
        assert_eq!(time("30"), Some(Duration::from_secs(30)));
        assert_eq!(time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(time("2x"), None);
        assert_eq!(size("8M"), Some(8 << 20));
        assert_eq!(size("512"), Some(512));
        assert_eq!(size("1g"), Some(1 << 30));
        assert_eq!(size("M"), None);
    }
}
