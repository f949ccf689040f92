//! The keys `user`, `group` and `sandbox` of `[server]`.

use super::user::{Account, Asked};
use super::{Sandbox, accounts};
use crate::section::{At, Key, Lowered, Problem, Problems};

/// The `user` key.
pub static USER: Key<Option<At<String>>> = Key::text("user", "User of the process that serves, a name or a number, with its supplementary groups; the parent process keeps the rights it was started with. Default for root: www-data. Started by another user, fcgate serves as that user, and `user` may only name it.").example("\"www-data\"");

/// The `group` key.
pub static GROUP: Key<Option<At<String>>> = Key::text(
    "group",
    "Its primary group, a name or a number. Default: the primary group of `user`.",
)
.example("\"www-data\"");

/// The `sandbox` key.
pub static SANDBOX: Key<At<String>> = Key::one_of("sandbox", &["on", "require", "off"], "Sandbox of the process that serves: Landlock limits it to the folders, sockets and TCP ports of the configuration, seccomp to some hundred system calls. \"on\": as far as the kernel has them; \"require\": the start fails without one of them; \"off\": for a diagnosis.").default("\"on\"");

impl Sandbox {
    /// Reads the `sandbox` key.
    pub fn build(section: &Lowered) -> Self {
        match section.get(&SANDBOX).as_str() {
            "require" => Self::Require,
            "off" => Self::Off,
            _ => Self::On,
        }
    }
}

impl Asked {
    /// Looks up the user and the group of the section; an unknown one is a problem.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let user = section.get(&USER).and_then(|text| {
            let found = Account::find(&text.value);
            found
                .map_err(|reason| problems.push(unknown(&text, "user", &reason, USERS)))
                .ok()
        });
        let group = section.get(&GROUP).and_then(|text| {
            let found = find_group(&text.value);
            found
                .map_err(|reason| problems.push(unknown(&text, "group", &reason, GROUPS)))
                .ok()
        });
        Self { user, group }
    }
}

/// Returns the group of a name or number.
fn find_group(text: &str) -> Result<u32, String> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let found = accounts::group_by_name(text).map_err(|error| error.to_string())?;
    let group = found.ok_or_else(|| "there is none".to_owned())?;
    Ok(group.gid)
}

/// The databases of users and groups (passwd(5), group(5)), for suggestions.
const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

fn unknown(text: &At<String>, kind: &str, reason: &str, database: &str) -> Problem {
    let message = format!("unknown {kind} `{}`: {reason}", text.value);
    let known = std::fs::read_to_string(database).unwrap_or_default();
    let help = match nearest(&text.value, &known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("write the name of a {kind} of this machine, or a number"),
    };
    Problem::new(text.place.clone(), message).help(help)
}

/// Returns the name in a database that differs from `name` by two edits at most.
fn nearest<'a>(name: &str, database: &'a str) -> Option<&'a str> {
    let names = database.lines().filter_map(|line| line.split(':').next());
    let near = names.map(|known| (strsim::damerau_levenshtein(known, name), known));
    let (distance, known) = near.min()?;
    (distance <= 2).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_is_recognized() {
        let database = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n";
        for (name, expected) in [
            ("wwwdata", Some("www-data")),
            ("www-dta", Some("www-data")),
            ("rot", Some("root")),
            ("nginx", None),
        ] {
            assert_eq!(nearest(name, database), expected, "{name}");
        }
        assert_eq!(nearest("root", ""), None);
    }

    #[test]
    fn a_group_is_a_name_or_a_number() {
        assert_eq!(find_group("root"), Ok(0));
        assert_eq!(find_group("70707"), Ok(70_707));
        assert!(find_group("no-such-group").is_err());
    }
}
