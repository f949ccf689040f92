//! The verdict about sites, from the upstreams that have no server: values in, a value out.

use crate::site::needs::Needs;

/// Reports whether one of the sites can be served: one that sends files and needs no upstream, or one with an upstream that
/// is not dead. Sites that only redirect, respond or refuse count where there are no others: the redirect to HTTPS of a dead
/// application serves nobody.
pub(super) fn is_any_served<'a>(
    sites: impl IntoIterator<Item = &'a Needs>,
    is_dead: impl Fn(&str) -> bool,
) -> bool {
    let mut is_any_dead = false;
    for needs in sites {
        let mut upstreams = needs.upstreams.iter();
        if upstreams.any(|name| !is_dead(name)) {
            return true;
        }
        if needs.upstreams.is_empty() && needs.sends_files {
            return true;
        }
        is_any_dead |= !needs.upstreams.is_empty();
    }
    !is_any_dead
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a site by its upstreams, one letter each; `/` for files.
    fn site(text: &str) -> Needs {
        let upstreams = text.chars().filter(|c| *c != '/').map(String::from);
        Needs {
            upstreams: upstreams.collect(),
            sends_files: text.contains('/'),
        }
    }

    #[test]
    fn one_site_that_can_be_served_is_enough() {
        for (sites, dead, expected) in [
            // A site in which PHP serves the pages is not served by its files alone.
            (&["a/"][..], "", true),
            (&["a/"], "a", false),
            (&["a"], "a", false),
            // One dead upstream of several, in one site and in many.
            (&["ab/"], "a", true),
            (&["ab/"], "ab", false),
            (&["a/", "b/", "c/", "d/", "e/"], "a", true),
            (&["a/", "b/", "c/", "d/", "e/"], "abcd", true),
            (&["a/", "b/", "c/", "d/", "e/"], "abcde", false),
            // Files alone are a site.
            (&["a/", "/"], "a", true),
            (&["/"], "a", true),
            // Redirects are none, unless there is nothing else.
            (&["a/", ""], "a", false),
            (&[""], "a", true),
            // An upstream without a site is missed by nobody.
            (&["a/"], "b", true),
            (&[], "a", true),
        ] {
            let sites: Vec<_> = sites.iter().map(|text| site(text)).collect();
            let served = is_any_served(&sites, |name| dead.contains(name));
            assert_eq!(served, expected, "{sites:?}, dead: {dead}");
        }
    }
}
