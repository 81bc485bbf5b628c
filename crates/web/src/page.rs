//! A page before it is written: its parts with raw numbers. The HTML and the JSON are both made of it, so they cannot differ.

use serde_json::value::RawValue;
use serde_json::{Value, json};
use stoke_diagnostics::Diagnostic;

use crate::answer::Answer;
use crate::live::logs::Line;
use crate::picture::chart::Chart;
use crate::picture::histogram::Histogram;
use crate::picture::plan::Plan;
use crate::picture::timeline::Timeline;
use crate::picture::treemap::Treemap;
use crate::picture::waterfall::Waterfall;

#[derive(Debug, Default)]
pub struct Page {
    /// What page it is, for the JSON and for the style: `home`, `jobs`…
    pub kind: &'static str,
    /// Its heading.
    pub title: String,
    /// What is said beside the heading.
    pub subtitle: String,
    /// How what the page is about stands.
    pub state: Option<State>,
    /// Where the page is: names and addresses from the top.
    pub crumbs: Vec<(String, String)>,
    /// The pages of the application.
    pub tabs: Vec<Tab>,
    /// The same facts in Spark's status API.
    pub rest: Option<String>,
    /// Its parts.
    pub sections: Vec<Section>,
    /// What is around pages of a cluster.
    pub frame: Option<Frame>,
    /// After how many milliseconds the page is looked at again, where it is of something that goes on.
    pub live: Option<u32>,
}

/// What is around every page of a cluster.
#[derive(Debug)]
pub struct Frame {
    /// Its pages.
    pub places: Vec<Tab>,
    /// Who is signed in.
    pub who: String,
    /// What their forms carry; empty for who has no session that could be ended.
    pub csrf: String,
}

/// A page of an application, as the navigation has it.
#[derive(Debug)]
pub struct Tab {
    /// Its name.
    pub label: &'static str,
    /// Its address.
    pub to: String,
    /// Whether it is this one.
    pub current: bool,
}

/// A part of a page.
#[derive(Debug)]
// each is what its type says
pub enum Section {
    Facts(Facts),
    Table(Table),
    Filter(Filter),
    Shares(Shares),
    Timeline(Timeline),
    Histogram(Histogram),
    Plan(Plan),
    Chart(Chart),
    Treemap(Treemap),
    Waterfall(Waterfall),
    Form(Form),
    Findings(Vec<Diagnostic>),
    Text(Text),
    Note(Note),
    /// What a command says of the same, in the JSON alone: the page shows it in parts of its own. As text, because its numbers may have more than
    /// 64 bits.
    Whole(&'static str, Box<RawValue>),
    Source(Listing),
    Log(Log),
    Sheet(Sheet),
    Answer(Answer),
    Actions(Vec<(&'static str, String)>),
    /// The way in.
    Entrance(String, String),
}

/// A text with its lines, and what is found at them.
#[derive(Debug, Default)]
pub struct Listing {
    /// Heading.
    pub title: &'static str,
    pub lines: Vec<String>,
    /// What is found, in the order of the lines; line 0 is the text as a whole.
    pub findings: Vec<Diagnostic>,
}

impl Listing {
    /// What is found at a line.
    pub fn at(&self, line: &usize) -> Vec<&Diagnostic> {
        self.findings.iter().filter(|found| found.line == *line).collect()
    }
}

/// The end of a log.
#[derive(Debug, Default)]
pub struct Log {
    pub lines: Vec<Line>,
    /// What is said when there is none.
    pub empty: &'static str,
}

/// A form that is sent with what is written into it.
#[derive(Debug, Default)]
pub struct Sheet {
    /// Where it leads.
    pub action: String,
    /// What is said above it.
    pub about: &'static str,
    /// What it carries without being asked.
    pub hidden: Vec<(&'static str, String)>,
    /// What it asks for.
    pub fields: Vec<Entry>,
    /// What its button says.
    pub button: &'static str,
}

/// What it asks for.
#[derive(Debug, Default)]
pub struct Entry {
    pub name: &'static str,
    /// What it is called.
    pub label: &'static str,
    /// The kind of the field: `text`, `password`, `area`, `choice`.
    pub kind: &'static str,
    /// What it begins with.
    pub value: String,
    /// What a choice is made of.
    pub choices: Vec<String>,
}

/// Named values.
#[derive(Debug, Default)]
pub struct Facts {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading; none for the facts at the top.
    pub title: &'static str,
    /// Name in the JSON, label, value.
    pub items: Vec<(&'static str, &'static str, Cell)>,
}

/// A table, or a page of one.
#[derive(Debug, Default)]
pub struct Table {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What to do when it is empty.
    pub empty: &'static str,
    pub columns: Vec<Column>,
    /// Rows; as many cells as columns.
    pub rows: Vec<Row>,
    /// Rows there are in all, and the way to the others.
    pub paging: Option<Paging>,
}

#[derive(Debug, Default)]
pub struct Row {
    /// Its name within the page, where something points to it.
    pub anchor: Option<String>,
    /// One cell a column.
    pub cells: Vec<Cell>,
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Row {
        Row { anchor: None, cells }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Column {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading.
    pub label: &'static str,
    /// Numbers stand at the right.
    pub number: bool,
    /// The address that sorts by it, where one can.
    pub sort: Option<String>,
    /// Whether it is sorted by it, and then `ascending` or `descending`.
    pub sorted: Option<&'static str>,
}

/// Where a page of a table is among the others.
#[derive(Debug, Default)]
pub struct Paging {
    /// Rows there are.
    pub total: usize,
    /// The first one shown, from 1; 0 when there is none.
    pub from: usize,
    /// The last one shown.
    pub to: usize,
    /// The page before.
    pub before: Option<String>,
    /// The page after.
    pub after: Option<String>,
}

/// A form that narrows a table.
#[derive(Debug, Default)]
pub struct Filter {
    /// Where it leads.
    pub action: String,
    /// What is searched.
    pub text: String,
    /// What the search field asks for.
    pub placeholder: &'static str,
    /// States to choose from: label, count, address, whether it is chosen.
    pub choices: Vec<(&'static str, usize, String, bool)>,
    /// What else is in the address and stays.
    pub kept: Vec<(String, String)>,
}

/// A form that asks for something.
#[derive(Debug, Default)]
pub struct Form {
    /// Heading.
    pub title: &'static str,
    /// Where it leads.
    pub action: String,
    /// What it asks for.
    pub fields: Vec<Field>,
    /// What else is in the address and stays.
    pub kept: Vec<(String, String)>,
    /// What its button says.
    pub button: &'static str,
}

/// A field of a form.
#[derive(Debug)]
pub struct Field {
    /// Its name in the address.
    pub name: &'static str,
    /// What it asks for.
    pub label: &'static str,
    /// What is in it.
    pub value: String,
    /// How it is filled in.
    pub kind: Input,
}

/// How a field is filled in.
#[derive(Debug)]
pub enum Input {
    /// A text; some to choose from, with what they are.
    Text(Vec<(String, String)>),
    /// A day.
    Date,
    /// A number from one to another.
    Number(i64, i64),
    /// The same by hand.
    Slider(i64, i64),
}

/// What something was used for, as parts of a bar.
#[derive(Debug, Default)]
pub struct Shares {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// What is said about it.
    pub about: &'static str,
    /// Name in the JSON, label, value, whole thousandths from the left and wide.
    pub parts: Vec<(&'static str, &'static str, Cell, i64, i64)>,
}

/// A text as it stands.
#[derive(Debug, Default)]
pub struct Text {
    /// Name in the JSON.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    pub text: String,
    /// Whether it is seen at once.
    pub open: bool,
}

/// A sentence.
#[derive(Debug, Default)]
pub struct Note {
    /// Name in the JSON.
    pub id: &'static str,
    /// What it says.
    pub text: String,
    /// Whether something is wrong.
    pub bad: bool,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Cell {
    /// There is none.
    #[default]
    Nothing,
    Text(String),
    /// A text of a program.
    Code(String),
    /// A text that leads somewhere.
    Link(String, String),
    /// A number that leads somewhere.
    To(i64, String),
    /// A number that names something.
    Number(i64),
    /// Several.
    Links(Vec<(String, String)>),
    /// A number of things.
    Count(i64),
    Bytes(i64),
    /// Milliseconds.
    Millis(i64),
    /// Core-milliseconds.
    Cores(i64),
    /// A moment, in milliseconds since 1970.
    Moment(i64),
    State(State),
    /// Tasks of a stage or a job.
    Tasks(Tasks),
    /// How many times the usual.
    Times(f64),
    /// More or fewer milliseconds.
    Change(i64),
    /// An amount of money: as it is shown, and to the last digit.
    Money(String, String),
    /// A number with a fraction.
    Fraction(f64),
    /// How much is used of what there is.
    Part(Part),
}

/// How much is used of what there is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    pub used: i64,
    /// There is.
    pub total: i64,
    /// Both as people read them.
    pub text: String,
}

impl Part {
    /// Whole percents, 100 at most.
    pub fn percent(&self) -> i64 {
        match self.total {
            1.. => (self.used.saturating_mul(100) / self.total).clamp(0, 100),
            _ => 0,
        }
    }
}

/// How tasks stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tasks {
    pub total: i64,
    pub done: i64,
    pub active: i64,
    pub failed: i64,
    pub killed: i64,
    pub skipped: i64,
}

impl Tasks {
    /// Whole percents that are done.
    pub fn percent(&self) -> i64 {
        match self.total - self.skipped {
            wanted @ 1.. => (self.done * 100 / wanted).clamp(0, 100),
            _ => 100,
        }
    }
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Succeeded,
    Failed,
    Killed,
    Pending,
    Skipped,
    /// It ended, and the log does not say how.
    Ended,
    Gone,
    /// Data are as their contract says.
    Holds,
    /// They were, and are older now than it allows.
    Stale,
    /// They are not.
    Broken,
    /// It cannot be known.
    Unknown,
    /// An alert that someone is notified of.
    Firing,
    /// An incident that is not over.
    Open,
}

impl State {
    /// Its name in the JSON and in the style.
    pub fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Killed => "killed",
            State::Pending => "pending",
            State::Skipped => "skipped",
            State::Ended => "ended",
            State::Gone => "gone",
            State::Holds => "holds",
            State::Stale => "stale",
            State::Broken => "broken",
            State::Unknown => "unknown",
            State::Firing => "firing",
            State::Open => "open",
        }
    }

    /// A sign beside the word, so that colour is not needed.
    pub fn sign(self) -> &'static str {
        match self {
            State::Running => "▸",
            State::Succeeded | State::Holds => "✓",
            State::Failed | State::Broken => "✕",
            State::Killed => "◼",
            State::Pending => "…",
            State::Skipped => "↷",
            State::Stale => "◷",
            State::Unknown => "?",
            State::Firing | State::Open => "!",
            State::Ended | State::Gone => "○",
        }
    }
}

impl Cell {
    /// A text, or nothing when it is empty.
    pub fn text(text: impl Into<String>) -> Cell {
        match text.into() {
            text if text.is_empty() => Cell::Nothing,
            text => Cell::Text(text),
        }
    }

    /// A moment that may not have come.
    pub fn moment(at: Option<i64>) -> Cell {
        at.filter(|at| *at >= 0).map_or(Cell::Nothing, Cell::Moment)
    }

    /// From one moment to another, where both have come.
    pub fn span(from: Option<i64>, until: Option<i64>) -> Cell {
        match (from, until) {
            (Some(from), Some(until)) => Cell::Millis(until.saturating_sub(from).max(0)),
            _ => Cell::Nothing,
        }
    }

    /// Bytes, nothing for none.
    pub fn some_bytes(bytes: i64) -> Cell {
        match bytes {
            0 => Cell::Nothing,
            bytes => Cell::Bytes(bytes),
        }
    }

    /// What the JSON says: the raw value.
    pub fn value(&self) -> Value {
        match self {
            Cell::Nothing => Value::Null,
            Cell::Text(text) | Cell::Code(text) | Cell::Link(text, _) => json!(text),
            Cell::Links(links) => links.iter().map(|(text, _)| json!(text)).collect(),
            Cell::Count(number)
            | Cell::Bytes(number)
            | Cell::Millis(number)
            | Cell::Cores(number)
            | Cell::Moment(number)
            | Cell::Change(number)
            | Cell::To(number, _)
            | Cell::Number(number) => json!(number),
            Cell::State(state) => json!(state.name()),
            Cell::Tasks(tasks) => json!({
                "total": tasks.total, "done": tasks.done, "active": tasks.active,
                "failed": tasks.failed, "killed": tasks.killed, "skipped": tasks.skipped,
            }),
            Cell::Times(number) | Cell::Fraction(number) => json!(number),
            Cell::Money(_, exact) => json!(exact),
            Cell::Part(part) => json!({"used": part.used, "total": part.total}),
        }
    }
}
