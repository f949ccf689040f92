//! README.md and docs/: their examples are valid configurations, and the keys and commands that they name exist.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::gateway::{check, reference, run};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(repository().join("README.md")).unwrap()
}

/// Returns the names of README.md and of all pages for users, with their texts.
fn pages() -> Vec<(String, String)> {
    let entries = fs::read_dir(repository().join("docs")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(repository().join("README.md"));
    paths.sort();
    let page = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    paths.into_iter().map(page).collect()
}

/// Returns the fenced blocks of `language`, each with the line where it begins.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<(usize, Vec<&'a str>)> {
    let mut blocks: Vec<(usize, Vec<&str>)> = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in markdown.lines().enumerate() {
        let line = line.trim_start();
        match (fence, line.strip_prefix("```")) {
            (None, Some(begun)) => {
                fence = Some(begun);
                if begun == language {
                    blocks.push((index + 1, Vec::new()));
                }
            }
            (Some(_), Some(_)) => fence = None,
            (Some(begun), None) if begun == language => blocks.last_mut().unwrap().1.push(line),
            _ => {}
        }
    }
    blocks
}

#[test]
fn every_example_is_a_valid_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("public");
    fs::create_dir_all(root.join("errors")).unwrap();
    fs::write(root.join("errors/404.html"), "gone").unwrap();
    let file = folder.path().join("fcgate.toml");
    let [users, groups] = ["users", "groups"].map(|name| folder.path().join(name));
    fs::write(&users, "alice:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n").unwrap();
    fs::write(&groups, "staff: alice\n").unwrap();
    let site = format!(
        "[[site]]\nroot = \"{}\"\nphp = \"unix:/run/php.sock\"\n",
        root.display()
    );
    let mut examples = 0;
    for (page, text) in pages() {
        for (line, block) in blocks(&text, "toml") {
            let example = block
                .join("\n")
                .replace("/etc/fcgate/users", users.to_str().unwrap())
                .replace("/etc/fcgate/groups", groups.to_str().unwrap());
            // Rules and the like are shown without the site that they belong to.
            let site = if block.contains(&"[[site]]") {
                ""
            } else {
                &site
            };
            fs::write(&file, format!("{site}{example}\n")).unwrap();
            let output = check(&file);
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}:{line}: {told}");
            examples += 1;
        }
    }
    assert!(examples > 10, "{examples} examples");
}

#[test]
fn the_keys_beside_apaches_directives_exist() {
    let reference = String::from_utf8(reference().stdout).unwrap();
    let keys = keys(&reference);
    let readme = readme();
    let (_, table) = readme.split_once("| Apache | fcgate |").unwrap();
    let mut named = 0;
    for row in table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
    {
        let cell = row.split(" | ").nth(1).unwrap();
        for key in cell.split('`').skip(1).step_by(2) {
            assert!(keys.contains(key), "{key}, in {row}");
            named += 1;
        }
    }
    assert!(named > 40, "{named} keys");
    assert!(!keys.contains("site.there_is_no_such_key"));
}

/// Returns all sections and keys of the reference, as `site.rule.match`.
fn keys(reference: &str) -> HashSet<String> {
    let mut section = String::new();
    let mut keys = HashSet::new();
    for line in reference.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') && line.ends_with(']') {
            section = line.trim_matches(['[', ']']).replace(".NAME", "");
            keys.insert(section.clone());
        } else if let Some((key, _)) = line.split_once(" = ")
            && !key.contains(' ')
        {
            let path = format!("{section}.{key}");
            keys.insert(path.trim_start_matches('.').to_owned());
        }
    }
    keys
}

#[test]
fn commands_that_the_pages_name_exist() {
    let mut named = 0;
    for (page, text) in pages() {
        let blocks = blocks(&text, "sh");
        let lines = blocks.iter().flat_map(|(_, lines)| lines.iter().copied());
        let inline = text.split('`').skip(1).step_by(2);
        for command in lines.chain(inline) {
            if let Some(arguments) = command.strip_prefix("fcgate ") {
                exists(&page, arguments);
                named += 1;
            }
        }
    }
    assert!(named > 20, "{named} commands");
}

/// Fails if there is no such subcommand of `fcgate`, or if it has not the options.
fn exists(page: &str, arguments: &str) {
    let mut words = arguments
        .split_whitespace()
        .map(|word| word.trim_matches(['[', ']', '…']));
    let subcommand = words.next().unwrap();
    let help = run(&[subcommand, "--help"]);
    assert!(help.status.success(), "{page}: fcgate {arguments}");
    let help = String::from_utf8(help.stdout).unwrap();
    for option in words.filter(|word| word.starts_with('-')) {
        assert!(
            help.contains(option),
            "{page}: fcgate {arguments}: {option}"
        );
    }
}

#[test]
fn what_the_readme_runs_exists() {
    let readme = readme();
    for (line, block) in blocks(&readme, "sh") {
        for command in block {
            let words: Vec<_> = command.split_whitespace().collect();
            let file = match words[0] {
                // The tests above, and tests/tidy.rs, see to these; `install` is the system's.
                "fcgate" | "make" | "install" => continue,
                "docker" => words[3],
                program => program,
            };
            let exists = repository().join(file).is_file();
            assert!(exists, "README.md:{line}: {command}: there is no {file}");
        }
    }
}
