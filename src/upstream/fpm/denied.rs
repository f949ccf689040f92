//! Diagnosis of a socket that exists and denies us access, the commonest first failure of a PHP site: its owner, our
//! user and groups, and the two lines that fix it.

use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, getegid, geteuid, getgroups};

use crate::privilege::accounts;
use crate::upstream::Address;

/// Explains, for a log line, why connecting to a socket is denied, with the remedy; begins with `: `. Empty for TCP.
pub fn explain(address: &Address) -> String {
    let Address::Unix(path) = address else {
        return String::new();
    };
    match std::fs::metadata(path) {
        Ok(metadata) => {
            let owner = Owner {
                uid: metadata.uid(),
                gid: metadata.gid(),
                mode: metadata.mode() & 0o7777,
            };
            diagnosis(path, &owner, &Ourselves::now())
        }
        Err(error) => {
            let folder = path.parent().unwrap_or(path);
            format!(
                ": {}: {error}; fcgate runs as {}, without permission to search {}",
                path.display(),
                Ourselves::now().show(),
                folder.display()
            )
        }
    }
}

struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

struct Ourselves {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Ourselves {
    fn now() -> Self {
        let groups = getgroups().unwrap_or_default();
        Self {
            uid: geteuid().as_raw(),
            gid: getegid().as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        }
    }

    fn show(&self) -> String {
        let mut text = format!("{} with group {}", user(self.uid), group(self.gid));
        let further = self.groups.iter().filter(|gid| **gid != self.gid);
        for gid in further {
            // Writing to a String cannot fail.
            let _ = write!(text, ", {}", group(*gid));
        }
        text
    }

    fn has_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

fn diagnosis(path: &Path, owner: &Owner, we: &Ourselves) -> String {
    let mut text = format!(
        ": {} is {}:{} {:04o}, fcgate runs as {}",
        path.display(),
        user(owner.uid),
        group(owner.gid),
        owner.mode,
        we.show()
    );
    // connect(2) needs the permission to write.
    let (may_group, may_others) = (owner.mode & 0o020 != 0, owner.mode & 0o002 != 0);
    let fix = if !we.has_group(owner.gid) && may_group {
        format!(
            "; either in PHP-FPM's pool: listen.group = {}, listen.mode = 0660; or add fcgate's user to its group: usermod -aG {} {} (a container: --group-add {})",
            bare(&group(we.gid)),
            bare(&group(owner.gid)),
            bare(&user(we.uid)),
            owner.gid
        )
    } else if !may_group && !may_others {
        format!(
            "; in PHP-FPM's pool: listen.mode = 0660 and listen.group = {}",
            bare(&group(we.gid))
        )
    } else {
        "; a parent folder or a security module may deny access".to_owned()
    };
    text.push_str(&fix);
    text
}

/// Returns `www-data (33)`, or the number alone.
fn user(uid: u32) -> String {
    let known = accounts::user_by_id(uid).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| format!("{} ({uid})", user.name))
}

fn group(gid: u32) -> String {
    let known = accounts::group_by_id(gid).ok().flatten();
    known.map_or_else(
        || gid.to_string(),
        |group| format!("{} ({gid})", group.name),
    )
}

fn bare(shown: &str) -> &str {
    shown.split(' ').next().unwrap_or(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnose(mode: u32, gid: u32, groups: &[u32]) -> String {
        let owner = Owner {
            uid: 4_000_001,
            gid: 4_000_002,
            mode,
        };
        let we = Ourselves {
            uid: 4_000_003,
            gid,
            groups: groups.to_vec(),
        };
        diagnosis(Path::new("/run/php.sock"), &owner, &we)
    }

    #[test]
    fn the_diagnosis_names_the_owner_and_the_remedy() {
        let text = diagnose(0o660, 4_000_004, &[4_000_004, 4_000_005]);
        for part in [
            "/run/php.sock is 4000001:4000002 0660",
            "fcgate runs as 4000003 with group 4000004, 4000005",
            "listen.group = 4000004",
            "usermod -aG 4000002 4000003",
            "--group-add 4000002",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(diagnose(0o600, 4_000_002, &[]).contains("listen.mode = 0660"));
        assert!(diagnose(0o660, 4_000_002, &[]).contains("security module"));
    }
}
