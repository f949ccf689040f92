//! Budgets of the configuration lowered to the available memory: a container with less memory than the defaults assume
//! must not be killed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use nix::sys::statfs::{Statfs, TMPFS_MAGIC, statfs};
use nix::sys::sysinfo::sysinfo;

use crate::limits::budget::Totals;
use crate::site::ServerSettings;
use crate::value::ByteSize;

/// Mount point of control groups (cgroups(7)).
const GROUPS: &str = "/sys/fs/cgroup";

/// Divisor of the memory for the file cache: an eighth.
const FILE_CACHE: u64 = 8;

/// Divisor for spooled content in a directory on tmpfs: half.
const SPOOL: u64 = 2;

/// Divisors for responses and request bodies in transit, and for encoders.
const ANSWERS: u64 = 8;
const BODIES: u64 = 8;
const ENCODERS: u64 = 4;

/// Lowers the budgets to the memory of the process' control group or of the machine, and logs it.
pub(super) fn apply_limit(settings: &mut ServerSettings) {
    let machine = sysinfo().ok().map(|info| info.ram_total());
    let limits = least_limit(limit_files()).into_iter().chain(machine);
    let Some(limit) = limits.min() else {
        return;
    };
    let asked = (settings.file_cache, settings.shared);
    let spool = statfs(&settings.spool_directory).map_or(u64::MAX, |it| spool_room(limit, &it));
    let room = lowered_totals(limit, spool, asked);
    if room == asked {
        return;
    }
    (settings.file_cache, settings.shared) = room;
    let shared = &settings.shared;
    tracing::info!(
        memory_limit = %ByteSize(limit),
        file_cache = %ByteSize(settings.file_cache),
        spool_quota = %ByteSize(shared.spool),
        answer_memory = %ByteSize(shared.answers),
        body_memory = %ByteSize(shared.bodies),
        encoder_memory = %ByteSize(shared.encoders),
        "keys of [server] lowered to the memory limit or the size of spool_directory"
    );
}

/// Returns the file cache and the totals, each at most its part of `limit`.
fn lowered_totals(limit: u64, spool: u64, (file_cache, asked): (u64, Totals)) -> (u64, Totals) {
    let shared = Totals {
        spool: asked.spool.min(spool),
        answers: asked.answers.min(limit / ANSWERS),
        bodies: asked.bodies.min(limit / BODIES),
        encoders: asked.encoders.min(limit / ENCODERS),
    };
    (file_cache.min(limit / FILE_CACHE), shared)
}

/// Returns the room for spooled content on a file system: all of it, and on tmpfs at most a part of the memory.
fn spool_room(limit: u64, file_system: &Statfs) -> u64 {
    let block = u64::try_from(file_system.block_size()).unwrap_or(1);
    // Some file systems report 0.
    let size = match file_system.blocks().saturating_mul(block) {
        0 => u64::MAX,
        size => size,
    };
    if file_system.filesystem_type() == TMPFS_MAGIC {
        size.min(limit / SPOOL)
    } else {
        size
    }
}

/// Returns the files with the limits of the process' control groups, which stay open: a confined process cannot open them,
/// and a limit may change.
pub(super) fn limit_files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        open_limits(Path::new(GROUPS), &groups)
    })
}

/// Opens the limits of the process' control groups and of their ancestors.
fn open_limits(root: &Path, groups: &str) -> Vec<File> {
    let groups = groups.lines().filter_map(|line| {
        // `0::/path` is version 2, `7:memory:/path` version 1.
        let mut parts = line.splitn(3, ':');
        match (parts.next()?, parts.next()?, parts.next()?) {
            ("0", "", path) => Some((root.to_owned(), path, "memory.max")),
            (_, controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                Some((root.join("memory"), path, "memory.limit_in_bytes"))
            }
            _ => None,
        }
    });
    let files = groups.flat_map(|(root, path, file)| {
        // Within a container the path may be one of the host: missing files are skipped.
        let groups = Path::new(path.trim_start_matches('/')).ancestors();
        let files = groups.map(move |group| File::open(root.join(group).join(file)));
        files.filter_map(Result::ok)
    });
    files.collect()
}

/// Returns the least of the limits, in bytes.
fn least_limit(files: &[File]) -> Option<u64> {
    let limits = files.iter().filter_map(|file| {
        let mut bytes = [0; LINE];
        let length = file.read_at(&mut bytes, 0).ok()?;
        let text = str::from_utf8(bytes.get(..length)?).ok()?;
        text.trim().parse().ok()
    });
    limits.min()
}

/// Bytes of a limit: `max`, or a number and a line feed.
const LINE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_around_counts() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "1000\n");
        write("memory/memory.limit_in_bytes", "700\n");
        for (groups, expected) in [
            ("0::/a/b\n", Some(1000)),
            ("0::/\n", None),
            ("0::/not/here\n", None),
            ("4:cpu,memory:/docker/0123\n0::/a\n", Some(700)),
            ("4:cpu:/a\n", None),
            ("", None),
            ("0:\nrubbish\n", None),
        ] {
            assert_eq!(
                least_limit(&open_limits(root.path(), groups)),
                expected,
                "{groups}"
            );
        }
    }

    #[test]
    fn a_spool_is_no_larger_than_its_file_system() {
        let shared_memory = statfs("/dev/shm").unwrap();
        let size = spool_room(u64::MAX, &shared_memory);
        assert!(size > 0 && size < u64::MAX);
        if shared_memory.filesystem_type() == TMPFS_MAGIC {
            assert_eq!(spool_room(size, &shared_memory), size / 2);
        }
    }

    #[test]
    fn budgets_fit_the_memory() {
        let totals = |spool, answers, bodies, encoders| Totals {
            spool,
            answers,
            bodies,
            encoders,
        };
        let asked = (16 << 20, totals(1 << 30, 128 << 20, 64 << 20, 128 << 20));
        let lowered = |spool| (8 << 20, totals(spool, 8 << 20, 8 << 20, 16 << 20));
        for (limit, spool, expected) in [
            (1 << 34, u64::MAX, asked),
            (64 << 20, u64::MAX, lowered(1 << 30)),
            (64 << 20, 32 << 20, lowered(32 << 20)),
        ] {
            assert_eq!(lowered_totals(limit, spool, asked), expected, "{limit}");
        }
    }
}
