//! The path at which a root is mounted, as with Apache's Alias.

use std::sync::Arc;

use crate::message::Root;
use crate::route::condition::check_path;
use crate::section::{At, Key, Lowered, Problem, Problems};

/// The key of handlers with a `root`.
pub static MOUNTED_AT: Key<At<String>> = Key::text("mounted_at", "Path of `root` in URLs, as with Apache's Alias: the rest of a path is looked up below `root`, and SCRIPT_NAME begins with it. Paths that do not begin with it are left to the next rule. \"\": `root` is at /.").default("\"\"");

/// The path at which a root is mounted, without a slash at its end; empty for `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount(Arc<str>);

impl Default for Mount {
    /// Returns the mount at `/`.
    fn default() -> Self {
        Self("".into())
    }
}

impl Mount {
    /// Builds the mount from the section of a handler.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let text = section.get(&MOUNTED_AT);
        if text.is_empty() {
            return Self::default();
        }
        Self::at(&text, problems).unwrap_or_default()
    }

    /// Builds a mount at a path other than `/`, with or without a slash at its end.
    pub fn at(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let path = text.value.strip_suffix('/').unwrap_or(&text.value);
        let plain = |segment: &str| {
            let odd = |c: char| c.is_control() || c == '$';
            // A `$` would be a variable where a preset rewrites or redirects.
            !matches!(segment, "" | "." | "..") && !segment.chars().any(odd)
        };
        let segments = path.strip_prefix('/');
        if segments.is_some_and(|segments| segments.split('/').all(plain)) {
            check_path(text, problems);
            return Some(Self(path.into()));
        }
        let message = format!("cannot mount at `{}`", text.value);
        let help = "write a path as \"/my/app/\"; at / is the `root` of the site";
        problems.push(Problem::new(text.place.clone(), message).help(help));
        None
    }

    /// Returns the path, without a slash at its end; empty for `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Calls [`below`] for this mount.
    pub fn below<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        below(&self.0, path)
    }

    /// Returns the request path of a file at `below` the root.
    pub fn above(&self, below: Vec<u8>) -> Vec<u8> {
        if self.0.is_empty() {
            below
        } else {
            [self.0.as_bytes(), &below].concat()
        }
    }

    /// Returns the site's root if it is DOCUMENT_ROOT, as with Apache's Alias. If PHP sees files at other paths than the
    /// gateway, only the mount's own root is known to both.
    pub fn document_root<'a>(
        &self,
        site: Option<&'a Root>,
        seen_elsewhere: bool,
    ) -> Option<&'a Root> {
        site.filter(|_| !self.0.is_empty() && !seen_elsewhere)
    }
}

/// Returns `path` relative to the root at `mount`, beginning with `/`; the mount's own path is its root, with or without a
/// slash at its end. `None` for a path outside the mount.
pub fn below<'a>(mount: &str, path: &'a [u8]) -> Option<&'a [u8]> {
    match path.strip_prefix(mount.as_bytes()) {
        Some([]) => Some(b"/"),
        Some(below) if below.starts_with(b"/") => Some(below),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: &str) -> Option<Mount> {
        let text = At {
            value: path.to_owned(),
            place: Default::default(),
        };
        Mount::at(&text, &mut Problems::default())
    }

    #[test]
    fn paths_below_a_mount_are_those_of_its_root() {
        let app = mount("/my/app/").unwrap();
        for (path, below) in [
            ("/my/app", Some("/")),
            ("/my/app/", Some("/")),
            ("/my/app/x/y", Some("/x/y")),
            ("/my/apple", None),
            ("/my", None),
            ("/", None),
        ] {
            let found = app.below(path.as_bytes());
            assert_eq!(found, below.map(str::as_bytes), "{path}");
        }
        assert_eq!(app.above(b"/x".to_vec()), b"/my/app/x");
        let site = Mount::default();
        assert_eq!(site.below(b"/x"), Some(&b"/x"[..]));
        assert_eq!(site.above(b"/x".to_vec()), b"/x");
    }

    #[test]
    fn only_plain_paths_are_mounts() {
        for path in ["/a", "/a/", "/a/b c", "/é", "/.well-known/x"] {
            assert!(mount(path).is_some(), "{path}");
        }
        for path in [
            "", "/", "a", "a/", "//", "/a//", "/a//b", "/../a", "/a/./b", "/a$1", "/a\n",
        ] {
            assert!(mount(path).is_none(), "{path:?}");
        }
    }
}
