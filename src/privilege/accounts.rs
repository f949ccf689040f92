//! Users and groups by /etc/passwd and /etc/group (passwd(5), group(5)). The C library would load the modules of
//! nsswitch.conf(5), which in a static program are those of another library and crash it; users of other databases have
//! numbers in the configuration.

use std::fs::File;
use std::io::{self, Read};

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// Limit of a database, in bytes: some hundred thousand entries.
const LARGEST: u64 = 16 << 20;

/// An entry of the user database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserEntry {
    /// The name.
    pub name: String,
    /// The number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
}

/// An entry of the group database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupEntry {
    /// The name.
    pub name: String,
    /// The number.
    pub gid: u32,
    members: Vec<String>,
}

/// Returns the user with a name; `None` without one. Fails if the database cannot be read.
pub fn user_by_name(name: &str) -> io::Result<Option<UserEntry>> {
    let text = read(USERS)?;
    Ok(users(&text).find(|user| user.name == name))
}

/// Returns the user with a number. Fails if the database cannot be read.
pub fn user_by_id(uid: u32) -> io::Result<Option<UserEntry>> {
    let text = read(USERS)?;
    Ok(users(&text).find(|user| user.uid == uid))
}

/// Returns the group with a name. Fails if the database cannot be read.
pub fn group_by_name(name: &str) -> io::Result<Option<GroupEntry>> {
    let text = read(GROUPS)?;
    Ok(groups(&text).find(|group| group.name == name))
}

/// Returns the group with a number. Fails if the database cannot be read.
pub fn group_by_id(gid: u32) -> io::Result<Option<GroupEntry>> {
    let text = read(GROUPS)?;
    Ok(groups(&text).find(|group| group.gid == gid))
}

/// Returns the groups of a user, `gid` and those that have it as a member, in order and each once (getgrouplist(3)). Fails
/// if the database cannot be read.
pub fn groups_of(user: &str, gid: u32) -> io::Result<Vec<u32>> {
    let text = read(GROUPS)?;
    Ok(member_of(&text, user, gid))
}

/// Reads a database. A missing one has no entries.
fn read(path: &str) -> io::Result<String> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LARGEST).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn users(text: &str) -> impl Iterator<Item = UserEntry> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(UserEntry { name, uid, gid })
    })
}

fn groups(text: &str) -> impl Iterator<Item = GroupEntry> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let gid = fields.nth(1)?.parse().ok()?;
        let listed = fields.next().unwrap_or_default().split(',');
        let members = listed.filter(|member| !member.is_empty());
        Some(GroupEntry {
            name,
            gid,
            members: members.map(str::to_owned).collect(),
        })
    })
}

fn member_of(text: &str, user: &str, gid: u32) -> Vec<u32> {
    let is_member = |group: &GroupEntry| group.members.iter().any(|member| member == user);
    let others = groups(text).filter(is_member).map(|group| group.gid);
    let mut all: Vec<_> = others.chain([gid]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "root:x:0:\nwww-data:x:33:\nadm:x:4:syslog,www-data\n\
                         ssl-cert:x:110:www-data\nbroken\nx:x:not:www-data\nwheel:x:10:www\n";

    #[test]
    fn entries_are_found_and_broken_lines_are_none() {
        let text = "root:x:0:0:root:/root:/bin/sh\n# comment\n+::::::\nwww-data:x:33:34::/:\n";
        let found: Vec<_> = users(text)
            .map(|user| (user.name, user.uid, user.gid))
            .collect();
        let expected = [("root".to_owned(), 0, 0), ("www-data".to_owned(), 33, 34)];
        assert_eq!(found, expected);
        let names: Vec<_> = groups(GROUP).map(|group| group.name).collect();
        assert_eq!(names, ["root", "www-data", "adm", "ssl-cert", "wheel"]);
    }

    #[test]
    fn groups_are_those_with_the_member_and_the_primary_one() {
        assert_eq!(member_of(GROUP, "www-data", 33), [4, 33, 110]);
        assert_eq!(member_of(GROUP, "www-data", 4), [4, 110]);
        assert_eq!(member_of(GROUP, "nobody", 65534), [65534]);
    }

    #[test]
    fn the_databases_of_this_machine_agree_with_the_c_library() {
        let root = user_by_id(0).unwrap().unwrap();
        assert_eq!(user_by_name(&root.name).unwrap().unwrap(), root);
        let group = group_by_id(root.gid).unwrap().unwrap();
        assert_eq!(group_by_name(&group.name).unwrap().unwrap(), group);
        for user in users(&read(USERS).unwrap()) {
            let name = std::ffi::CString::new(user.name.as_str()).unwrap();
            let gid = nix::unistd::Gid::from_raw(user.gid);
            let groups = nix::unistd::getgrouplist(&name, gid).unwrap();
            let expected = super::super::user::ascending(groups);
            assert_eq!(groups_of(&user.name, user.gid).unwrap(), expected);
        }
    }
}
