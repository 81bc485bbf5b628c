//! What a lookup costs: `cost DIR NAME…` opens the database of a directory, looks packages of PyPI up and prints how long each step took.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Instant;

use stoke_advisories::{Database, Ecosystem};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("cost DIR NAME…")?);
    let begun = Instant::now();
    let database = Database::open(&directory)?;
    println!("opened in {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut found = 0;
    let mut count = 0;
    for name in arguments {
        count += 1;
        found += database.look_up(Ecosystem::PyPI, &name, "1.0")??.known.len();
    }
    println!("{count} packages with {found} vulnerabilities in {:?}", begun.elapsed());
    Ok(())
}
