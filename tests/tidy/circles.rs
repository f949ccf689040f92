//! Files that import each other, in whatever roundabout way, can only be read together. Those that remain are named
//! here, and the list only shrinks.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, in_word, sources};

/// The circles that may remain: each with all its files, below src/.
const CIRCLES: &[&[&str]] = &[
    &["access_log/format.rs", "access_log/template.rs"],
    &["disk.rs", "disk/hot.rs"],
    &["journey/failed.rs", "journey/mod.rs"],
    &["line_log/log.rs", "line_log/thread.rs"],
    &[
        "message/body.rs",
        "message/spool.rs",
        "message/upload_deadline.rs",
    ],
    &["message/head_guard.rs", "message/head_guard/chunked.rs"],
    &[
        "route/condition/by_path.rs",
        "route/condition/criterion.rs",
        "route/condition/mod.rs",
        "route/condition/nested.rs",
        "route/condition/pattern.rs",
        "route/condition/set.rs",
        "route/mod.rs",
    ],
    &["route/template.rs", "route/template/variable.rs"],
    &[
        "section/key.rs",
        "section/kind.rs",
        "section/lower.rs",
        "section/lowered.rs",
        "section/typed.rs",
    ],
    &["server/io.rs", "server/io/half_closed.rs"],
    &[
        "upstream/fpm/admission.rs",
        "upstream/fpm/admission/cooling.rs",
    ],
    &[
        "upstream/fpm/cooling.rs",
        "upstream/fpm/lease.rs",
        "upstream/fpm/member.rs",
    ],
];

type Module = Vec<String>;

/// One file: what it brings into scope, by the name that it gives it.
struct File {
    path: String,
    imports: Vec<Module>,
    /// What it passes on under a name of its own.
    passes_on: BTreeMap<String, Module>,
}

#[test]
fn files_import_each_other_only_where_they_are_named() {
    let found: BTreeSet<Vec<String>> = circles(&files()).into_iter().collect();
    let known: BTreeSet<Vec<String>> = CIRCLES
        .iter()
        .map(|circle| circle.iter().map(|path| (*path).to_owned()).collect())
        .collect();
    let show = |circles: Vec<&Vec<String>>| {
        let lines = circles.iter().map(|circle| format!("    &{circle:?},"));
        lines.collect::<Vec<_>>().join("\n")
    };
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new circles of imports: let one of the files take what it needs from below, or as an argument:\n{}\n\
         circles that are gone, or smaller: take them from the list in tests/tidy/circles.rs:\n{}",
        show(new),
        show(gone)
    );
}

/// All files with code, by their modules.
fn files() -> BTreeMap<Module, File> {
    let sources = sources("src").into_iter();
    let sources: Vec<_> = sources.filter(|source| !source.is_tests()).collect();
    let modules: BTreeSet<Module> = sources.iter().map(module).collect();
    let file = |source: &Source| {
        let module = module(source);
        (module.clone(), File::read(source, &module, &modules))
    };
    sources.iter().map(file).collect()
}

fn module(source: &Source) -> Module {
    let path = source.path.trim_start_matches("src/");
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

impl File {
    fn read(source: &Source, module: &Module, modules: &BTreeSet<Module>) -> Self {
        let code = source.code.split("#[cfg(test)]\nmod tests {").next();
        let code = code.unwrap_or_default();
        let mut file = Self {
            path: source.path.trim_start_matches("src/").to_owned(),
            imports: Vec::new(),
            passes_on: BTreeMap::new(),
        };
        let mut rest = String::new();
        let mut last = 0;
        for (start, end, is_public) in uses(code) {
            rest.push_str(&code[last..start]);
            last = end;
            for tree in expand(&code[start..end - 1]) {
                let (path, alias) = match tree.split_once(" as ") {
                    Some((path, alias)) => (path, Some(alias.trim().to_owned())),
                    None => (tree.as_str(), None),
                };
                let Some(path) = absolute(path.trim(), module, modules) else {
                    continue;
                };
                if !is_public {
                    file.imports.push(path);
                } else if let Some(name) = alias.or_else(|| path.last().cloned()) {
                    file.passes_on.insert(name, path);
                }
            }
        }
        rest.push_str(&code[last..]);
        for start in ["crate::", "super::"] {
            let places = rest.match_indices(start).map(|(at, _)| at);
            let places = places.filter(|at| !rest[..*at].ends_with(|c| in_word(c) || c == ':'));
            file.imports.extend(places.filter_map(|at| {
                let path = &rest[at..];
                let end = path.find(|c| !in_word(c) && c != ':');
                absolute(&path[..end.unwrap_or(path.len())], module, modules)
            }));
        }
        file
    }
}

/// The trees of the `use` items, as places in the text, the `;` included, and if they are public.
fn uses(code: &str) -> Vec<(usize, usize, bool)> {
    let starts = code.match_indices("use ");
    let starts = starts.filter(|(at, _)| !code[..*at].ends_with(in_word));
    let items = starts.filter_map(|(at, word)| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let is_public = line.starts_with("pub");
        let start = at + word.len();
        let end = start + code[start..].find(';')? + 1;
        (line.is_empty() || is_public).then_some((start, end, is_public))
    });
    items.collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, group)) = tree.split_once('{') else {
        return vec![tree.to_owned()];
    };
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for c in group.trim_end().trim_end_matches('}').chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(_) if c == ',' && depth == 0 => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| expand(&format!("{prefix}{}", part.trim())))
        .collect()
}

/// The path from the root of the crate; `None` for what is not of this crate.
fn absolute(path: &str, module: &Module, modules: &BTreeSet<Module>) -> Option<Module> {
    let mut parts: Vec<_> = path.split("::").map(str::trim).collect();
    if parts.last() == Some(&"self") {
        parts.pop();
    }
    let climbs = parts.iter().take_while(|part| **part == "super").count();
    let base = match parts.first()? {
        &"crate" => return Some(owned(&parts[1..])),
        &"self" => {
            parts.remove(0);
            module.clone()
        }
        &"super" => module[..module.len().checked_sub(climbs)?].to_vec(),
        first => {
            let child = [module.as_slice(), &owned(&[*first])].concat();
            modules.contains(&child).then(|| module.clone())?
        }
    };
    Some([base, owned(&parts[climbs..])].concat())
}

fn owned(parts: &[&str]) -> Module {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

/// The module that owns what a path names, through those that only pass it on.
fn owner(path: &[String], files: &BTreeMap<Module, File>, hops: usize) -> Option<Module> {
    let mut ends = (1..=path.len()).rev();
    let end = ends.find(|end| files.contains_key(&path[..*end]))?;
    let (module, rest) = path.split_at(end);
    let passed_on = rest
        .first()
        .and_then(|name| files.get(module)?.passes_on.get(name));
    match passed_on {
        Some(next) if hops < 8 => owner(&[next.as_slice(), &rest[1..]].concat(), files, hops + 1),
        Some(_) | None => Some(module.to_vec()),
    }
}

/// The sets of more than one file each of which leads to all others.
fn circles(files: &BTreeMap<Module, File>) -> Vec<Vec<String>> {
    let edges: BTreeMap<&Module, BTreeSet<Module>> = files
        .iter()
        .map(|(module, file)| {
            let owners = file.imports.iter().filter_map(|path| owner(path, files, 0));
            (module, owners.filter(|owner| owner != module).collect())
        })
        .collect();
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = edges
        .keys()
        .map(|module| (*module, reach(module, &edges)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reached {
        let mutual = others
            .iter()
            .filter(|other| reached[**other].contains(*module));
        let paths: BTreeSet<_> = mutual.map(|other| files[*other].path.clone()).collect();
        if paths.len() > 1 {
            circles.insert(paths.into_iter().collect());
        }
    }
    circles.into_iter().collect()
}

/// All that a module leads to; itself only in a circle.
fn reach<'a>(
    from: &Module,
    edges: &BTreeMap<&'a Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut left = vec![from.clone()];
    while let Some(module) = left.pop() {
        for next in edges.get(&module).into_iter().flatten() {
            let known = edges.get_key_value(next);
            if let Some((next, _)) = known.filter(|(next, _)| found.insert(**next)) {
                left.push((*next).clone());
            }
        }
    }
    found
}

#[test]
fn trees_of_imports_are_taken_apart() {
    let trees = expand("crate::a::{self, b, c::{D, E as F}}");
    assert_eq!(
        trees,
        [
            "crate::a::self",
            "crate::a::b",
            "crate::a::c::D",
            "crate::a::c::E as F"
        ]
    );
    let module = owned(&["x", "y"]);
    let modules = BTreeSet::from([owned(&["x", "y", "z"])]);
    for (path, expected) in [
        ("crate::a::B", Some("a::B")),
        ("super::B", Some("x::B")),
        ("super::super::B", Some("B")),
        ("self::B", Some("x::y::B")),
        ("z::B", Some("x::y::z::B")),
        ("std::fmt", None),
        ("crate::a::self", Some("a")),
    ] {
        let found = absolute(path, &module, &modules).map(|path| path.join("::"));
        assert_eq!(found.as_deref(), expected, "{path}");
    }
}
