//! What a container's processes do on a signal at first: the default, whatever Stoke itself was told to ignore.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGWINCH, SIGXCPU, SIGXFSZ,
};

/// Every program started from here on begins with the default for these signals.
///
/// A shell's background jobs ignore SIGINT and SIGQUIT, and `nohup` ignores SIGHUP; what is ignored stays ignored across `exec`, and a
/// shell cannot even trap it. What is handled becomes the default across `exec` (POSIX), so each gets a handler that does nothing.
///
/// # Errors
/// The kernel refused a handler.
pub(crate) fn default_in_children() -> io::Result<()> {
    let unread = Arc::new(AtomicBool::new(false));
    for signal in [
        SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGVTALRM,
        SIGWINCH, SIGXCPU, SIGXFSZ,
    ] {
        signal_hook::flag::register(signal, Arc::clone(&unread))?;
    }
    Ok(())
}
