//! What fuzzing drives: not for other use.

use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use crate::cells::Batches;
use crate::greeting::greet;

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

/// Rows as a server sends them.
pub fn batch(bytes: &[u8]) {
    if let Ok(batches) = Batches::read(Bytes::copy_from_slice(bytes)) {
        for row in batches.rows(1_000) {
            drop(row);
        }
    }
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

    #[test]
    fn damaged_rows_are_an_error() {
        stoke_testkit::damage::damaged("connect_batch", 4_000, super::batch);
    }
}
