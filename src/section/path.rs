//! Paths on disk that a configuration names.

use std::path::PathBuf;

use super::{At, Problem, Problems};

/// Returns the path that a key names. A relative one is a problem: it would depend on the folder in which the gateway
/// is started.
pub fn absolute_path(text: &At<String>, problems: &mut Problems) -> Option<PathBuf> {
    if text.value.starts_with('/') {
        return Some(PathBuf::from(&text.value));
    }
    let message = format!("`{}` is not an absolute path", text.value);
    let help = "it must begin with `/`: the gateway may be started in any folder";
    problems.push(Problem::new(text.place.clone(), message).help(help));
    None
}
