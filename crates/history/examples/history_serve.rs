//! The status API over a directory of event logs, without the rest of Stoke: `serve DIRECTORY ADDRESS [CACHE]`.

use std::sync::Arc;
use std::time::Duration;

use stoke_eventlog::Source;
use stoke_history::cache::Cache;
use stoke_history::index::{Index, Settings};
use stoke_history::serve;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (directory, address) = (
        arguments.next().unwrap_or_default(),
        arguments.next().unwrap_or_default(),
    );
    let cache = arguments.next().map(Cache::open).transpose()?;
    let index = Arc::new(Index::new(Source::directory(directory), Settings::default(), cache));
    index.scan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        serve::serve(index, listener, Duration::from_secs(5)).await
    })?;
    Ok(())
}
