//! Whether the user or the system wants the process to end.

use std::sync::OnceLock;

use tokio::sync::watch;

/// Set once the user or the system wanted the process to end.
static WANTED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

/// Listens for Ctrl-C, SIGTERM and SIGHUP from now on; before this call they end the process at once, as they do by default.
pub fn listen() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (wanted, receiver) = watch::channel(false);
    if WANTED.set(receiver).is_ok() {
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let _ = wanted.send(true);
        });
    }
    Ok(())
}

/// Completes when the user or the system wants the process to end, at once if they did since [`listen`].
pub async fn interrupted() -> std::io::Result<()> {
    listen()?;
    if let Some(mut wanted) = WANTED.get().cloned() {
        let _ = wanted.wait_for(|wanted| *wanted).await;
    }
    Ok(())
}
