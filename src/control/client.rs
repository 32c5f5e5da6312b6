//! The client of the control socket, for commands.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use futures_util::sink::SinkExt;
use futures_util::stream::StreamExt;
use jsonrpsee::core::client::{
    Client, ClientBuilder, ReceivedMessage, TransportReceiverT, TransportSenderT,
};
use serde::Deserialize;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LinesCodec, LinesCodecError};

use super::LONGEST_RESPONSE;
use super::place::BridgeSocket;
use crate::link::peer::check_user;

/// The connection to one bridge, whose methods are those of
/// [`ControlApiClient`](super::ControlApiClient).
pub type Link = Client;

/// Why a bridge is not reached.
#[derive(Debug, thiserror::Error)]
pub enum NotReached {
    /// The system refuses it.
    #[error("the bridge {0} is not reached: {1}")]
    Refused(u32, io::Error),
    /// Somebody else serves the socket.
    #[error("the bridge {0} is not reached: {1}")]
    Stranger(u32, &'static str),
}

/// Connects to a bridge. To be called in a runtime.
///
/// # Errors
/// If it is gone, takes no connections, or is another user's.
pub fn reach(socket: &BridgeSocket) -> Result<Link, NotReached> {
    let pid = socket.pid();
    let stream = socket.connect().map_err(|error| NotReached::Refused(pid, error))?;
    // It is asked nothing before it is known whose it is.
    check_user(&stream).map_err(|stranger| NotReached::Stranger(pid, stranger.message()))?;
    client(stream).map_err(|error| NotReached::Refused(pid, error))
}

fn client(stream: StdStream) -> io::Result<Link> {
    stream.set_nonblocking(true)?;
    let (reading, writing) = UnixStream::from_std(stream)?.into_split();
    let codec = LinesCodec::new_with_max_length(LONGEST_RESPONSE);
    let lines = Lines(FramedRead::new(reading, codec));
    let writer = Writer(FramedWrite::new(writing, LinesCodec::new()));
    Ok(ClientBuilder::default().build_with_tokio(writer, lines))
}

struct Writer(FramedWrite<OwnedWriteHalf, LinesCodec>);

impl TransportSenderT for Writer {
    type Error = LinesCodecError;

    async fn send(&mut self, message: String) -> Result<(), LinesCodecError> {
        self.0.send(message).await
    }
}

struct Lines(FramedRead<OwnedReadHalf, LinesCodec>);

/// Why nothing more comes from a bridge.
#[derive(Debug, thiserror::Error)]
enum Over {
    #[error("the bridge has ended, or has closed the connection")]
    Closed,
    #[error("{0}")]
    Said(String),
    #[error("{0}")]
    Unreadable(#[from] LinesCodecError),
}

impl TransportReceiverT for Lines {
    type Error = Over;

    async fn receive(&mut self) -> Result<ReceivedMessage, Over> {
        let line = self.0.next().await.ok_or(Over::Closed)??;
        match said_last(&line) {
            Some(why) => Err(Over::Said(why)),
            None => Ok(ReceivedMessage::Text(line)),
        }
    }
}

/// The reason for which a bridge ends a connection; `None`: the line is an answer or an event.
fn said_last(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Last {
        id: (),
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    // Only such a line has an id that is null.
    let Last { id: (), error } = serde_json::from_str(line).ok()?;
    Some(error.message)
}
