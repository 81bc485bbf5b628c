//! `stoke sql`: a statement on a Spark Connect server. Only queries, unless writing is allowed; with limits of rows, time and bytes.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use serde_json::{Value, json};
use stoke_connect::{ConnectError, Limits, Login, Remote, Rows, Session, Statement, Stop, text_of};
use stoke_insight::cost::showback::csv_field;
use stoke_laptop::interrupt::interrupted;
use stoke_laptop::session;
use stoke_model::crd::SparkConnect;
use stoke_model::names;

use crate::cli::{Context, Target};
use crate::commands::connect::ready;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, bold, table};

/// Of an answer as the server sends it.
const BYTES: usize = 64 << 20;
/// How long a server may take to be ready.
const READY: Duration = Duration::from_secs(180);
/// A cell on a terminal is cut after this.
const CELL: usize = 120;

/// Arguments of `stoke sql`.
#[derive(clap::Args)]
#[command(
    after_help = "Exit codes: 0 all went well, also when a limit of rows was reached; 1 Spark refused the statement, or it failed; 2 the \
statement is not a query or an argument is wrong; 3 the server cannot be reached; 124 --timeout; 130 interrupted."
)]
pub struct Arguments {
    /// The statement [default: standard input]
    #[arg(value_name = "STATEMENT", conflicts_with = "file")]
    statement: Option<String>,
    /// File with the statement
    #[arg(long, short = 'f', value_name = "FILE")]
    file: Option<PathBuf>,
    /// The SparkConnect to ask, through the API server
    #[arg(long, value_name = "NAME", conflicts_with = "remote")]
    server: Option<String>,
    /// The server to ask: `sc://host:port/;token=…;use_ssl=true`
    #[arg(long, value_name = "URL", env = "SPARK_REMOTE", hide_env_values = true)]
    remote: Option<String>,
    /// Rows that are taken at most
    #[arg(long, value_name = "ROWS", default_value_t = 1_000)]
    limit: u32,
    /// Seconds that the statement may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Run the statement as it is, also one that changes something
    #[arg(long)]
    allow_writes: bool,
    /// Rows as CSV, as they come
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    target: Target,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match &error {
            ConnectError::Spark { .. } | ConnectError::TooLong(_) => 1,
            ConnectError::Address(_) | ConnectError::Statement(_) => 2,
            ConnectError::Late(_) => 124,
            _ => 3,
        };
        let failure = Failure::new(error.code(), &error, exit);
        match error.fix() {
            Some(fix) => failure.fix(fix),
            None => failure,
        }
    }
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let text = text(&arguments)?;
    let statement = if arguments.allow_writes {
        Statement::writing(&text)
    } else {
        Statement::reading(&text)
    };
    let statement = statement.map_err(ConnectError::from)?;
    let limits = Limits {
        rows: arguments.limit.try_into().unwrap_or(usize::MAX),
        time: Duration::from_secs(arguments.timeout),
        bytes: BYTES,
    };
    let mut session = tokio::select! {
        opened = open(&arguments, context) => opened?,
        stopped = interrupted() => return Err(stop(stopped)),
    };
    let terminal = &mut context.terminal;
    let shown = tokio::select! {
        shown = show(&mut session, &statement, limits, arguments.csv, terminal) => shown,
        stopped = interrupted() => Err(stop(stopped)),
    };
    session.close().await;
    shown.map(|()| 0)
}

fn stop(stopped: std::io::Result<()>) -> Failure {
    match stopped {
        Ok(()) => Failure::new(
            "stoke::sql::interrupted",
            "interrupted; the statement is ended on the server too",
            130,
        ),
        Err(error) => error.into(),
    }
}

fn text(arguments: &Arguments) -> Outcome<String> {
    if let Some(file) = &arguments.file {
        return std::fs::read_to_string(file)
            .map_err(|error| Failure::input("stoke::io", format!("{}: {error}", file.display())));
    }
    match arguments.statement.as_deref() {
        Some(statement) if statement != "-" => Ok(statement.to_owned()),
        _ => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Failure::input("stoke::io", format!("standard input: {error}")))?;
            Ok(text)
        }
    }
}

async fn open(arguments: &Arguments, context: &Context) -> Outcome<Session> {
    let token = std::env::var("SPARK_CONNECT_AUTHENTICATE_TOKEN")
        .ok()
        .filter(|token| !token.is_empty());
    // A server that is named is meant, also where a program before it has set SPARK_REMOTE.
    if let Some(name) = &arguments.server {
        let session = session::open(&context.home, &arguments.target.cluster()).await?;
        let connects: Api<SparkConnect> = Api::namespaced(session.client.clone(), &session.namespace);
        let port = ready(&connects, name, &session.namespace, READY).await?;
        let pods: Api<Pod> = Api::namespaced(session.client.clone(), &session.namespace);
        let mut forwarder = pods.portforward(&names::connect_server(name), &[port]).await?;
        let stream = forwarder
            .take_stream(port)
            .ok_or_else(|| Failure::environment("stoke::sql::unreachable", "the API server forwards nothing"))?;
        let mut login = Login::user(std::env::var("USER").unwrap_or_else(|_| "stoke".to_owned()));
        login.token = token;
        return Ok(Session::open(stream, &login).await?);
    }
    let Some(remote) = &arguments.remote else {
        return Err(Failure::input("stoke::sql::server", "which server to ask is not said")
            .fix("name a SparkConnect with --server, or an address with --remote sc://host:port"));
    };
    let mut remote: Remote = remote.parse().map_err(ConnectError::from)?;
    if remote.login.token.is_none() && (remote.tls || remote.is_local()) {
        remote.login.token = token;
    }
    Ok(Session::connect(&remote).await?)
}

async fn show(
    session: &mut Session,
    statement: &Statement,
    limits: Limits,
    csv: bool,
    terminal: &mut Terminal,
) -> Outcome<()> {
    let mut rows = session.run(statement, limits).await?;
    if csv {
        write_csv(&mut rows, terminal).await?;
    } else {
        let mut all = Vec::new();
        while let Some(more) = rows.next().await? {
            all.extend(more);
        }
        match terminal.format() {
            Format::Json => terminal.json(&as_json(&rows, all)),
            Format::Text => write_table(&rows, &all, terminal),
        }
    }
    match rows.stop() {
        Some(Stop::Rows) => terminal.note(format!("there are more than {} rows; --limit takes more", limits.rows)),
        Some(Stop::Bytes) => terminal.note(format!("there are more rows than fit into {} MiB", limits.bytes >> 20)),
        None => {}
    }
    Ok(())
}

fn as_json(rows: &Rows<'_>, all: Vec<Vec<Value>>) -> Value {
    let columns: Vec<_> = rows
        .columns()
        .iter()
        .map(|column| json!({"name": column.name, "type": column.kind}))
        .collect();
    let stopped = rows.stop().map(|stop| match stop {
        Stop::Rows => "rows",
        Stop::Bytes => "bytes",
    });
    let rows: Vec<_> = all.into_iter().map(Value::Array).collect();
    json!({"columns": columns, "rows": rows, "stopped": stopped})
}

fn write_table(rows: &Rows<'_>, all: &[Vec<Value>], terminal: &mut Terminal) {
    if rows.columns().is_empty() {
        terminal.note("done; the statement has no result");
        return;
    }
    // One value is shown whole: a plan, the text of a view.
    if let ([column], [row]) = (rows.columns(), all) {
        terminal.out(bold(plain(&column.name)));
        let value = row.first().map(text_of).unwrap_or_default();
        let hidden = |c: char| if c.is_control() && c != '\n' { '·' } else { c };
        terminal.out(value.trim_end().chars().map(hidden).collect::<String>());
        terminal.note("1 row");
        return;
    }
    let head = rows.columns().iter().map(|column| plain(&column.name)).collect();
    let cells = |row: &Vec<Value>| row.iter().map(|value| plain(&text_of(value))).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(all.iter().map(cells)).collect();
    let lines = table(&lines);
    if let Some((head, rest)) = lines.split_first() {
        terminal.out(bold(head));
        if !rest.is_empty() {
            terminal.out(rest.join("\n"));
        }
    }
    terminal.note(match all.len() {
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    });
}

/// A cell in one line: what is not shown as itself (line ends, codes of a terminal) is shown as a dot, and a long one is cut.
fn plain(text: &str) -> String {
    let mut cell: String = text
        .chars()
        .take(CELL)
        .map(|c| if c.is_control() { '·' } else { c })
        .collect();
    if text.chars().nth(CELL).is_some() {
        cell.push('…');
    }
    cell
}

/// Values as they are, and nothing where there is none.
async fn write_csv(rows: &mut Rows<'_>, terminal: &mut Terminal) -> Outcome<()> {
    let mut headed = false;
    loop {
        let more = rows.next().await?;
        let mut lines = Vec::new();
        if !headed && !rows.columns().is_empty() {
            headed = true;
            lines.push(csv_line(rows.columns().iter().map(|column| column.name.clone())));
        }
        let of = |value: &Value| if value.is_null() { String::new() } else { text_of(value) };
        lines.extend(more.iter().flatten().map(|row| csv_line(row.iter().map(of))));
        if !lines.is_empty() {
            terminal.out(lines.join("\n"));
        }
        if more.is_none() {
            return Ok(());
        }
    }
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<_> = cells.map(|cell| csv_field(&cell)).collect();
    cells.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_one_line_without_codes_of_a_terminal() {
        assert_eq!(plain("a\nb\u{1b}[31m"), "a·b·[31m");
        assert_eq!(plain(&"x".repeat(500)).chars().count(), CELL + 1);
        assert_eq!(
            csv_line(["a,b", "", "c\"d"].map(str::to_owned).into_iter()),
            "\"a,b\",,\"c\"\"d\""
        );
    }
}
