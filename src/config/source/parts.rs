//! Parallel parsing of a long file, in parts: the TOML parser takes near half of the time of a reload, and has no
//! state at a header of a list, except within a multi-line text. The parts are used only if they are free of
//! errors and equal the whole; every other file is parsed whole, so that errors are reported in one way.

use toml::de::DeTable;

use crate::config::parallel;
use crate::section::{Environment, FileId, Lowered, Problems, Section};

/// Bytes that are worth a thread.
const LONG: usize = 64 * 1024;

/// Reads the file in parts; `None` if it must be read whole.
pub(super) fn lower(
    text: &str,
    file: FileId,
    root: &'static Section,
    environment: &Environment<'_>,
) -> Option<Lowered> {
    let parts = split(text, parallel::thread_count(text.len() / LONG))?;
    lower_parts(text, parts, |part, offset| {
        let (table, errors) = DeTable::parse_recoverable(part);
        let mut problems = Problems::default();
        let table = table.get_ref();
        let lowered = root.lower_part(table, (file, offset), environment, &mut problems);
        (errors.is_empty() && problems.is_empty()).then_some(lowered)
    })
}

fn lower_parts(
    text: &str,
    parts: Vec<(usize, &str)>,
    read: impl Fn(&str, usize) -> Option<Lowered> + Sync,
) -> Option<Lowered> {
    let mut parts = parallel::map(parts, |(offset, part)| read(part, offset)).into_iter();
    let first = parts.next()??;
    parts.try_fold(first, |whole, part| {
        // Only `[[site]]` may continue the list that `[[site]]` started.
        whole.with_more(part?, |name| {
            let before = text.get(..name.span.start);
            before.is_some_and(|before| before.ends_with("[["))
        })
    })
}

/// Splits a text into parts of similar length, with their offsets; `None` for fewer than two.
fn split(text: &str, count: usize) -> Option<Vec<(usize, &str)>> {
    if count < 2 || text.contains("\"\"\"") || text.contains("'''") {
        return None;
    }
    let mut parts = Vec::with_capacity(count);
    let mut start = 0;
    for number in 1..count {
        let aim = text.len() / count * number;
        let Some(end) = header_behind(text, aim.max(start)) else {
            break;
        };
        parts.push((start, text.get(start..end)?));
        start = end;
    }
    parts.push((start, text.get(start..)?));
    (parts.len() > 1).then_some(parts)
}

/// Returns the offset of the next top-level list header: `[[site]]`.
fn header_behind(text: &str, at: usize) -> Option<usize> {
    let at = (at..text.len()).find(|at| text.is_char_boundary(*at))?;
    let lines = text.get(at..)?.match_indices("\n[[");
    let mut headers = lines.filter(|(found, _)| {
        let header = text.get(at + found + 3..).unwrap_or_default();
        let name = header.split(']').next().unwrap_or_default();
        !name.contains(['.', '\n', '[', '"', '\''])
    });
    headers.next().map(|(found, _)| at + found + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{ROOT, site_section};
    use crate::handler::deny;
    use crate::route::condition;

    /// Reads the text in `count` parts.
    fn in_parts(text: &str, count: usize) -> Option<Lowered> {
        lower_parts(text, split(text, count)?, |part, offset| {
            let (table, errors) = DeTable::parse_recoverable(part);
            let mut problems = Problems::default();
            let place = (FileId(0), offset);
            let lowered = ROOT.lower_part(table.get_ref(), place, &|_| None, &mut problems);
            (errors.is_empty() && problems.is_empty()).then_some(lowered)
        })
    }

    /// Reads the text whole; `None` on errors.
    fn whole(text: &str) -> Option<Lowered> {
        let table = DeTable::parse(text).ok()?;
        let mut problems = Problems::default();
        let lowered = ROOT.lower(
            table.get_ref(),
            Default::default(),
            &|_| None,
            &mut problems,
        );
        problems.is_empty().then_some(lowered)
    }

    fn sites(numbers: std::ops::Range<usize>) -> String {
        let site = |number| {
            format!(
                "[[site]]\nhosts = \"{number}.test\"\nroot = \"/srv\"\n[[site.rule]]\nprefix = \"/a\"\ndeny = {{}}\n"
            )
        };
        numbers.map(site).collect()
    }

    /// Compares places of all sites and their rules too, which the comparison of sections omits.
    fn is_same(one: &Lowered, other: &Lowered) -> bool {
        let places = |lowered: &Lowered| {
            let sites = lowered.get(&site_section::SITES).iter();
            let own = |site: &Lowered| {
                [
                    site.place(),
                    site.place_of(&site_section::ROOT),
                    site.place_of(&site_section::HOSTS),
                ]
            };
            let of = |rule: &Lowered| {
                [
                    rule.place(),
                    rule.place_of(&condition::PREFIX),
                    rule.place_of(&deny::KEY),
                ]
            };
            let places = sites.map(|site| {
                let rules: Vec<_> = site.get(&site_section::RULES).iter().map(of).collect();
                (own(site), rules)
            });
            places.collect::<Vec<_>>()
        };
        one.same_as(other) && places(one) == places(other)
    }

    #[test]
    fn parts_come_to_the_whole_with_every_place() {
        let text = format!(
            "[server]\nworkers = 2\n{}[admin]\naddress = \"unix:/a\"\n",
            sites(0..40)
        );
        for count in 2..6 {
            let parts = in_parts(&text, count).unwrap();
            assert!(is_same(&parts, &whole(&text).unwrap()), "{count}");
        }
    }

    #[test]
    fn texts_that_parts_would_change_are_read_whole() {
        let several = [
            // A header within a text.
            format!("{}[[site]]\nroot = '''\n{}'''\n", sites(0..9), sites(9..20)),
            // Refused in the whole text.
            format!(
                "[upstream.a]\nservers = \"a:1\"\n{}[upstream.a]\nservers = \"a:2\"\n",
                sites(0..20)
            ),
            // An inline list ends where it is written.
            format!("site = [{{ root = \"/srv\" }}]\n{}", sites(0..20)),
            // Of the previous site.
            format!(
                "{}[[listen]]\naddress = \":81\"\n{}",
                sites(0..9),
                sites(0..9).replace("[[site]]\n", "[[site.rule]]\n")
            ),
            // Invalid.
            format!("{}nonsense\n", sites(0..20)),
        ];
        for text in several {
            assert!(in_parts(&text, 2).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_in_parts_is_the_whole(
            blocks in prop::collection::vec(prop::sample::select(vec![
                "[[site]]\nroot = \"/srv\"", "[[site]]\nroot = \"/é\"\nhosts = [\n\"a.test\",\n]",
                "[[site]]\nroot = \"/srv\"\nhosts = \"[[site]]\"", "[[ site ]]\nroot = \"/srv\"",
                "[[\"site\"]]\nroot = \"/srv\"", "[[site.rule]]\nprefix = \"/a\"\ndeny = {}",
                "[[site.mount]]\npath = \"/m\"", "[[listen]]\naddress = \":81\"", "# [[site]]", "",
                "[[site]]\nrule = [\n{ prefix = \"/a\", deny = {} },\n]", "[site.files]\nnosniff = false",
                "[server]\nworkers = 2", "[upstream.a]\nservers = \"a:1\"", "site = []", "[[site]]\nroot = [\n",
            ]), 2..12),
            count in 2_usize..5,
        ) {
            let text = blocks.join("\n");
            if let Some(parts) = in_parts(&text, count) {
                let whole = whole(&text);
                prop_assert!(whole.is_some_and(|whole| is_same(&parts, &whole)), "{}", text);
            }
        }
    }
}
