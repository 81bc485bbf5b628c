//! Pages over HTTP, on logs of real runs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod console;
mod crawl;
mod data;
mod guards;
mod hostile;
mod numbers;
mod readers;
mod reasons;
mod site;
mod storage;
mod told;
mod watched;
