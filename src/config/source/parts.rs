//! A long file, read in parts side by side: the TOML parser takes near half of the time of a reload, and has no state
//! at a header of a list, except within a text of several lines. Only where nothing is wrong and the parts
//! come to what the whole would; all else is read whole, so that there is one way to tell of faults.

use toml::de::DeTable;

use crate::config::side_by_side;
use crate::section::{Environment, FileId, Lowered, Problems, Section};

/// Bytes that are worth a thread.
const LONG: usize = 64 * 1024;

/// What the file says; `None` where it has to be read whole.
pub(super) fn lower(
    text: &str,
    file: FileId,
    root: &'static Section,
    environment: &Environment<'_>,
) -> Option<Lowered> {
    let parts = split(text, side_by_side::threads(text.len() / LONG))?;
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
    let read = side_by_side::each(parts, |(offset, part)| read(part, offset));
    let mut read = read.into_iter();
    let first = read.next()??;
    read.try_fold(first, |whole, part| {
        // `[[site]]` goes on with what `[[site]]` has begun, and with nothing else.
        whole.with_more(part?, |name| {
            let before = text.get(..name.span.start);
            before.is_some_and(|before| before.ends_with("[["))
        })
    })
}

/// Parts of about the same length with their places; `None` where there are not two.
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

/// Where the next header of a list of the top level begins: `[[site]]`.
fn header_behind(text: &str, at: usize) -> Option<usize> {
    let at = (at..text.len()).find(|at| text.is_char_boundary(*at))?;
    let lines = text.get(at..)?.match_indices("\n[[");
    let mut headers = lines.filter(|(found, _)| {
        let name = text.get(at + found + 3..).unwrap_or_default();
        let name = name.split(']').next().unwrap_or_default();
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

    /// Read in `count` parts.
    fn in_parts(text: &str, count: usize) -> Option<Lowered> {
        lower_parts(text, split(text, count)?, |part, offset| {
            let (table, errors) = DeTable::parse_recoverable(part);
            let mut problems = Problems::default();
            let place = (FileId(0), offset);
            let lowered = ROOT.lower_part(table.get_ref(), place, &|_| None, &mut problems);
            (errors.is_empty() && problems.is_empty()).then_some(lowered)
        })
    }

    /// Read whole; `None` where something is wrong.
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

    /// Compared with the places of all sites and their rules, which the comparison of sections leaves out.
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
    fn what_would_be_another_file_is_read_whole() {
        let several = [
            // A header within a text.
            format!("{}[[site]]\nroot = '''\n{}'''\n", sites(0..9), sites(9..20)),
            // The second is refused in the whole.
            format!(
                "[upstream.a]\nservers = \"a:1\"\n{}[upstream.a]\nservers = \"a:2\"\n",
                sites(0..20)
            ),
            // Such a list has its end where it is written.
            format!("site = [{{ root = \"/srv\" }}]\n{}", sites(0..20)),
            // Of the site before it.
            format!(
                "{}[[listen]]\naddress = \":81\"\n{}",
                sites(0..9),
                sites(0..9).replace("[[site]]\n", "[[site.rule]]\n")
            ),
            // Wrong.
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
