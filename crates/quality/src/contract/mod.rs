//! Contracts: what data must be, as a list of [`Check`]s with the places they are written at.
//!
//! Three formats are read, told apart by their keys: the Open Data Contract Standard ([`odcs`]), Great Expectations suites ([`gx`]), and a short YAML
//! of our own for simple cases ([`short`]). What a format can say and this room cannot check becomes a check that cannot be determined
//! ([`Kind::Refused`]), never nothing.

pub mod condition;
mod fields;
pub mod gx;
mod limit;
mod loose;
pub mod odcs;
mod operators;
mod pattern;
pub mod short;
mod strptime;
mod text;
mod types;
mod values;
pub mod waiver;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
pub use stoke_diagnostics::Severity;
use stoke_diagnostics::{Diagnostic, Place, Source, has_errors};
use stoke_model::manifest;

use crate::distribution::Method;
pub use condition::{Condition, Operator};

pub use limit::{Limit, Literal, Range};
pub use loose::moment;
pub use pattern::Pattern;
pub use strptime::Strptime;
pub use text::TextFormat;
pub use types::TypeName;
pub use waiver::Waiver;

/// What data must be.
#[derive(Clone, Debug)]
pub struct Contract {
    /// Its name; the file's when it has none.
    pub name: String,
    /// The format it is written in.
    pub format: Format,
    /// Names that the data have in queries of SQL.
    pub names: Vec<String>,
    /// What is checked, in the order written.
    pub checks: Vec<Check>,
    /// Failures that are accepted for a while.
    pub waivers: Vec<Waiver>,
    /// Types the contract gives its columns; columns of CSV are read as these.
    pub types: BTreeMap<String, TypeName>,
    /// Columns that need not be in files of JSON, which leave out what is null.
    pub optional: BTreeSet<String>,
    /// True when a floating-point `NaN` counts as null, as pandas has it.
    pub nan_is_null: bool,
}

/// The format of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Open Data Contract Standard 3.
    Odcs,
    /// A Great Expectations suite, 1.x or older.
    GreatExpectations,
    /// The short YAML.
    Short,
}

/// One thing that is checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Unique in its contract; the same as long as the contract says the same.
    pub id: String,
    /// What its format calls it, for example `expect_column_values_to_be_unique` or `nullValues`.
    pub name: String,
    /// The columns, none for a check of the table.
    pub columns: Vec<String>,
    /// What is checked.
    pub kind: Kind,
    /// How many rows may be otherwise.
    pub accept: Accept,
    /// Rows that are left out for their nulls; used by checks of several columns. Checks of one column always leave out nulls.
    pub leave_out: LeaveOut,
    /// Only rows that it holds for are looked at.
    pub condition: Option<Condition>,
    /// True when texts are to be read as dates, as older suites may ask.
    pub texts_are_dates: bool,
    /// Error when its failure fails the verdict, warning when it is only reported.
    pub severity: Severity,
    /// Where it is written.
    pub at: At,
}

/// A place in a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct At {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl At {
    /// A place of a source.
    pub fn new(source: &Source, place: Place) -> Self {
        Self {
            file: source.name().to_owned(),
            line: place.line,
            column: place.column,
        }
    }
}

/// How many of the rows that are looked at may be otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Accept {
    /// At least this share (0 to 1) is as wanted; Great Expectations' `mostly`. Nothing to look at is fine.
    Mostly(f64),
    /// The number of rows that are otherwise holds a limit.
    Rows(Limit),
    /// The rows that are otherwise, in percent of the rows looked at, hold a limit.
    Percent(Limit),
}

impl Accept {
    /// All must be as wanted.
    pub const ALL: Self = Self::Mostly(1.0);
}

/// Which rows are left out for their nulls by checks of several columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveOut {
    /// None.
    Never,
    /// Those in which all are null.
    AllNull,
    /// Those in which any is null.
    AnyNull,
}

/// What is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The number of rows.
    RowCount(Limit),
    /// The number of columns.
    ColumnCount(Limit),
    /// The columns are these, in this order.
    ColumnOrder(Vec<String>),
    /// These columns are there; with `exact`, no other.
    ColumnSet {
        names: Vec<String>,
        /// True when there may be no other.
        exact: bool,
    },
    /// The column is there, perhaps at a position from 0; from the end when negative.
    ColumnExists(Option<i64>),
    /// The column is of one of these types in every file.
    ColumnType(Vec<TypeName>),
    /// Values are not null.
    NotNull,
    /// Values are null.
    IsNull,
    /// Values are neither null nor one of these texts.
    NotMissing(Vec<Literal>),
    /// No value (or combination of values) occurs twice. All rows of a repeated value are otherwise; with [`Accept::Rows`] and [`Accept::Percent`]
    /// those beyond the first of each count.
    Unique,
    /// Values lie in a range.
    Between(Range),
    /// Values are a multiple of a number.
    MultipleOf(Literal),
    /// Values are among these.
    InSet(Vec<Literal>),
    /// Values are none of these.
    NotInSet(Vec<Literal>),
    /// Texts match patterns.
    Matches {
        patterns: Vec<Pattern>,
        /// How many of them.
        rule: MatchRule,
    },
    /// Texts have so many characters.
    Length(Limit),
    /// Texts are of a format.
    Format(TextFormat),
    /// Values do not fall from row to row.
    Increasing {
        /// True when they must rise.
        strictly: bool,
        /// True when they must fall instead.
        descending: bool,
    },
    /// The first of two columns is to the second as said.
    Compare(Comparison),
    /// The values of two columns are one of these pairs.
    PairInSet(Vec<(Literal, Literal)>),
    /// All columns of a row hold the same.
    SameWithinRow,
    /// All columns of a row hold something different.
    DifferentWithinRow,
    /// The columns of a row sum to a number.
    RowSum(f64),
    /// A number computed of a column lies in a range.
    Aggregate {
        /// Which.
        metric: Metric,
        range: Range,
    },
    /// Quantiles of a column lie in ranges.
    Quantiles {
        /// Each quantile with its range.
        wanted: Vec<(f64, Range)>,
        /// What is taken between two values.
        between: Interpolation,
    },
    /// Values lie closer to the mean than so many standard deviations. It takes a pass of its own before.
    ZScore {
        /// Standard deviations.
        threshold: f64,
        /// True when values below the mean are looked at, too.
        double_sided: bool,
    },
    /// Values are not outliers. It takes a pass of its own before.
    NotOutlier {
        /// True for quartiles, false for mean and standard deviation.
        quartiles: bool,
        /// How many ranges between quartiles, or standard deviations.
        multiplier: f64,
    },
    /// Values lie in a window that was computed of the data.
    InWindow(Window),
    /// The relative entropy (Kullback and Leibler) of the values to a distribution, in nats, is no more than a number.
    Divergence {
        /// The distribution.
        partition: Partition,
        /// The greatest divergence; none when any will do.
        threshold: Option<f64>,
    },
    /// The distinct values of a column.
    DistinctValues {
        /// The set.
        values: Vec<Literal>,
        /// How they are to it.
        rule: SetRule,
    },
    /// The latest timestamp is not older than this.
    Freshness {
        /// Seconds.
        max_age: i64,
        /// IANA name of the zone of dates, and of timestamps that have none.
        zone: Option<String>,
    },
    /// Values occur in the columns of other data.
    Reference {
        /// Where the other data are; relative to these data.
        data: String,
        columns: Vec<String>,
    },
    /// A metric is what it usually was at this time.
    Usual {
        /// Which; of the table when the check has no column.
        metric: Metric,
        /// What repeats.
        season: Season,
        /// How far from the median, in robust standard deviations.
        threshold: f64,
        /// Least number of earlier runs of the same season.
        at_least: usize,
    },
    /// The numbers of a column lie as they usually do.
    Distribution {
        /// How distributions are compared.
        method: Method,
        /// What repeats.
        season: Season,
        /// What is too far.
        threshold: f64,
        /// Least number of earlier runs of the same season.
        at_least: usize,
    },
    /// The one number that a query gives holds a limit.
    Sql {
        /// The query, placeholders filled in.
        query: String,
        limit: Limit,
    },
    /// This room cannot check it, for this reason.
    Refused(String),
}

/// What a quantile between two values is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearer; halfway, the one at the even position.
    Nearest,
    /// Between them, in proportion.
    Linear,
    Lower,
    Higher,
    /// Their mean.
    Midpoint,
}

/// Values that are not outliers, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    /// There is nothing to measure against: all are fine.
    All,
    /// Between two ends, both inside.
    Between(f64, f64),
    /// Closer to a number than a width; with a width of 0 or less, the number itself.
    Around {
        /// The number.
        center: f64,
        width: f64,
    },
    /// Fewer standard deviations above the mean than a threshold; and below it, when double sided.
    Score {
        mean: f64,
        /// The standard deviation of the sample.
        stdev: f64,
        threshold: f64,
        /// True when both sides count.
        double_sided: bool,
    },
}

impl Window {
    /// Whether a value lies in it. What is not a number does in a window of scores only.
    pub fn holds(&self, value: f64) -> bool {
        match self {
            Self::All => true,
            Self::Between(low, high) => value >= *low && value <= *high,
            Self::Around { center, width } if *width <= 0.0 => value == *center,
            Self::Around { center, width } => (value - center).abs() < *width,
            Self::Score {
                mean,
                stdev,
                threshold,
                double_sided,
            } => {
                let score = (value - mean) / stdev;
                let under = if *double_sided {
                    score.abs() < threshold.abs()
                } else {
                    score < *threshold
                };
                under || score.is_nan()
            }
        }
    }
}

/// A distribution to compare values with, as Great Expectations writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Partition {
    /// Values and their shares.
    Values {
        values: Vec<Literal>,
        /// Their shares, which sum to 1.
        weights: Vec<f64>,
        /// The share given to all values that are not among them.
        holdout: f64,
    },
    /// Intervals of numbers and their shares, holdouts taken into account.
    Bins {
        /// Ends of the intervals, ascending.
        bins: Vec<f64>,
        /// The share below the first end, those of the intervals, the share above the last.
        weights: Vec<f64>,
    },
}

/// How many of several patterns must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchRule {
    /// At least one.
    Any,
    /// Each.
    All,
    /// Not one.
    None,
}

/// How one column is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// The same.
    Equal,
    Greater,
    /// Greater or the same.
    GreaterOrEqual,
}

/// How a set of values is to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetRule {
    /// A part of it.
    Within,
    /// All of it, perhaps more.
    Contains,
    /// The same.
    Equals,
    /// The most frequent value is in it; ties fail.
    MostCommonIn,
    /// One of the most frequent values is in it.
    MostCommonTieIn,
}

/// A number of a column or a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Rows,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The arithmetic mean.
    Mean,
    /// The standard deviation of the sample.
    Stdev,
    Sum,
    /// The median; of an even number of values the mean of the middle two.
    Median,
    /// How many different values.
    Distinct,
    /// Different values over values.
    DistinctShare,
    /// Values over rows.
    NonNullShare,
}

impl Metric {
    /// Its name in reports and histories.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::Stdev => "stdev",
            Self::Sum => "sum",
            Self::Median => "median",
            Self::Distinct => "distinct",
            Self::DistinctShare => "distinctShare",
            Self::NonNullShare => "nonNullShare",
        }
    }
}

/// What repeats in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Season {
    /// Nothing: every earlier run counts.
    None,
    /// The hour of the day, UTC.
    Hour,
    /// The day of the week, UTC.
    Weekday,
}

/// Reads a contract of any of the formats. With `object`, the object of that name of an ODCS contract that describes several.
///
/// The contract is none when a complaint is an error.
///
/// ```
/// use stoke_diagnostics::Source;
/// let text = "name: orders\ncolumns:\n  id: {type: bigint, required: true, unique: true}\n";
/// let (contract, complaints) = stoke_quality::contract::read(&Source::new("orders.yaml", text), None);
/// assert!(complaints.is_empty());
/// assert_eq!(contract.unwrap().checks.len(), 4);
/// ```
pub fn read(source: &Source, object: Option<&str>) -> (Option<Contract>, Vec<Diagnostic>) {
    let (documents, mut complaints) = manifest::read(source);
    if has_errors(&complaints) {
        return (None, complaints);
    }
    let [document] = documents.as_slice() else {
        let message = format!("a contract is one document; there are {}", documents.len());
        let place = documents
            .get(1)
            .map_or_else(|| source.place_at(0), |second| second.place);
        complaints.push(Diagnostic::at(
            Severity::Error,
            "not-one-contract",
            source,
            place,
            "",
            message,
        ));
        return (None, complaints);
    };
    let mut fields = fields::Fields::new(source);
    let contract = if document.entry("expectations").is_some() {
        gx::read(document, &mut fields)
    } else if document.entry("kind").is_some() || document.entry("apiVersion").is_some() {
        odcs::read(document, object, &mut fields)
    } else {
        short::read(document, &mut fields)
    };
    complaints.extend(fields.into_complaints());
    let contract = contract.filter(|_| !has_errors(&complaints));
    (contract, complaints)
}

/// Makes the ids of checks unique, in the order written.
fn number(checks: &mut [Check]) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for check in checks {
        let count = seen.entry(check.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            check.id = format!("{}-{count}", check.id);
        }
    }
}

/// An id of a name and columns.
fn id_of(name: &str, columns: &[String]) -> String {
    if columns.is_empty() {
        name.to_owned()
    } else {
        format!("{}.{name}", columns.join("+"))
    }
}
