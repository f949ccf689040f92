//! Checks of texts for meta-variables and fields.

use crate::fastcgi::params::pair_length;
use crate::fastcgi::record::MAX_CONTENT;
use crate::route::template::{Groups, Template};
use crate::section::{At, Place, Problem, Problems};

/// Parses a template; one that cannot be parsed is a problem.
pub(super) fn template(
    text: &At<String>,
    groups: &Groups,
    problems: &mut Problems,
) -> Option<Template> {
    let template = Template::parse(&text.value, groups);
    template
        .map_err(|error| problems.push(Problem::new(text.place.clone(), error.to_string())))
        .ok()
}

/// Refuses a variable with a `value` that is too long: PHP reads no variable that is longer than a record. The values that
/// a request adds are checked when it arrives.
pub(super) fn check_length(name: &str, value: usize, place: &Place, problems: &mut Problems) {
    let length = pair_length(name.len(), value);
    if length > MAX_CONTENT {
        let message = format!(
            "{name} would take {length} bytes with its name, and PHP reads at most {MAX_CONTENT}"
        );
        let problem = Problem::new(place.clone(), message);
        problems
            .push(problem.help("pass the path of a file that PHP reads, in place of its content"));
    }
}
