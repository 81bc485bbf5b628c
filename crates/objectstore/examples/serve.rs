//! A store by itself, for measurements and for trying clients: prints the environment that clients need, runs until it is ended.
//!
//! `cargo run --release -p stoke-objectstore --features examples --example serve -- <directory> [port] [--no-sync]`

use std::io::Write;
use std::net::Ipv4Addr;

use stoke_objectstore::{Config, ObjectStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let directory = words.first().ok_or("usage: serve <directory> [port] [--no-sync]")?;
    let mut config = Config::new(directory.into(), Ipv4Addr::LOCALHOST);
    config.port = Some(words.get(1).map_or(Ok(0), |port| port.parse())?);
    config.sync = !flags.iter().any(|flag| flag == "--no-sync");
    let store = ObjectStore::start(config).await?;
    let mut out = std::io::stdout();
    writeln!(out, "AWS_ENDPOINT_URL={}", store.endpoint())?;
    writeln!(out, "AWS_REGION={}", store.region())?;
    writeln!(out, "AWS_ACCESS_KEY_ID={}", store.credentials().access_key_id)?;
    writeln!(out, "AWS_SECRET_ACCESS_KEY={}", store.credentials().secret_access_key)?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    store.stop().await;
    Ok(())
}
