//! `stoke cost`: what a run cost and for what; what many runs cost, by a label.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use stoke_eventlog::{Options, Source, glance::glance};
use stoke_insight::cost::showback::{self, Report};
use stoke_insight::cost::{Bill, Prices, Window, focus};
use stoke_insight::facts::{Cluster, collect};
use stoke_laptop::event_logs;
use stoke_laptop::gather;
use stoke_laptop::object_store::reach_any;
use stoke_storage::{Address, StorageError};

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke cost`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("many").multiple(true))]
#[command(after_help = "\
Without --prices the cost is given in core-seconds and GiB-seconds. docs/reference/cost.md shows a price table.
Parts always sum to the whole, to the last digit.")]
pub struct Arguments {
    /// The application: its name, or Spark's id of it
    #[arg(value_name = "APPLICATION", conflicts_with_all = ["event_log", "many"])]
    application: Option<String>,
    /// An event log instead: a file, a rolling directory, or its URL
    #[arg(long, value_name = "PATH", conflicts_with = "many")]
    event_log: Option<String>,
    /// The price table, YAML or JSON
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// All runs of this team (label `team`)
    #[arg(long, value_name = "NAME", group = "many")]
    team: Option<String>,
    /// All runs with this label
    #[arg(long, value_name = "KEY=VALUE", group = "many")]
    label: Vec<String>,
    /// All runs, as far as they ran after this: a date, a time (RFC 3339), or days back (`30d`)
    #[arg(long, value_name = "WHEN", value_parser = moment, group = "many")]
    since: Option<Timestamp>,
    /// As far as they ran before this
    #[arg(long, value_name = "WHEN", value_parser = moment, group = "many")]
    until: Option<Timestamp>,
    /// The label by which runs are put together
    #[arg(long, value_name = "LABEL", default_value = "team")]
    by: String,
    /// Where the event logs are [default: those of this machine]
    #[arg(long, value_name = "PLACE", group = "many")]
    dir: Option<String>,
    /// Write the showback there, as CSV and as FOCUS 1.2 (CSV and Parquet): a directory, file:///directory, s3://…, gs://… or abfss://…
    #[arg(long, value_name = "PLACE", requires_all = ["many", "prices"])]
    report: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// A date, a time, or so many days ago.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Some(days) = text.strip_suffix('d') {
        let days: i64 = days.parse().map_err(|_| format!("{text:?} is not a number of days"))?;
        let hours = days.checked_mul(24).filter(|hours| (0..1_000_000).contains(hours));
        let hours = hours.ok_or_else(|| format!("{text:?} is too long ago"))?;
        return Timestamp::now()
            .checked_sub(hours.hours())
            .map_err(|error| error.to_string());
    }
    // What reads dates takes the date out of a time, too, and what has no offset is not a moment.
    let read = match text.len() == "2026-01-31".len() {
        true => text
            .parse::<Date>()
            .and_then(|date| date.to_zoned(TimeZone::UTC))
            .map(|midnight| midnight.timestamp()),
        false => text.parse::<Timestamp>(),
    };
    read.map_err(|_| "a date (2026-01-31), a time (2026-01-31T08:00:00Z) or days back (30d)".to_owned())
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let prices = arguments.prices.as_deref().map(read_prices).transpose()?;
    match (&arguments.application, &arguments.event_log) {
        (None, None) => of_many(&arguments, prices.as_ref(), context).await,
        (application, event_log) => {
            let asked = RunSource {
                application: application.clone(),
                event_log: event_log.clone(),
                bundle: None,
            };
            of_one(&asked, &arguments.target, prices.as_ref(), context).await
        }
    }
}

/// The price table of a file.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn read_prices(path: &Path) -> Outcome<Prices> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::input("stoke::cost::prices", format!("--prices {name}: {error}")))?;
    Prices::read(&name, &text).map_err(|complaints| {
        let all: Vec<String> = complaints.iter().map(|complaint| complaint.render()).collect();
        Failure::input("stoke::cost::prices", all.join("\n")).fix("docs/reference/cost.md shows a price table")
    })
}

async fn of_one(asked: &RunSource, target: &Target, prices: Option<&Prices>, context: &mut Context) -> Outcome<u8> {
    let known = asked.known(target, context).await?;
    let bill = stoke_insight::cost::of(known.run()?, known.facts.cluster.as_ref(), prices).map_err(failed)?;
    match context.terminal.format() {
        Format::Json => context.terminal.json(&bill),
        Format::Text => bill.lines().iter().for_each(|line| context.terminal.out(line)),
    }
    Ok(0)
}

fn failed(error: stoke_insight::cost::CostError) -> Failure {
    Failure::input(error.code(), error)
}

/// Which runs of many are meant.
struct Which {
    window: Window,
    labels: Vec<(String, String)>,
}

impl Which {
    fn of(arguments: &Arguments) -> Outcome<Which> {
        let mut labels = Vec::new();
        labels.extend(arguments.team.iter().map(|team| ("team".to_owned(), team.clone())));
        for label in &arguments.label {
            let (key, value) = label.split_once('=').ok_or_else(|| {
                Failure::input("stoke::cost::label", format!("--label {label}: that is not KEY=VALUE"))
            })?;
            labels.push((key.to_owned(), value.to_owned()));
        }
        let window = Window {
            from: arguments.since.map_or(Window::ALL.from, Timestamp::as_millisecond),
            until: arguments.until.map_or(Window::ALL.until, Timestamp::as_millisecond),
        };
        if window.from >= window.until {
            return Err(Failure::input("stoke::cost::window", "--since is not before --until"));
        }
        Ok(Which { window, labels })
    }

    fn has(&self, bill: &Bill) -> bool {
        self.labels
            .iter()
            .all(|(key, value)| showback::label(bill, key) == Some(value.as_str()))
    }
}

async fn of_many(arguments: &Arguments, prices: Option<&Prices>, context: &mut Context) -> Outcome<u8> {
    let which = Which::of(arguments)?;
    let place = arguments.dir.clone();
    let place = place.unwrap_or_else(|| event_logs::directory(&context.home).display().to_string());
    let source = event_logs::source(&place, &context.home).await?;
    let owned = prices.cloned();
    // Their labels and pods, as far as they are there.
    let applications = gather::applications(&context.home, &arguments.target.cluster()).await;
    let home = context.home.clone();
    let cluster_of = move |id: &str| {
        applications
            .get(id)
            .cloned()
            .or_else(|| gather::runs::cluster(&home, id))
    };
    let reading = tokio::task::spawn_blocking(move || bills(&source, &which, &cluster_of, owned.as_ref()));
    let (bills, notes) = reading
        .await
        .map_err(|error| Failure::environment("stoke::cost::ended", error))??;
    for note in notes {
        context.terminal.note(format!("note: {note}"));
    }
    let reports = showback::by_label(&bills, &arguments.by);
    match context.terminal.format() {
        Format::Json => context.terminal.json(&reports),
        Format::Text if reports.is_empty() => context.terminal.out("no runs"),
        Format::Text => {
            for line in reports.iter().flat_map(Report::lines) {
                context.terminal.out(line);
            }
        }
    }
    if let (Some(place), Some(prices)) = (&arguments.report, prices) {
        for name in write_report(place, &reports, &bills, prices, context).await? {
            context.terminal.note(format!("wrote {name}"));
        }
    }
    Ok(0)
}

/// The daily bills of all runs that are meant, one run in memory at a time; and what could not be counted.
fn bills(
    source: &Source,
    which: &Which,
    cluster_of: &dyn Fn(&str) -> Option<Cluster>,
    prices: Option<&Prices>,
) -> Outcome<(Vec<Bill>, Vec<String>)> {
    let listed = |error: StorageError| Failure::environment(error.code(), error);
    let (mut bills, mut notes) = (Vec::new(), Vec::new());
    for log in source.logs().map_err(listed)? {
        // What ended before the window, or began after it, need not be read.
        let seen = glance(source, &log).map_err(listed)?;
        let Some(start) = seen.start else {
            notes.push(format!("{}: no application has started in it", log.path));
            continue;
        };
        let ended = seen.end.map(|end| end.time);
        if start.time >= which.window.until || ended.is_some_and(|ended| ended < which.window.from) {
            continue;
        }
        let run = collect::run(source, &log, Options::default()).map_err(listed)?;
        let daily = showback::daily(&run, cluster_of(&run.id).as_ref(), prices, which.window).map_err(failed)?;
        bills.extend(daily.into_iter().filter(|bill| which.has(bill)));
    }
    Ok((bills, notes))
}

async fn write_report(
    place: &str,
    reports: &[Report],
    bills: &[Bill],
    prices: &Prices,
    context: &Context,
) -> Outcome<Vec<String>> {
    let input = |error: StorageError| Failure::input(error.code(), format!("--report: {error}"));
    let address = match Address::parse(place).map_err(input)? {
        Address::Local(path) => Address::Local(std::path::absolute(path)?),
        bucket => bucket,
    };
    let place = stoke_storage::open(&address, &reach_any(&context.home).await?).map_err(input)?;
    let rows = focus::rows(bills, prices);
    let parquet = focus::parquet(&rows).map_err(|error| Failure::environment("stoke::cost::parquet", error))?;
    let by_label: String = reports.iter().map(Report::csv).collect();
    let files = [
        ("showback.csv", by_label.into_bytes()),
        ("focus-1.2.csv", focus::csv(&rows).into_bytes()),
        ("focus-1.2.parquet", parquet),
    ];
    let mut written = Vec::new();
    for (name, bytes) in files {
        place
            .write(name, bytes)
            .await
            .map_err(|error| Failure::environment("stoke::cost::report", error))?;
        written.push(format!("{}/{name}", place.url()));
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment("2026-01-31").unwrap().to_string(), "2026-01-31T00:00:00Z");
        assert_eq!(
            moment("2026-01-31T08:00:00+01:00").unwrap().to_string(),
            "2026-01-31T07:00:00Z"
        );
        assert!(moment("30d").unwrap() < Timestamp::now());
        for wrong in [
            "",
            "d",
            "-3d",
            "yesterday",
            "2026-02-30",
            "2026-01-31T08:00:00",
            "99999999999999d",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }
}
