//! Checks data by a contract: `check CONTRACT DATA [QUARANTINE]`. Prints the report as JSON.

use std::error::Error;
use std::io::Write;

use stoke_diagnostics::Source;
use stoke_quality::{Options, QualityError, Storage, contract, run};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(data)) = (arguments.next(), arguments.next()) else {
        return Err("usage: check CONTRACT DATA [QUARANTINE]".into());
    };
    let (contract, complaints) = contract::read(&Source::new(&file, &std::fs::read_to_string(&file)?), None);
    let contract = contract.ok_or(QualityError::Contract(complaints))?;
    let mut options = Options::at(jiff::Timestamp::now());
    options.quarantine = arguments.next().map(Into::into);
    let report = run(&contract, &Storage::local(data), &options)?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&report)?)?;
    Ok(())
}
