//! Serves pages over the event logs of a directory: `web_serve DIRECTORY ADDRESS [RETAINED-TASKS]`. To look at pages and to measure them without the binary.
#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::Duration;

use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (directory, address) = arguments
        .next()
        .zip(arguments.next())
        .ok_or("web_serve DIRECTORY ADDRESS [RETAINED-TASKS]")?;
    let mut settings = Settings::default();
    if let Some(tasks) = arguments.next() {
        settings.limits.tasks = tasks.parse()?;
    }
    let index = Arc::new(Index::new(Source::directory(&directory), settings, None));
    let scan = index.scan()?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("{} logs at http://{}/", scan.logs, listener.local_addr()?);
    stoke_web::serve(index, stoke_web::Settings::default(), listener, Duration::from_secs(5)).await?;
    Ok(())
}
