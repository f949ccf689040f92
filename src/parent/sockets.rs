//! The listening sockets. The parent holds each as long as the configuration in force has its listener, so that no
//! connection of its queue is lost with a server.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::bind::{self, BindError};
use super::handover::Handover;
use super::inherited::Inherited;
use crate::control::{AdminPlan, Grant, ListenerPlan, Source};

/// The sockets of the configuration in force.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    inherited: Inherited,
    set: Set,
}

/// The sockets of a configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    listeners: Vec<Bound>,
    admin: Option<(AdminPlan, Arc<OwnedFd>)>,
}

#[derive(Clone, Debug)]
struct Bound {
    plan: ListenerPlan,
    sockets: Arc<[OwnedFd]>,
    /// Passed to the parent.
    is_passed: bool,
    /// Index in the configuration in force before.
    kept: Option<u16>,
}

impl Sockets {
    pub(super) fn new(inherited: Inherited) -> Self {
        Self {
            inherited,
            set: Set::default(),
        }
    }

    /// Returns the sockets of `grant`: those in force where they fit, and new ones for the rest. Nothing changes.
    pub(super) fn bind(&self, grant: &Grant) -> Result<Set, BindError> {
        let mut known: Vec<_> = (0..).zip(&self.set.listeners).collect();
        let mut listeners = Vec::new();
        for plan in &grant.listeners {
            let bound = match position(&known, plan) {
                Some(at) => {
                    let (index, bound) = known.swap_remove(at);
                    Bound {
                        plan: plan.clone(),
                        kept: Some(index),
                        ..bound.clone()
                    }
                }
                None => self.open(plan)?,
            };
            listeners.push(bound);
        }
        Ok(Set {
            listeners,
            admin: self.admin(grant.admin.as_ref())?,
        })
    }

    /// Returns the sockets for another program: for each listener whether it was passed, and its number of sockets; the
    /// names of passed ones; and all descriptors: of the listeners, the admin listener, and those passed.
    pub(super) fn parts(&self) -> (Vec<(bool, u16)>, Vec<String>, Vec<BorrowedFd<'_>>) {
        let listeners = &self.set.listeners;
        let counts = listeners.iter().map(|bound| {
            let count = u16::try_from(bound.sockets.len()).unwrap_or(u16::MAX);
            (bound.is_passed, count)
        });
        let sockets = listeners.iter().flat_map(|bound| bound.sockets.iter());
        let passed = self.inherited.units();
        let names = passed.iter().map(|(name, _)| (*name).to_owned());
        let descriptors = sockets
            .map(AsFd::as_fd)
            .chain(self.set.admin())
            .chain(passed.iter().map(|(_, socket)| *socket));
        (counts.collect(), names.collect(), descriptors.collect())
    }

    /// Takes the sockets from the program before; `None` if descriptors are missing.
    pub(super) fn adopt(
        handover: &Handover,
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Self> {
        let plans = handover.grant.listeners.iter().zip(&handover.listeners);
        let bound = plans.map(|(plan, (is_passed, count))| {
            let sockets: Vec<_> = descriptors.by_ref().take(usize::from(*count)).collect();
            (sockets.len() == usize::from(*count)).then(|| Bound {
                plan: plan.clone(),
                sockets: sockets.into(),
                is_passed: *is_passed,
                kept: None,
            })
        });
        let listeners = bound.collect::<Option<_>>()?;
        let admin = match &handover.grant.admin {
            Some(plan) if handover.has_admin => Some((plan.clone(), Arc::new(descriptors.next()?))),
            Some(_) | None => None,
        };
        Some(Self {
            inherited: Inherited::adopt(&handover.inherited, descriptors)?,
            set: Set { listeners, admin },
        })
    }

    /// Returns the sockets in force.
    pub(super) fn set(&self) -> &Set {
        &self.set
    }

    /// Puts the sockets in force, and closes those without a listener.
    pub(super) fn replace(&mut self, set: Set) {
        self.set = set;
    }

    /// Closes all sockets, also those that were passed.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// Warns of passed sockets without a listener: nothing accepts their clients.
    pub(super) fn report_unused(&mut self) {
        let addresses = self.set.listeners.iter().map(|bound| &bound.plan.address);
        self.inherited.report_unused(&addresses.collect::<Vec<_>>());
    }

    /// Returns the listeners that the manager has kept, each with its address.
    pub(super) fn stored(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        self.inherited.stored()
    }

    fn open(&self, plan: &ListenerPlan) -> Result<Bound, BindError> {
        let found = self
            .inherited
            .find(&plan.address)
            .map_err(|error| bind::listener_error(&plan.address, error))?;
        let is_new = found.sockets.is_empty();
        let sockets = if is_new {
            vec![bind::listener(plan)?]
        } else {
            found.sockets
        };
        Ok(Bound {
            plan: plan.clone(),
            sockets: sockets.into(),
            is_passed: !is_new && !found.are_own,
            kept: None,
        })
    }

    /// Binds the admin listener. A failure is an error if the configuration has `admin.address`, else a warning.
    fn admin(
        &self,
        plan: Option<&AdminPlan>,
    ) -> Result<Option<(AdminPlan, Arc<OwnedFd>)>, BindError> {
        let Some(plan) = plan else { return Ok(None) };
        let known = self.set.admin.as_ref();
        if let Some((_, socket)) = known.filter(|(known, _)| known.address == plan.address) {
            return Ok(Some((plan.clone(), Arc::clone(socket))));
        }
        match bind::admin(plan) {
            Ok(socket) => Ok(Some((plan.clone(), Arc::new(socket)))),
            Err(error) if plan.is_given => Err(error),
            Err(error) => {
                tracing::warn!(
                    "no admin listener: {error}; set admin.address to another address, or to \"off\""
                );
                Ok(None)
            }
        }
    }
}

impl Set {
    /// Iterates over the listeners with their sockets, for a server that has none of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (Source, Vec<BorrowedFd<'_>>)> {
        self.listeners.iter().map(Bound::source)
    }

    /// Iterates over the listeners, with sockets for those that are not in force.
    pub(super) fn changes(&self) -> impl Iterator<Item = (Source, Vec<BorrowedFd<'_>>)> {
        self.listeners.iter().map(|bound| match bound.kept {
            Some(index) => (Source::Kept(index), Vec::new()),
            None => bound.source(),
        })
    }

    /// Returns the sockets that were bound here, each with its address.
    pub(super) fn own(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let own = self.listeners.iter().filter(|bound| !bound.is_passed);
        own.flat_map(|bound| {
            let address = bound.plan.address.to_string();
            let sockets = bound.sockets.iter();
            sockets.map(move |socket| (address.clone(), socket.as_fd()))
        })
        .collect()
    }

    /// Returns the socket of the admin listener.
    pub(super) fn admin(&self) -> Option<BorrowedFd<'_>> {
        self.admin.as_ref().map(|(_, socket)| socket.as_fd())
    }
}

impl Bound {
    fn source(&self) -> (Source, Vec<BorrowedFd<'_>>) {
        let source = if self.is_passed {
            Source::Passed
        } else {
            Source::Bound
        };
        (source, self.sockets.iter().map(AsFd::as_fd).collect())
    }
}

/// Finds the listener of `plan` among the `known` ones by its address; of several with port 0 it prefers one with the
/// same use of TLS.
fn position(known: &[(u16, &Bound)], plan: &ListenerPlan) -> Option<usize> {
    let is_same = |other: &ListenerPlan| other.address == plan.address;
    known
        .iter()
        .position(|(_, other)| is_same(&other.plan) && other.plan.has_tls == plan.has_tls)
        .or_else(|| known.iter().position(|(_, other)| is_same(&other.plan)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Address::Tcp;

    fn plan(port: u16, has_tls: bool) -> ListenerPlan {
        ListenerPlan {
            address: Tcp(([127, 0, 0, 1], port).into()),
            has_tls,
            mode: None,
            backlog: 16,
        }
    }

    fn grant(listeners: &[ListenerPlan]) -> Grant {
        Grant {
            listeners: listeners.to_vec(),
            ..Grant::default()
        }
    }

    fn sources(set: &Set) -> Vec<(Source, usize)> {
        let changes = set.changes();
        changes
            .map(|(source, sockets)| (source, sockets.len()))
            .collect()
    }

    #[test]
    fn a_listener_in_force_is_kept_by_its_address_and_use_of_tls() {
        let mut sockets = Sockets::default();
        let first = sockets
            .bind(&grant(&[plan(0, false), plan(0, true)]))
            .unwrap();
        assert_eq!(sources(&first), [(Source::Bound, 1), (Source::Bound, 1)]);
        sockets.replace(first);
        let second = sockets.bind(&grant(&[plan(0, true), plan(0, false), plan(0, false)]));
        let expected = [
            (Source::Kept(1), 0),
            (Source::Kept(0), 0),
            (Source::Bound, 1),
        ];
        let second = second.unwrap();
        assert_eq!(sources(&second), expected);
        assert!(second.all().all(|(_, sockets)| sockets.len() == 1));
    }

    #[test]
    fn a_port_in_use_is_an_error_that_says_so() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Sockets::default()
            .bind(&grant(&[plan(port, false)]))
            .unwrap_err();
        assert!(
            error.to_string().contains("another process listens there"),
            "{error}"
        );
    }
}
