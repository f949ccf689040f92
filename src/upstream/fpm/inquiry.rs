//! A server's reaction to a probe on a new connection, by which the gateway and doctor decide how to use it. Time
//! proves nothing here: a server with all workers busy is as silent as one that does not know probes
//! (docs/internals/php-fpm.md, "Silence").

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::io::read_buf;

use crate::fastcgi::decoder::{Decoder, Event};
use crate::fastcgi::management::{PROBE, Values, role_probe};
use crate::fastcgi::record::{Id, ProtocolError};

/// The records sent to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquiry {
    /// A probe; the connection can serve requests afterwards.
    Probe,
    /// A probe, and a request for a role that no application has, which a server without probes answers. The
    /// connection serves nothing else.
    Role,
}

/// The reaction of a server.
#[derive(Debug)]
pub enum Reaction {
    /// The probe is answered.
    Acknowledged(Values),
    /// Another answer, in FastCGI. To [`Inquiry::Role`] it proves that probes are not answered.
    Unacknowledged,
    /// The connection was closed or broke without a byte.
    HungUp(io::Error),
    /// The bytes received are not FastCGI.
    Foreign(ProtocolError),
}

/// Sends `inquiry` on `connection` and waits for the answer without a time limit.
pub async fn inquire<S>(connection: &mut S, inquiry: Inquiry) -> Reaction
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match try_inquire(connection, inquiry).await {
        Ok(reaction) => reaction,
        Err(error) => Reaction::HungUp(error),
    }
}

async fn try_inquire<S>(connection: &mut S, inquiry: Inquiry) -> io::Result<Reaction>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match inquiry {
        Inquiry::Probe => connection.write_all(PROBE).await?,
        Inquiry::Role => connection.write_all(&role_probe()).await?,
    }
    let mut decoder = Decoder::new(Id::FIRST);
    let mut input = BytesMut::new();
    let mut answer = None;
    loop {
        match decoder.next(&mut input) {
            Ok(Some(Event::Values(content))) => answer = answer.or_else(|| Values::read(&content)),
            Ok(Some(Event::Stdout(_) | Event::Stderr(_) | Event::End { .. })) => {
                // The answer to the role, behind that to the probe, adds nothing.
                return Ok(answer.map_or(Reaction::Unacknowledged, Reaction::Acknowledged));
            }
            Ok(None) => {
                // The next user of the connection begins with a header, so a record is read with its padding.
                if let Some(values) = answer
                    && input.is_empty()
                    && decoder.is_between_records()
                {
                    return Ok(Reaction::Acknowledged(values));
                }
                if read_buf(connection, &mut input).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error @ ProtocolError::WrongVersion(_)) => return Ok(Reaction::Foreign(error)),
            // Valid records, and none expected here.
            Err(_) => return Ok(Reaction::Unacknowledged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fastcgi::params::encode_pair;
    use crate::fastcgi::record::{Header, NULL_REQUEST_ID, RecordType};

    fn record(kind: RecordType, request_id: u16, content: &[u8]) -> Vec<u8> {
        let header = Header {
            kind: kind.code(),
            request_id,
            content_length: u16::try_from(content.len()).unwrap(),
            padding_length: 0,
        };
        [&header.encode()[..], content].concat()
    }

    fn values(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut content = Vec::new();
        for (name, value) in pairs {
            encode_pair(&mut content, name.as_bytes(), value.as_bytes());
        }
        record(RecordType::GetValuesResult, NULL_REQUEST_ID, &content)
    }

    /// Returns the reaction for a server that sends `answer` to each inquiry and closes.
    async fn reaction(answer: &[u8]) -> String {
        let mut reactions = Vec::new();
        for inquiry in [Inquiry::Probe, Inquiry::Role] {
            let (mut ours, mut theirs) = tokio::io::duplex(1024);
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            reactions.push(format!("{:?}", inquire(&mut ours, inquiry).await));
        }
        assert_eq!(reactions[0], reactions[1]);
        reactions.swap_remove(0)
    }

    #[tokio::test]
    async fn behind_an_answer_the_connection_is_at_a_header_however_it_was_cut() {
        let mut answer = values(&[("FCGI_MPXS_CONNS", "0")]);
        answer[6] = 6;
        answer.extend([0xee; 6]);
        let empty = values(&[]);
        for behind in [&[][..], &empty] {
            let wire = [&answer[..], behind].concat();
            for at in 0..=wire.len() {
                let (mut ours, mut theirs) = tokio::io::duplex(1024);
                let sending = async {
                    theirs.write_all(&wire[..at]).await.unwrap();
                    tokio::task::yield_now().await;
                    theirs.write_all(&wire[at..]).await.unwrap();
                    theirs.write_all(&answer).await.unwrap();
                };
                let (first, ()) = tokio::join!(inquire(&mut ours, Inquiry::Probe), sending);
                assert!(
                    matches!(first, Reaction::Acknowledged(_)),
                    "{at}: {first:?}"
                );
                // The last answer may have been read with the first.
                theirs.shutdown().await.unwrap();
                let second = inquire(&mut ours, Inquiry::Probe).await;
                let is_well = matches!(second, Reaction::Acknowledged(_) | Reaction::HungUp(_));
                assert!(is_well, "{at}: {second:?}");
            }
        }
    }

    #[tokio::test]
    async fn each_answer_has_its_reaction() {
        let refused = record(RecordType::EndRequest, 1, &[0, 0, 0, 0, 3, 0, 0, 0]);
        let empty = values(&[]);
        let mpxs = [("FCGI_MPXS_CONNS", "0")];
        for (answer, expected) in [
            (values(&mpxs), "Acknowledged"),
            ([values(&mpxs), refused.clone()].concat(), "Acknowledged"),
            ([empty.clone(), values(&mpxs)].concat(), "Acknowledged"),
            (empty.clone(), "HungUp"),
            (Vec::new(), "HungUp"),
            (vec![1, 3, 0], "HungUp"),
            (refused.clone(), "Unacknowledged"),
            ([empty, refused].concat(), "Unacknowledged"),
            (record(RecordType::UnknownType, 0, &[9; 8]), "HungUp"),
            (record(RecordType::GetValues, 0, &[]), "Unacknowledged"),
            (record(RecordType::Stdout, 7, b"x"), "Unacknowledged"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "Foreign"),
        ] {
            let reaction = reaction(&answer).await;
            assert!(reaction.starts_with(expected), "{answer:?}: {reaction}");
        }
    }
}
