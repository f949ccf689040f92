//! The file in the target of a ProxyPass or ProxyPassMatch, with PATH_INFO behind it: the parts of it that may
//! be a script. PHP-FPM behind Apache takes the longest part that is a file, whatever its name, and relies on
//! `security.limit_extensions` that `/a.jpg/x.php` does not run a picture; here the configuration has to name
//! it.

use std::sync::Arc;

use super::target;
use crate::cgi::script;
use crate::route::BacktrackLimitExceeded;
use crate::route::condition::Pattern;
use crate::route::template::Template;

/// The file of a target.
#[derive(Debug)]
pub struct FileName {
    /// The absolute path.
    pub file: Template,
    /// The pattern of a ProxyPassMatch.
    pub pattern: Option<Pattern>,
}

impl FileName {
    /// Reports whether the target itself names a script, so that it is the same for all paths.
    pub(super) fn is_one_script(&self) -> bool {
        target::names_script(self.file.literal_start())
    }

    /// Reports whether `file[..end]`, below a root of `root` bytes, is named as a script: as the whole, before
    /// the first variable of the target, or by its extension.
    pub(super) fn names(&self, file: &[u8], end: usize, root: usize) -> bool {
        end == file.len()
            || root + end <= self.file.literal_start().len()
            || script::candidates(file).any(|candidate| candidate == end)
    }

    /// Reports whether the pattern matches the part of the request's path that leads to `file[..end]` by
    /// itself. `rule` is the place of the rule.
    pub(super) fn matches(
        &self,
        path: &[u8],
        file: &[u8],
        end: usize,
        rule: &Arc<str>,
    ) -> Result<bool, BacktrackLimitExceeded> {
        let path_info = file.get(end..).unwrap_or_default();
        match (&self.pattern, path.strip_suffix(path_info)) {
            (Some(pattern), Some(own)) => pattern.is_match(own, rule),
            (None, _) | (_, None) => Ok(false),
        }
    }
}
