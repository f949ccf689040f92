//! The messages.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::service::Load;

/// Version of the messages: a parent and the server of another program tell by it that they do not fit together.
pub const PROTOCOL: u16 = 1;

/// Result of a reload as text: the changes, line by line, or the reason of a refusal without values.
pub type Outcome = Result<String, String>;

/// A message to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToServer {
    /// The first. Descriptors: the socket of file requests; for [`Intent::Restart`] also the bundle of the
    /// configuration that was last in force.
    Begin {
        /// [`PROTOCOL`] of the parent.
        protocol: u16,
        /// The purpose of the server.
        intent: Intent,
        /// The number of its grant.
        grant: u32,
    },
    /// A listener of the grant, in its order. Descriptors: its sockets, if they are new.
    Listener(Source),
    /// The admin listener. Descriptor: its socket.
    Admin,
    /// All sockets were sent: give up the rights, and serve.
    Serve,
    /// Send [`ToParent::Alive`] at this interval, as long as it is true.
    Report(Duration),
    /// The server is not needed.
    Leave,
    /// Replace the configuration by the one in the bundle, which is the descriptor. The listeners were sent before.
    Swap {
        /// Only return the changes.
        is_preview: bool,
        /// The number of the grant.
        grant: u32,
    },
    /// Open the logs again.
    ReopenLogs,
    /// A reload was refused before it came to the server, which counts them.
    ReloadRefused,
    /// The parent has closed its listening sockets.
    ListenersClosed,
    /// Another server has taken over: finish the requests in flight.
    Drain,
    /// The result of a reload that the server asked for.
    Answer {
        /// The token of the request.
        token: u32,
        /// The result.
        outcome: Outcome,
    },
}

/// Purpose of a server that starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    /// The first server.
    Start,
    /// A server after one that ended. It serves the last configuration in force if the files have errors now.
    Restart,
    /// A server that loads a changed configuration.
    Reload,
    /// The same, for the changes alone: it logs nothing.
    Preview,
    /// The first server of a new program.
    Upgrade,
}

/// Origin of a listener's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The listener of the configuration in force with this index.
    Kept(u16),
    /// Sockets bound by the parent.
    Bound,
    /// Sockets passed to the parent, which may be transparent (IP_TRANSPARENT).
    Passed,
}

/// A message to the parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToParent {
    /// The configuration is valid. Descriptors: the grant and the bundle.
    Grant,
    /// The server does not fit to its parent: [`PROTOCOL`] of its own.
    Protocol(u16),
    /// The configuration is invalid. The server has logged the errors.
    Refused(String),
    /// The server accepts connections.
    Serving,
    /// The result of [`ToServer::Swap`].
    Swapped(Outcome),
    /// Load the configuration again.
    Reload {
        /// Identifies the answer.
        token: u32,
        /// Only return the changes.
        is_preview: bool,
    },
    /// The server is about to end and accepts what is in the queues of its listeners: close them.
    CloseListeners,
    /// Each serving thread has polled its connections since the last of these messages. With the present load.
    Alive(Load),
}
