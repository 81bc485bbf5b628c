//! What fuzzing drives: no promise to anybody else.

use tokio::io::AsyncWriteExt;

use crate::connect::handshake::greet;

/// A server that answers the greeting of a Connect server with these bytes, and ends.
pub async fn handshake(bytes: &[u8]) {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let answering = async move {
        let _ = theirs.write_all(bytes).await;
        let _ = theirs.shutdown().await;
    };
    let (greeted, ()) = tokio::join!(greet(ours), answering);
    drop(greeted);
}

#[cfg(test)]
mod tests {
    #[test]
    fn damaged_answers_are_no_server() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        stoke_testkit::damage::damaged("handshake", 2_000, |bytes| runtime.block_on(super::handshake(bytes)));
    }
}
