//! Calls that are allowed with certain arguments.

use nix::libc;
use nix::unistd::getpid;
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BackendError, SeccompCmpOp, SeccompCondition, SeccompRule};

/// Number of calls with conditions.
pub(super) const COUNT: usize = 8;

/// A condition: the index of an argument, of which 32 bits count, a comparison, and its value.
type Condition = (u8, SeccompCmpOp, u32);

/// Returns the alternatives of each call. `names`: host names are resolved.
pub(super) fn rules(names: bool) -> Result<Vec<(i64, Vec<SeccompRule>)>, BackendError> {
    let own = getpid().as_raw().unsigned_abs();
    let calls = [
        (libc::SYS_socket, sockets(names)),
        // Threads and no processes, in the namespaces of this one.
        (
            libc::SYS_clone,
            vec![vec![masked(0, NAMESPACES | THREAD, THREAD)]],
        ),
        // No memory is both written and executed.
        (
            libc::SYS_mmap,
            vec![vec![masked(2, WRITE, 0)], vec![masked(2, EXECUTE, 0)]],
        ),
        (libc::SYS_mprotect, vec![vec![masked(2, EXECUTE, 0)]]),
        (libc::SYS_prctl, one_of(0, &OPTIONS)),
        (libc::SYS_ioctl, one_of(1, &REQUESTS)),
        // An abort is a signal to the own process.
        (libc::SYS_tgkill, one_of(0, &[own])),
        // Limits of this process; the hard ones cannot be raised.
        (libc::SYS_prlimit64, one_of(0, &[0, own])),
    ];
    let compiled = calls.into_iter().map(|(call, alternatives)| {
        let alternatives = alternatives.into_iter().map(rule);
        Ok((call, alternatives.collect::<Result<_, _>>()?))
    });
    compiled.collect()
}

/// Returns the allowed sockets: unix and TCP, and for host names UDP and the netlink socket by which getaddrinfo(3) lists
/// the addresses of the machine.
fn sockets(names: bool) -> Vec<Vec<Condition>> {
    let family = |family: i32| (0, Eq, family.unsigned_abs());
    let kind = |kind: i32| masked(1, KIND, kind.unsigned_abs());
    let internet = [libc::AF_INET, libc::AF_INET6];
    let tcp = internet.map(|it| vec![family(it), kind(libc::SOCK_STREAM)]);
    let mut allowed: Vec<_> = tcp
        .into_iter()
        .chain([vec![family(libc::AF_UNIX)]])
        .collect();
    if names {
        allowed.extend(internet.map(|it| vec![family(it), kind(libc::SOCK_DGRAM)]));
        allowed.push(vec![
            family(libc::AF_NETLINK),
            (2, Eq, libc::NETLINK_ROUTE.unsigned_abs()),
        ]);
    }
    allowed
}

/// The type of a socket without its flags (SOCK_TYPE_MASK).
const KIND: u32 = 0xf;

/// clone(2) makes a thread.
const THREAD: u32 = libc::CLONE_THREAD.unsigned_abs();

/// clone(2) makes namespaces.
const NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET)
    .unsigned_abs();

const WRITE: u32 = libc::PROT_WRITE.unsigned_abs();
const EXECUTE: u32 = libc::PROT_EXEC.unsigned_abs();

/// Options of prctl(2): names of threads and of memory.
const OPTIONS: [u32; 2] = [
    libc::PR_SET_NAME.unsigned_abs(),
    libc::PR_SET_VMA.unsigned_abs(),
];

/// Requests of ioctl(2): blocking, closing at an execution, the size of a datagram, a terminal, and the listener of `refusals`.
const REQUESTS: [u32; 6] = [
    request(libc::FIONBIO),
    request(libc::FIOCLEX),
    request(libc::FIONREAD),
    request(libc::TCGETS),
    request(libc::SECCOMP_IOCTL_NOTIF_RECV),
    request(libc::SECCOMP_IOCTL_NOTIF_SEND),
];

/// Returns a request as the kernel compares it, by 32 bits.
const fn request(request: libc::Ioctl) -> u32 {
    (request & 0xffff_ffff) as u32
}

fn masked(argument: u8, mask: u32, value: u32) -> Condition {
    (argument, MaskedEq(u64::from(mask)), value)
}

fn one_of(argument: u8, values: &[u32]) -> Vec<Vec<Condition>> {
    values
        .iter()
        .map(|value| vec![(argument, Eq, *value)])
        .collect()
}

/// Builds a rule that holds where all conditions do.
fn rule(conditions: Vec<Condition>) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .into_iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(argument, Dword, operator, u64::from(value))
        })
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_have_conditions() {
        assert_eq!(rules(true).unwrap().len(), COUNT);
        assert_eq!(sockets(false).len() + 3, sockets(true).len());
    }
}
