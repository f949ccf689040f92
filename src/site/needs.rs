//! Upstreams and files that a site needs to be served.

use crate::handler::Handler;
use crate::modifier::Step;
use crate::route::Rules;

/// Upstreams and files that the rules of a site name: its own, and those that `php`, mounts and presets imply.
#[derive(Debug, Default)]
pub struct Needs {
    /// Names of the upstreams, without duplicates, in the order of the rules.
    pub upstreams: Vec<String>,
    /// A rule sends files.
    pub sends_files: bool,
}

impl Needs {
    /// Builds the needs of a site with these rules.
    pub fn of(rules: &Rules<Step>) -> Self {
        let mut needs = Self::default();
        for rule in rules.iter() {
            match &rule.then.handler {
                Some(Handler::Fastcgi(fastcgi)) => {
                    let name = &fastcgi.upstream.name;
                    if !needs.upstreams.contains(name) {
                        needs.upstreams.push(name.clone());
                    }
                }
                Some(Handler::StaticFiles(_)) => needs.sends_files = true,
                Some(
                    Handler::Redirect(_)
                    | Handler::Rewrite(_)
                    | Handler::Respond(_)
                    | Handler::Deny(_)
                    | Handler::ExcludeProxy,
                )
                | None => {}
            }
        }
        needs
    }
}
