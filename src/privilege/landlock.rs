//! Landlock (landlock(7)): files, unix sockets and TCP ports that this process may use.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::confinement::{Confinement, Grant};

/// A Landlock domain in force.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Restricted {
    /// The version of the interface.
    pub(super) abi: u32,
    /// Granted files that this user cannot open.
    pub(super) unreachable: Vec<PathBuf>,
}

/// The newest interface whose rights are used, where the kernel has them: from it on connecting to unix sockets is one.
const NEWEST: ABI = ABI::V9;

const READ_FILE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile});

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// Spooled files are made without a name (O_TMPFILE), or where the file system has none of these, removed at once.
const SPOOL: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | MakeReg | RemoveFile});

const CONNECT: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ResolveUnix});

/// Restricts this thread, and all that it starts, to `confinement`, as far as the kernel can. Fails with the setting that
/// is needed where it has no Landlock.
pub(super) fn restrict(confinement: &Confinement) -> Result<Restricted, String> {
    let mut unreachable = Vec::new();
    let status = enforce(confinement, &mut unreachable)
        .map_err(|error| format!("Landlock refuses: {error}"))?;
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } => effective_abi as u32,
        LandlockStatus::NotEnabled => {
            return Err(
                "Landlock is not enabled: add `landlock` to the kernel's parameter lsm=".to_owned(),
            );
        }
        LandlockStatus::NotImplemented => {
            return Err("the kernel has no Landlock, or a seccomp profile refuses it: it takes Linux 5.13 with CONFIG_SECURITY_LANDLOCK".to_owned());
        }
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => {
            Ok(Restricted { abi, unreachable })
        }
        RulesetStatus::NotEnforced => Err("Landlock enforces nothing".to_owned()),
    }
}

fn enforce(
    confinement: &Confinement,
    unreachable: &mut Vec<PathBuf>,
) -> Result<landlock::RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    let kinds = [
        (&confinement.reads, READ),
        (&confinement.writes, SPOOL),
        (&confinement.sockets, CONNECT),
    ];
    for (grants, access) in kinds {
        for grant in grants {
            rules = allow(rules, grant, access, unreachable)?;
        }
    }
    for port in &confinement.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    rules.restrict_self()
}

/// Adds the right to a file or folder; one that was removed meanwhile, or whose folder this user may not enter, is left out.
fn allow(
    rules: RulesetCreated,
    grant: &Grant,
    access: BitFlags<AccessFs>,
    unreachable: &mut Vec<PathBuf>,
) -> Result<RulesetCreated, RulesetError> {
    let path = grant.path();
    let Ok(opened) = PathFd::new(path) else {
        unreachable.push(path.to_owned());
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & READ_FILE
    };
    rules.add_rule(PathBeneath::new(opened, access))
}
