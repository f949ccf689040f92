//! Other paths that an application may read in a target. It receives REQUEST_URI as sent, and routes by that in its
//! own way: without resolving `..`, without the script in front, with the first segment of `//a/b` as a host, or with
//! a query that begins with a slash as the path.

use super::{EncodedSlash, Target, decode, remove_dot_segments};

/// The most scripts in one path that are considered as the running one.
const MAX_SCRIPTS: usize = 4;

/// File name extensions of scripts.
const SCRIPTS: [&[u8]; 2] = [b".php", b".phtml"];

impl Target {
    /// Returns the paths that an application may route by besides [`Target::path`]; none for nearly every
    /// target. The paths are decoded and may have dot segments.
    pub fn readings(&self) -> Vec<Vec<u8>> {
        let raw = self.raw_path();
        let in_query = self.path_in_query();
        let has_script = ends_of_scripts(self.path()).next().is_some();
        if !is_odd(raw.as_bytes()) && !has_script && in_query.is_none() {
            return Vec::new();
        }
        let mut bases = vec![self.path().to_vec()];
        bases.extend(in_query);
        for raw in [Some(raw), behind_authority(raw)].into_iter().flatten() {
            // An encoded slash is no slash for the gateway, and one for an application that decodes the whole path.
            let sent = decode(raw, EncodedSlash::Decode).unwrap_or_default();
            let merged = merge_slashes(&sent);
            bases.extend(remove_dot_segments(&merged).ok());
            bases.push(merged);
        }
        let mut readings = Vec::new();
        for base in bases {
            add_scripts(&base, &mut readings);
            readings.push(base);
        }
        let mut all: Vec<Vec<u8>> = Vec::new();
        for reading in readings {
            if reading != self.path() && reading.starts_with(b"/") && !all.contains(&reading) {
                all.push(reading);
            }
        }
        all
    }

    /// Returns the path that CodeIgniter reads in `/?/admin` and `/index.php?/admin`, for servers that set no PATH_INFO.
    fn path_in_query(&self) -> Option<Vec<u8>> {
        let query = self.query().filter(|query| query.starts_with('/'))?;
        let path = self.path();
        let is_script = SCRIPTS.iter().any(|script| path.ends_with(script));
        if !is_script && !path.ends_with(b"/") {
            return None;
        }
        let query = query.split('?').next().unwrap_or_default();
        let below = decode(query, EncodedSlash::Decode).ok()?;
        Some(merge_slashes(&[folder(path), &below].concat()))
    }
}

/// Reports whether normalisation may change a path: it has an empty or dot segment, or an encoded dot or slash. Other
/// octets have one meaning for all decoders.
fn is_odd(raw: &[u8]) -> bool {
    let encoded = |three: &[u8]| matches!(three, [b'%', b'2', b'e' | b'E' | b'f' | b'F']);
    let plain = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    raw.windows(2).any(plain) || raw.windows(3).any(encoded)
}

/// Returns the path of a network-path reference (RFC 3986 §4.2): in `//a/b` PHP's parse_url reads the host `a` and the
/// path `/b`.
fn behind_authority(raw: &str) -> Option<&str> {
    let rest = raw.strip_prefix("//")?;
    rest.get(rest.find('/')?..)
}

fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    merged
}

/// Adds the script that a path may run, and the path that an application in the script's folder then reads: `/a.php`
/// and `/x` of `/a.php/x`. Symfony, Yii and CodeIgniter remove a script at the beginning of REQUEST_URI even inside a
/// segment, and route `/a.phpx` as `/x`.
fn add_scripts(path: &[u8], readings: &mut Vec<Vec<u8>>) {
    for end in ends_of_scripts(path).take(MAX_SCRIPTS) {
        let Some((script, info)) = path.split_at_checked(end) else {
            continue;
        };
        let folder = folder(script);
        if info.starts_with(b"/") {
            readings.push([folder, info].concat());
            readings.push(script.to_vec());
        } else {
            readings.push([folder, b"/", info].concat());
        }
    }
}

/// Returns the folder of a path, without the slash at its end.
fn folder(path: &[u8]) -> &[u8] {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    path.get(..slash.unwrap_or(0)).unwrap_or_default()
}

/// Iterates over the ends of possible scripts that are not at the end of the path.
fn ends_of_scripts(path: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let dots = path.iter().enumerate().filter(|(_, byte)| **byte == b'.');
    let ends = dots.filter_map(|(dot, _)| {
        let rest = path.get(dot..)?;
        let script = SCRIPTS.iter().find(|script| rest.starts_with(script))?;
        Some(dot + script.len())
    });
    ends.filter(|end| *end < path.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn readings(raw: &str, slashes: EncodedSlash) -> Vec<String> {
        let target = Target::parse(raw, slashes).unwrap();
        let readings = target.readings().into_iter();
        readings
            .map(|path| String::from_utf8(path).unwrap())
            .collect()
    }

    #[test]
    fn odd_targets_are_read_in_several_ways() {
        for (raw, expected) in [
            ("/", &[] as &[&str]),
            ("/admin/x?a=/../b.php/c", &[]),
            ("/a.php", &[]),
            ("/%61dmin", &[]),
            ("//admin", &[]),
            ("/admin/../x", &["/admin/../x"]),
            ("/admin/%2e%2e/x", &["/admin/../x"]),
            ("/./admin", &["/./admin"]),
            ("//host/admin", &["/admin"]),
            (
                "//host/admin/../x",
                &["/host/admin/../x", "/x", "/admin/../x"],
            ),
            ("/index.php/admin", &["/admin", "/index.php"]),
            ("/app/index.php/admin", &["/app/admin", "/app/index.php"]),
            (
                "/index.php/admin/../x",
                &["/x", "/index.php", "/admin/../x", "/index.php/admin/../x"],
            ),
            ("/a.phtml/x", &["/x", "/a.phtml"]),
            ("/x/index%2Ephp/admin", &["/x/admin", "/x/index.php"]),
            ("/index.phpadmin/x", &["/admin/x"]),
            ("/app/index.php%61dmin", &["/app/admin"]),
            ("/a.phtmlx", &["/x"]),
            ("/?/admin", &["/admin"]),
            ("/app/index.php?/%61dmin?a", &["/app/admin"]),
            ("/x?/admin", &[]),
            ("/?a=/admin", &[]),
        ] {
            assert_eq!(readings(raw, EncodedSlash::Reject), expected, "{raw}");
        }
        let kept = readings("/x%2F..%2Fadmin", EncodedSlash::Keep);
        assert_eq!(kept, ["/admin", "/x/../admin"]);
    }

    proptest! {
        /// Checks that a target without oddities has no other reading.
        #[test]
        fn plain_targets_have_one_reading(raw in "/[ab./%25aFe?]{0,30}") {
            if let Ok(target) = Target::parse(&raw, EncodedSlash::Keep) {
                let sent = decode(target.raw_path(), EncodedSlash::Decode).unwrap();
                let is_same = merge_slashes(&sent) == target.path() && !raw.starts_with("//");
                prop_assert!(is_same || is_odd(target.raw_path().as_bytes()), "{}", raw);
            }
        }

        #[test]
        fn readings_are_few_and_absolute(raw in "/[ab./%2Fe?ph]{0,60}") {
            if let Ok(target) = Target::parse(&raw, EncodedSlash::Keep) {
                let readings = target.readings();
                prop_assert!(readings.len() <= 6 * (2 * MAX_SCRIPTS + 1));
                prop_assert!(readings.iter().all(|path| path.starts_with(b"/")));
            }
        }
    }
}
