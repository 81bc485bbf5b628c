//! Messages between the launcher and the processes of a sandbox: length-prefixed JSON over a stream socket.
//! A message may carry open files.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::spec::{Exec, Exit, Usage};

/// What the launcher asks of the init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Send this signal to the main process.
    Signal(i32),
    /// Run a further command with the three files carried along as its standard streams, or on a new terminal.
    Exec { id: u64, exec: Exec, terminal: bool },
    /// Send this signal to a command started with `Exec`.
    SignalExec { id: u64, signal: i32 },
    /// Report the memory in use.
    Usage { id: u64 },
    /// Report the addresses at which the container's processes listen on this TCP port.
    Listeners { id: u64, port: u16 },
}

/// What the launcher asks of the warden.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Guest {
    /// The file carried along is the main process's terminal: what it shows goes to the log.
    Terminal,
    /// Copy what is written from now on to the files carried along: standard output, standard error, as far as asked for.
    Listener { out: bool, err: bool },
}

/// What the sandbox tells the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The main process executes. The file carried along, if any, is its terminal.
    Started,
    /// The container could not start; nothing of it is left.
    Failed(Error),
    /// The main process ended; the rest is being killed.
    Exited(Exit),
    /// A further command ended or could not start.
    ExecEnded { id: u64, result: Result<Exit, Error> },
    /// The memory in use.
    Usage { id: u64, usage: Usage },
    /// A further command runs on the terminal carried along.
    ExecTerminal { id: u64 },
    /// Where the container's processes listen.
    Listeners { id: u64, addresses: Vec<SocketAddr> },
}

/// Largest message accepted: a specification with a large environment fits many times.
const MAXIMUM: usize = 64 << 20;
/// Most files one message carries.
const FILES: usize = 3;

/// Runs a process of the sandbox on the control socket at its standard input; what it failed of is reported there. Gives the exit code.
pub(crate) fn report_failure(run: impl FnOnce(BorrowedFd<'_>) -> Result<(), Error>) -> i32 {
    let input = io::stdin();
    let socket = input.as_fd();
    match run(socket) {
        Ok(()) => 0,
        Err(error) => {
            let _ = send(socket, &Report::Failed(error), &[]);
            1
        }
    }
}

/// Sends `message`, with `files` attached to its first byte.
pub(crate) fn send<T: Serialize>(socket: BorrowedFd<'_>, message: &T, files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len()).map_err(|_| io::Error::other("message too long"))?;
    let mut bytes = Vec::with_capacity(4 + body.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&body);
    let mut sent = 0;
    while sent < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if sent == 0 && !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(io::Error::other("too many files in one message"));
        }
        match sendmsg(
            socket,
            &[IoSlice::new(&bytes[sent..])],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        ) {
            Ok(count) => sent += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Receives one message and the files it carries; `None` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut files = Vec::new();
    let mut length = [0_u8; 4];
    if !fill(socket, &mut length, &mut files)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > MAXIMUM {
        return Err(io::Error::other("message too long"));
    }
    let mut body = vec![0_u8; length];
    if !fill(socket, &mut body, &mut files)? {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&body)?, files)))
}

/// Fills `buffer` exactly; false when the stream ended before.
fn fill(socket: BorrowedFd<'_>, buffer: &mut [u8], files: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let part = &mut [IoSliceMut::new(&mut buffer[filled..])];
        let received = match recvmsg(socket.as_fd(), part, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(message) => message.bytes,
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::CONNRESET) => 0,
            Err(error) => return Err(error.into()),
        };
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                files.extend(rights);
            }
        }
        if received == 0 {
            return Ok(false);
        }
        filled += received;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_message_arrives_whole_with_its_files_and_the_end_is_seen() {
        let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let order = Order::Usage { id: 7 };
        send(left.as_fd(), &order, &[writer.as_fd()]).unwrap();
        drop(writer);
        drop(left);
        let (received, files) = receive::<Order>(right.as_fd()).unwrap().unwrap();
        assert!(matches!(received, Order::Usage { id: 7 }));
        assert_eq!(files.len(), 1);
        std::fs::File::from(files.into_iter().next().unwrap())
            .write_all(b"through")
            .unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert!(receive::<Order>(right.as_fd()).unwrap().is_none());
    }
}
