//! The upgrade: this program leaves everything to another, which is executed in its place.

use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use nix::unistd::Pid;
use tokio::sync::mpsc;

use super::{Driver, INBOX, Process};
use crate::control::{PROTOCOL, ToServer};
use crate::parent::child::{Child, Received};
use crate::parent::granted::Granted;
use crate::parent::handover::{Handover, Server};
use crate::parent::manager::Manager;
use crate::parent::sockets::Sockets;
use crate::parent::state::{Event, Id, State};
use crate::parent::upgrade;
use crate::parent::watch::Watch;
use crate::process::{Children, Processes, Scope};

impl Driver {
    /// Executes the new program. Returns only if that fails; then this one goes on.
    pub(super) async fn execute(&mut self) -> Event {
        // What is received now would be lost.
        for child in self.children.values_mut() {
            child.stop_receiving().await;
        }
        while let Ok((id, received)) = self.inbox.1.try_recv() {
            if let Some(event) = self.receive(id, received) {
                let actions = self.state.on(event);
                self.perform_all(actions);
            }
        }
        let programs = self.processes.hand_over().await;
        let Err(error) = self.leave_to_other(&programs);
        let launcher = self.launcher.clone();
        self.processes = Processes::adopt(&self.reaped, launcher, programs);
        for (id, child) in &mut self.children {
            child.receive_again(*id, &self.reaped, &self.inbox.0);
        }
        Event::NotExecuted(format!("{error:#}"))
    }

    fn leave_to_other(
        &self,
        (programs, pipes): &(crate::process::Handover, Vec<OwnedFd>),
    ) -> anyhow::Result<Infallible> {
        let in_force = self
            .in_force
            .as_ref()
            .context("no configuration is in force")?;
        let (listeners, inherited, sockets) = self.sockets.parts();
        let children: Vec<_> = self.children.iter().collect();
        let handover = Handover {
            protocol: PROTOCOL,
            servers: self.state.servers(),
            processes: children
                .iter()
                .map(|(id, child)| Server {
                    id: **id,
                    pid: child.pid().as_raw(),
                    permitted: child.permitted.names(),
                })
                .collect(),
            grant: in_force.grant.clone(),
            listeners,
            has_admin: self.sockets.set().admin().is_some(),
            inherited,
            programs: programs.clone(),
        };
        let of_children = children.iter().flat_map(|(_, child)| child.sockets());
        let descriptors: Vec<_> = of_children
            .chain([in_force.bundle.as_fd()])
            .chain(sockets)
            .chain(pipes.iter().map(AsFd::as_fd))
            .collect();
        let state = handover
            .write(&descriptors)
            .context("its state cannot be written")?;
        // The thread that writes it ends with this program.
        self.log.on_stderr().close(LAST_LINES);
        Err(upgrade::execute(&self.file, &self.configuration, state).into())
    }

    /// Takes over from the program before in this process.
    pub(crate) fn take_over(configuration: &Path, process: Process) -> anyhow::Result<Self> {
        let (handover, descriptors) = Handover::take()?;
        let mut descriptors = descriptors.into_iter();
        let reaped = Children::default();
        let inbox = mpsc::channel(INBOX);
        let taken = (&handover.processes[..], &mut descriptors);
        let (children, ended) = adopt_servers(taken, &reaped, &inbox.0)?;
        let bundle = descriptors.next().context(MISSING)?;
        let sockets = Sockets::adopt(&handover, &mut descriptors).context(MISSING)?;
        let programs = (handover.programs, descriptors.collect());
        let processes = Processes::adopt(&reaped, process.launcher.clone(), programs);
        reaped.reap()?;
        let in_force = Granted {
            grant: handover.grant,
            bundle,
            sockets: sockets.set().clone(),
        };
        let mut watch = Watch::default();
        watch.set(in_force.grant.watched.clone());
        process.log.apply(&in_force.grant.log, None);
        let mut driver = Self {
            configuration: configuration.to_owned(),
            file: upgrade::program_file(),
            log: process.log,
            state: State::adopted(handover.servers),
            launcher: process.launcher,
            reaped,
            children,
            granted: HashMap::new(),
            in_force: Some(in_force),
            manager: manager(&sockets),
            sockets,
            processes,
            watch,
            inbox,
            restart: None,
            end: None,
            failure: None,
        };
        driver.resume(ended);
        Ok(driver)
    }

    /// Handles the exits of servers that ended meanwhile, and asks the current one for reports.
    fn resume(&mut self, ended: Vec<Id>) {
        for id in ended {
            let actions = self.state.on(Event::Ended {
                id,
                how: "it ended during the upgrade".to_owned(),
                code: 1,
                ran: Duration::ZERO,
            });
            self.perform_all(actions);
        }
        if let (Some(id), Some(interval)) = (self.state.current(), self.manager.interval()) {
            self.send(id, &ToServer::Report(interval));
        }
        tracing::info!("upgraded: this program has taken over");
    }
}

const MISSING: &str = "a descriptor is missing";

/// Takes over the servers; returns them, and those that have ended.
fn adopt_servers(
    (servers, descriptors): (&[Server], &mut impl Iterator<Item = OwnedFd>),
    reaped: &Children,
    inbox: &mpsc::Sender<(Id, Received)>,
) -> anyhow::Result<(HashMap<Id, Child>, Vec<Id>)> {
    let mut children = HashMap::new();
    let mut ended = Vec::new();
    for server in servers {
        let sockets = (
            descriptors.next().context(MISSING)?,
            descriptors.next().context(MISSING)?,
        );
        let Some(adopted) = reaped.adopt(Pid::from_raw(server.pid), Scope::Group) else {
            ended.push(server.id);
            continue;
        };
        let child = Child::attach(server.id, adopted, sockets, inbox)?;
        for names in &server.permitted {
            child.permitted.add(names.clone());
        }
        children.insert(server.id, child);
    }
    Ok((children, ended))
}

/// Returns the service manager, which has stored the listeners.
fn manager(sockets: &Sockets) -> Manager {
    let own = sockets.set().own();
    let stored = own
        .iter()
        .map(|(address, socket)| (address.as_str(), *socket));
    Manager::from_environment(&stored.collect::<Vec<_>>())
}

/// Time limit for writing the last lines of the log.
const LAST_LINES: Duration = Duration::from_secs(1);
