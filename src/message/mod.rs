//! An HTTP request, parsed once at the edge so that nothing is left to validate inside. All
//! modules but [`body`] and [`spool`] are free of I/O and of clocks.

pub mod accept_encoding;
pub mod answer_head;
pub mod body;
pub mod by_host;
pub mod charged_bytes;
pub mod coded_tag;
pub mod conditional;
mod credentials;
pub mod disk;
pub mod edits;
mod expectation;
pub mod head_guard;
mod hexadecimal;
pub mod hop_by_hop;
pub mod host;
pub mod list;
pub mod open_file;
pub mod proxy_header;
pub mod range;
mod remote_user;
pub mod request;
pub mod request_id;
pub mod spool;
pub mod status;
pub mod target;
pub mod trace_id;
mod upload_deadline;
pub mod whitespace;
pub mod wire;

pub use answer_head::AnswerHead;
pub use body::{Upload, UploadError};
pub use by_host::ByHost;
pub use credentials::Credentials;
pub use disk::{Disk, Found, OpenFolder, Root, Symlinks};
pub use expectation::Expectation;
pub use head_guard::{HeadGuard, Refusal};
pub use host::{BadHost, Host};
pub use open_file::{CachedHead, FileCache, HandlerId, OpenFile};
pub use proxy_header::ProxyHeader;
pub use remote_user::RemoteUser;
pub use request::{Cause, Previous, Request};
pub use request_id::{RequestId, RequestIds};
pub use target::{EncodedSlash, Target, TargetError};
pub use upload_deadline::UploadDeadline;
pub use wire::{ClientCertificate, Scheme, TlsFacts, Wire};
