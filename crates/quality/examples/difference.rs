//! Compares two places and prints the report in JSON; to measure with (`benches/difference.py`).

use std::io::Write;

use stoke_quality::Storage;
use stoke_quality::difference::{Alone, Options, compare};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(left), Some(right)) = (arguments.next(), arguments.next()) else {
        return Err("usage: difference LEFT RIGHT [KEY|- [TOLERANCE|- [THREADS]]]".into());
    };
    let mut given = || arguments.next().filter(|argument| argument != "-");
    let options = Options {
        keys: given().into_iter().collect(),
        tolerance: given().map(|text| text.parse()).transpose()?,
        threads: given().map(|text| text.parse()).transpose()?,
        ..Options::default()
    };
    let found = compare(&Storage::local(left), &Storage::local(right), &options, &Alone)?;
    serde_json::to_writer_pretty(std::io::stdout().lock(), &found)?;
    std::io::stdout().write_all(b"\n")?;
    Ok(())
}
