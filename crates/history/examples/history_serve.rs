//! The status API over a directory of event logs, without the rest of Stoke: `serve DIRECTORY ADDRESS [CACHE] [RETAINED_TASKS]`. A CACHE
//! of `-` is none.

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
    let cache = arguments.next().filter(|cache| cache != "-");
    let cache = cache.map(Cache::open).transpose()?;
    let mut settings = Settings::default();
    if let Some(tasks) = arguments.next() {
        settings.limits.tasks = tasks.parse()?;
    }
    let index = Arc::new(Index::new(Source::directory(directory), settings, cache));
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
