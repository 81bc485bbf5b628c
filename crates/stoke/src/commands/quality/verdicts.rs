//! `stoke quality verdicts`: how contracts stand, by what `--history` kept.

use jiff::Timestamp;
use serde_json::json;
use stoke_model::manifest::nearest;
use stoke_model::units::people::counted;
use stoke_quality::Storage;
use stoke_quality::ledger::{Detail, Ledger, Overview, Run, Summary};

use crate::cli::Context;
use crate::commands::pages::kept_at;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// Verdicts of one contract that are shown as text.
const SHOWN: usize = 20;

/// Arguments of `stoke quality verdicts`.
#[derive(clap::Args)]
pub struct Arguments {
    /// One contract, by its name or its path below the place
    contract: Option<String>,
    /// Where verdicts are kept: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…` [default: where `stoke up` and `stoke run` keep those of applications]
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let storage = match &arguments.history {
        Some(place) => kept_at(place, &context.home).await?,
        None => {
            let own = context.home.quality();
            stoke_laptop::home::create_private(&own)?;
            Storage::local(own)
        }
    };
    let ledger = Ledger::new(storage);
    tokio::task::block_in_place(|| ledger.look());
    let now = Timestamp::now();
    let overview = ledger.overview(now);
    if let Some(trouble) = &overview.trouble {
        return Err(
            Failure::environment("stoke::quality::history", format!("{}: {trouble}", overview.place))
                .fix("check that the place exists and may be read"),
        );
    }
    let terminal = &mut context.terminal;
    let Some(wanted) = &arguments.contract else {
        match terminal.format() {
            Format::Json => terminal.json(&json!(overview)),
            Format::Text => show(&overview, terminal),
        }
        return Ok(0);
    };
    let found: Vec<&Summary> = overview
        .contracts
        .iter()
        .filter(|one| one.id == *wanted || one.name == *wanted)
        .collect();
    let id = match found[..] {
        [one] => &one.id,
        [] => return Err(missing(wanted, &overview)),
        _ => {
            let ids: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
            let message = format!(
                "{} are called `{wanted}`: {}",
                counted(ids.len(), "contract"),
                ids.join(", ")
            );
            return Err(Failure::input("stoke::quality::history", message).fix("name one of them by its path"));
        }
    };
    let shelf = ledger.shelf();
    let detail = shelf.contracts.get(id).map(|series| series.detail(now));
    let detail = detail.ok_or_else(|| missing(wanted, &overview))?;
    match terminal.format() {
        Format::Json => terminal.json(&json!(detail)),
        Format::Text => show_one(&detail, terminal),
    }
    Ok(0)
}

fn missing(wanted: &str, overview: &Overview) -> Failure {
    let known = overview
        .contracts
        .iter()
        .flat_map(|one| [one.name.as_str(), one.id.as_str()]);
    let message = format!("{}: no verdict on a contract `{wanted}` is kept there", overview.place);
    Failure::input("stoke::quality::history", message).fix(match nearest(wanted, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`stoke quality verdicts` lists those that are".to_owned(),
    })
}

fn show(overview: &Overview, terminal: &mut Terminal) {
    if overview.contracts.is_empty() {
        let place = &overview.place;
        return terminal.out(plain(&format!(
            "no verdict is kept at {place}: stoke quality run CONTRACT --data PLACE --history {place}"
        )));
    }
    let mut rows = vec![titles(&[
        "CONTRACT",
        "STANDS",
        "CHECKED",
        "ROWS",
        "SCORE",
        "SET ASIDE",
        "FRESH UNTIL",
        "VERDICTS",
        "FAILED",
    ])];
    rows.extend(overview.contracts.iter().map(|one| {
        let [at, data_rows, score, aside] = numbers(one.last.as_ref());
        vec![
            plain(&one.id),
            one.standing.name().to_owned(),
            at,
            data_rows,
            score,
            aside,
            one.fresh_until.map_or_else(nothing, moment),
            one.verdicts.to_string(),
            one.failed.to_string(),
        ]
    }));
    table(&rows).into_iter().for_each(|line| terminal.out(line));
    for one in overview.contracts.iter().filter(|one| one.standing.name() != "holds") {
        terminal.out(plain(&format!("{}: {}", one.id, one.why)));
    }
}

fn show_one(detail: &Detail, terminal: &mut Terminal) {
    let Detail { summary, runs } = detail;
    terminal.out(plain(&format!(
        "{}: {}: {}",
        summary.id,
        summary.standing.name(),
        summary.why
    )));
    if summary.damage.lines > 0 {
        terminal.note(format!(
            "{} of its file cannot be read",
            counted(summary.damage.lines, "line")
        ));
    }
    let mut rows = vec![titles(&[
        "CHECKED",
        "VERDICT",
        "ROWS",
        "SCORE",
        "SET ASIDE",
        "DATA",
        "WHY",
    ])];
    rows.extend(runs.iter().take(SHOWN).map(|run| {
        let [at, data_rows, score, aside] = numbers(Some(run));
        let verdict = if run.passed { "pass" } else { "FAIL" };
        vec![
            at,
            verdict.to_owned(),
            data_rows,
            score,
            aside,
            plain(&run.place),
            plain(&run.told()),
        ]
    }));
    table(&rows).into_iter().for_each(|line| terminal.out(line));
    if runs.len() > SHOWN {
        terminal.out(format!("and {} before; --output json has all", runs.len() - SHOWN));
    }
}

fn titles(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn nothing() -> String {
    "-".to_owned()
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// When, rows, score and rows set aside.
fn numbers(run: Option<&Run>) -> [String; 4] {
    let aside = |run: &Run| Some(run.outcome.as_ref()?.quarantine.as_ref()?.quarantined.to_string());
    [
        run.map_or_else(nothing, |run| moment(run.at)),
        run.and_then(|run| run.rows)
            .map_or_else(nothing, |rows| rows.to_string()),
        run.and_then(|run| run.score)
            .map_or_else(nothing, |score| score.to_string()),
        run.and_then(aside).unwrap_or_else(nothing),
    ]
}

/// Control characters could command the terminal.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}
