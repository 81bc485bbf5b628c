//! `stoke quality diff`: whether two places hold the same data.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use stoke_laptop::interrupt::interrupted;
use stoke_model::units::memory::{ByteUnit, Memory};
use stoke_model::units::people;
use stoke_quality::difference::{self, DISTANCE, Difference, Options, Step, Tolerance, Watch};
use stoke_quality::{QualityError, Storage};

use super::storage;
use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal};

/// Arguments of `stoke quality diff`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 the data are equal; 1 they are different; 2 they cannot be compared (a file that cannot be read, a column that is not there); 130 interrupted."
)]
pub struct Arguments {
    /// The data on the left: a file, a directory (with partitions), a Delta or Iceberg table; `s3://…`, `gs://…`, `abfss://…` (with the variables of that cloud)
    left: String,
    /// The data on the right
    right: String,
    /// Columns that say which rows belong together [default: rows are compared as a whole, whatever their order]
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    key: Vec<String>,
    #[command(flatten)]
    how: How,
    /// Version of a Delta table; snapshot, branch or tag of an Iceberg table [default: the current one]
    #[arg(long, value_name = "VERSION")]
    left_version: Option<String>,
    /// The same for the right side
    #[arg(long, value_name = "VERSION")]
    right_version: Option<String>,
}

/// How data are compared.
#[derive(clap::Args, Clone)]
pub struct How {
    /// How far floating-point numbers may be apart: relative=1e-9, absolute=0.01 or ulps=4, several with commas; COLUMN:… for a column of numbers of any type
    #[arg(long, value_name = "[COLUMN:]TOLERANCE")]
    tolerance: Vec<String>,
    /// Columns that are left out
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Columns that differ from run to run, of which only the distribution is compared
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    nondeterministic: Vec<String>,
    /// How far distributions may be apart, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = DISTANCE)]
    distance: f64,
    /// Let types differ as long as values are equal (int and bigint, float and double, decimals)
    #[arg(long)]
    same_values: bool,
    /// Rows that are kept in memory, as a size; more are put aside in TMPDIR
    #[arg(long, value_name = "SIZE", default_value = "256m")]
    memory: String,
    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let (left, right) = (storage(&arguments.left)?, storage(&arguments.right)?);
    let options = Options {
        keys: arguments.key,
        left_version: arguments.left_version,
        right_version: arguments.right_version,
        ..arguments.how.options()?
    };
    let terminal = &mut context.terminal;
    let found = compared(&left, &right, &options, terminal).await?.map_err(failed)?;
    match terminal.format() {
        Format::Json => terminal.json(&found),
        Format::Text => terminal.out(found.to_string().trim_end()),
    }
    Ok(u8::from(!found.is_equal()))
}

/// Compares, shows how far it is, and ends when the user wants that.
///
/// # Errors
/// The comparison itself broke off; what it says of data that cannot be compared is in what it gives.
pub async fn compared(
    left: &Storage,
    right: &Storage,
    options: &Options,
    terminal: &mut Terminal,
) -> Outcome<Result<Difference, QualityError>> {
    let follower = Follower {
        stop: AtomicBool::new(false),
        step: Mutex::new(None),
    };
    // Threads of the comparison are joined before this function goes on, also when it is interrupted.
    let compared = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let compared = scope.spawn(|| difference::compare(left, right, options, &follower));
            tokio::runtime::Handle::current().block_on(follower.follow(terminal, || compared.is_finished()));
            compared.join()
        })
    });
    terminal.end_status();
    compared.map_err(|_| {
        Failure::new(
            "stoke::quality::comparison",
            "the comparison ended before it was done",
            2,
        )
    })
}

/// A comparison that could not be made.
fn failed(error: QualityError) -> Failure {
    let exit = if matches!(error, QualityError::Interrupted) {
        130
    } else {
        2
    };
    Failure::new(error.code(), error, exit).divided()
}

impl How {
    /// What is asked for; keys and versions are left open.
    ///
    /// # Errors
    /// A tolerance or a size that is not one.
    pub fn options(&self) -> Outcome<Options> {
        let (mut tolerance, mut column_tolerances) = (None, BTreeMap::new());
        let wrong = |text: &str, cause: &dyn std::fmt::Display| {
            Failure::input("stoke::quality::tolerance", format!("--tolerance {text}: {cause}")).fix(
            "write relative=1e-9, absolute=0.01 or ulps=4, several with commas, and COLUMN: before it for one column",
        )
        };
        for text in &self.tolerance {
            let (column, bounds) = match text.rsplit_once(':') {
                Some((column, bounds)) => (Some(column.to_owned()), bounds),
                None => (None, text.as_str()),
            };
            let parsed: Tolerance = bounds.parse().map_err(|cause: String| wrong(text, &cause))?;
            let before = match column {
                Some(column) => column_tolerances.insert(column, parsed),
                None => tolerance.replace(parsed),
            };
            if before.is_some() {
                return Err(wrong(text, &"a tolerance for the same columns is given twice"));
            }
        }
        let memory = Memory::parse(&self.memory, ByteUnit::Byte).ok();
        let memory = memory
            .and_then(|memory| usize::try_from(memory.bytes()).ok())
            .filter(|bytes| *bytes >= 1 << 20)
            .ok_or_else(|| {
                let cause = format!("--memory {}: it is not a size of at least 1m", self.memory);
                Failure::input("stoke::quality::memory", cause).fix("write a size like 256m or 2g")
            })?;
        let set = |names: Vec<String>| names.into_iter().collect::<BTreeSet<String>>();
        Ok(Options {
            ignore: set(self.ignore.clone()),
            nondeterministic: set(self.nondeterministic.clone()),
            tolerance,
            column_tolerances,
            same_values: self.same_values,
            distance: self.distance,
            memory,
            threads: self.threads,
            ..Options::default()
        })
    }
}

/// Shows how far a comparison is, and ends it when the user wants that.
struct Follower {
    stop: AtomicBool,
    step: Mutex<Option<(Step, Instant)>>,
}

impl Watch for Follower {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn progress(&self, step: &Step) {
        let mut known = self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let since = match &*known {
            Some((before, since)) if before.doing == step.doing => *since,
            _ => Instant::now(),
        };
        *known = Some((*step, since));
    }
}

impl Follower {
    /// Until the comparison is done.
    async fn follow(&self, terminal: &mut Terminal, done: impl Fn() -> bool) {
        let mut wanted = std::pin::pin!(interrupted());
        let mut heard = false;
        while !done() {
            tokio::select! {
                _ = tokio::time::sleep(Duration::from_millis(20)) => {}
                _ = &mut wanted, if !heard => {
                    heard = true;
                    self.stop.store(true, Ordering::Relaxed);
                }
            }
            let step = *self.step.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some((Step { doing, done, of }, since)) = step {
                let share = of.map(|of| format!(" of {}", people::count(of))).unwrap_or_default();
                terminal.status(format!(
                    "{doing}: {}{share}, {} s",
                    people::count(done),
                    since.elapsed().as_secs()
                ));
            }
        }
    }
}
