//! Terminals inside a container: made by its init from the container's own `/dev/pts`.
//!
//! A process gets a controlling terminal only by asking for it itself, as the leader of a new session. The step between
//! the init and the command is this executable once more, started as `__sandbox terminal <program> <name> <arguments…>`.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::error::{Error, plain};

/// A new terminal: the side that people hold, and the side that programs run on.
pub(crate) fn open() -> Result<(OwnedFd, OwnedFd), Error> {
    let failed = |error: rustix::io::Errno| Error::start("open a terminal", error);
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).map_err(failed)?;
    grantpt(&ours).and_then(|()| unlockpt(&ours)).map_err(failed)?;
    let theirs = ioctl_tiocgptpeer(&ours, flags).map_err(failed)?;
    Ok((ours, theirs))
}

/// Tells the programs on a terminal its size in characters.
///
/// # Errors
/// The file is not a terminal.
pub fn resize(terminal: impl AsFd, rows: u16, columns: u16) -> std::io::Result<()> {
    let size = Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Becomes the leader of a session on the terminal at standard input, then the program. Returns only when that failed.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> i32 {
    let (Some(program), Some(name)) = (arguments.next(), arguments.next()) else {
        return 64;
    };
    let led = rustix::process::setsid().and_then(|_| rustix::process::ioctl_tiocsctty(std::io::stdin()));
    let error = match led {
        Ok(()) => Command::new(&program).arg0(&name).args(arguments).exec(),
        Err(error) => error.into(),
    };
    let line = format!("exec: {name:?}: {}\r\n", plain(&error).to_lowercase());
    let _ = rustix::io::write(std::io::stderr(), line.as_bytes());
    126
}
