//! One message with its descriptors in one packet.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Limit of a message, in bytes: a text of [`TEXT`] with its frame.
const LARGEST: usize = 64 * 1024;

/// Limit of a text in a message, in bytes. It is for a person to read.
pub const TEXT: usize = 60 * 1024;

/// Limit of the descriptors of a message: the sockets of one listener, which systemd may pass under one name.
pub const DESCRIPTORS: usize = 32;

/// Returns a connected pair of sockets, both non-blocking and closed by execve(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends a message. `WouldBlock` on a non-blocking socket whose queue is full.
pub fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = encode(message)?;
    if bytes.len() > LARGEST || descriptors.len() > DESCRIPTORS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let parts = [IoSlice::new(&bytes)];
    rustix::io::retry_on_intr(|| {
        sendmsg(socket.as_fd(), &parts, &mut ancillary, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives a message with its descriptors; `None` if the peer has closed its end. A packet that is too large or is no
/// message is an error.
pub fn receive<M: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; LARGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = match rustix::io::retry_on_intr(|| {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(socket.as_fd(), &mut parts, &mut ancillary, flags)
    }) {
        // The peer has closed its end and left messages of ours unread.
        Err(Errno::CONNRESET) => return Ok(None),
        received => received?,
    };
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if received.bytes == 0 && descriptors.is_empty() {
        return Ok(None);
    }
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(invalid("a message is too large"));
    }
    let message = decode(bytes.get(..received.bytes).unwrap_or_default())?;
    Ok(Some((message, descriptors)))
}

/// Encodes a message.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    postcard::to_allocvec(message).map_err(io::Error::other)
}

/// Decodes all of `bytes`.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> io::Result<M> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(invalid("a message has bytes behind its end")),
        Err(_) => Err(invalid("a message cannot be decoded")),
    }
}

/// Returns a text that fits into a message: whole lines, and a note for the others.
pub fn shortened(mut text: String) -> String {
    if text.len() <= TEXT {
        return text;
    }
    let head = text
        .get(..text.floor_char_boundary(TEXT))
        .unwrap_or_default();
    let kept = head.rfind('\n').map_or(head.len(), |end| end + 1);
    let left_out = text.get(kept..).unwrap_or_default().lines().count();
    text.truncate(kept);
    text.push_str(&format!("({left_out} more lines)"));
    text
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};

    use super::*;
    use crate::control::{Source, ToParent, ToServer};

    #[test]
    fn a_message_arrives_with_its_descriptors() {
        let (one, other) = pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        let sent = ToServer::Listener(Source::Bound);
        send(&one, &sent, &[file.as_fd(), file.as_fd()]).unwrap();
        let (message, descriptors) = receive::<ToServer>(&other).unwrap().unwrap();
        assert_eq!(message, sent);
        assert_eq!(descriptors.len(), 2);
        let mut text = String::new();
        let mut passed = File::from(descriptors.into_iter().next().unwrap());
        passed.rewind().unwrap();
        passed.read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");
    }

    #[test]
    fn an_empty_queue_would_block_and_a_closed_end_is_the_end() {
        let (one, other) = pair().unwrap();
        let error = receive::<ToParent>(&other).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        // Also where it has not read all messages.
        send(&other, &ToServer::Leave, &[]).unwrap();
        drop(one);
        assert!(receive::<ToParent>(&other).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error() {
        for bytes in [&b"\xff"[..], b"\x00\x00", b"\x02\x05ab", b""] {
            let error = decode::<ToParent>(bytes).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
    }

    #[test]
    fn more_than_a_message_holds_is_refused() {
        let (one, _other) = pair().unwrap();
        let long = ToParent::Refused("x".repeat(LARGEST));
        assert!(send(&one, &long, &[]).is_err());
        let text = shortened("line\n".repeat(TEXT));
        assert!(text.len() < TEXT + 100 && text.ends_with("more lines)"));
        send(&one, &ToParent::Refused(text), &[]).unwrap();
        let many = vec![one.as_fd(); DESCRIPTORS + 1];
        assert!(send(&one, &ToParent::Grant, &many).is_err());
    }
}
