//! `stoke advisories`: the database in which `stoke check` looks known vulnerabilities up.

use std::io::Write;
use std::path::{Path, PathBuf};

use http_body_util::BodyExt;
use serde_json::json;
use stoke_advisories::database::FILE;
use stoke_advisories::{About, Database, DatabaseError, GatherError, Gathered, database};
use stoke_laptop::home::Home;
use stoke_model::units::people::counted;
use stoke_storage::HttpRequestBody;

use crate::cli::Context;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, Terminal, table};

/// Where osv.dev publishes what is looked up.
const PUBLISHED: [&str; 2] = [
    "https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip",
    "https://osv-vulnerabilities.storage.googleapis.com/Maven/all.zip",
];
/// Largest archive that is fetched, in bytes; those of 2026 have some ten million.
const MOST_BYTES: u64 = 2 << 30;

/// What can be done with advisories.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Make the database again, from what osv.dev publishes or from files
    Update(Arguments),
    /// Tell what is in the database
    Status {
        /// Directory of the database [default: `advisories` in the home]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Arguments of `stoke advisories update`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Advisories in the OSV schema: a .json file, a directory of them, a .zip archive or its address; again for more [default: what osv.dev publishes for PyPI and Maven]
    #[arg(long, value_name = "FILE|DIR|URL")]
    from: Vec<String>,
    /// Directory of the database [default: `advisories` in the home]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The directory of the database, unless another one is named.
pub fn directory(home: &Home) -> PathBuf {
    home.root().join("advisories")
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    let terminal = &mut context.terminal;
    match command {
        Command::Update(arguments) => {
            let directory = arguments.dir.unwrap_or_else(|| directory(&context.home));
            let about = update(arguments.from, &directory, terminal).await?;
            show(&about, &directory, terminal);
        }
        Command::Status { dir } => {
            let directory = dir.unwrap_or_else(|| directory(&context.home));
            let database = Database::open(&directory).map_err(unusable)?;
            show(database.about(), &directory, terminal);
        }
    }
    Ok(0)
}

async fn update(mut from: Vec<String>, directory: &Path, terminal: &mut Terminal) -> Outcome<About> {
    if from.is_empty() {
        from = PUBLISHED.map(str::to_owned).to_vec();
    }
    let mut gathered = Gathered::default();
    for source in &from {
        let fetched = match is_address(source) {
            true => Some(fetch(source, directory, terminal).await?),
            false => None,
        };
        let path = fetched.as_deref().unwrap_or(Path::new(source));
        let read = gathered.add(source, path, &mut |count| {
            terminal.status(format!("{source}: {}", counted(count, "advisory")))
        });
        terminal.end_status();
        if let Some(file) = &fetched {
            let _ = std::fs::remove_file(file);
        }
        read.map_err(refused)?;
    }
    terminal.status("writing the database");
    let about = database::write(directory, &gathered, jiff::Timestamp::now()).map_err(unusable);
    terminal.end_status();
    about
}

fn is_address(source: &str) -> bool {
    source.starts_with("https://") || source.starts_with("http://")
}

/// Fetches an address into a file of the directory.
async fn fetch(address: &str, directory: &Path, terminal: &mut Terminal) -> Outcome<PathBuf> {
    let failed = |cause: String| {
        Failure::environment("stoke::advisories::fetch", format!("{address}: {cause}"))
            .fix("check the address and the network; where there is none, fetch the file elsewhere and name it: `stoke advisories update --from FILE`")
    };
    let request = http::Request::get(address)
        .body(HttpRequestBody::empty())
        .map_err(|error| failed(error.to_string()))?;
    let client = stoke_storage::https().map_err(|error| failed(error.to_string()))?;
    let answer = client.execute(request).await.map_err(|error| failed(causes(&error)))?;
    if !answer.status().is_success() {
        return Err(failed(format!("the server answered {}", answer.status())));
    }
    let announced = answer.headers().get(http::header::CONTENT_LENGTH);
    let announced: Option<u64> = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    std::fs::create_dir_all(directory)?;
    let file = directory.join(format!("fetched.{}.part", std::process::id()));
    let written = async {
        let mut out = std::fs::File::create(&file).map_err(|error| error.to_string())?;
        let mut body = answer.into_body();
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| format!("it broke off: {}", causes(&error)))?;
            if let Some(bytes) = frame.data_ref() {
                out.write_all(bytes).map_err(|error| error.to_string())?;
                size += bytes.len() as u64;
                if size > MOST_BYTES {
                    return Err(format!("it has more than {MOST_BYTES} bytes"));
                }
                let of = announced.map_or(String::new(), |all| format!(" of {:.1}", megabytes(all)));
                terminal.status(format!("{address}: {:.1}{of} MB", megabytes(size)));
            }
        }
        match announced.filter(|announced| *announced != size) {
            Some(announced) => Err(format!("it broke off after {size} of {announced} bytes")),
            None => Ok(()),
        }
    }
    .await;
    terminal.end_status();
    match written {
        Ok(()) => Ok(file),
        Err(cause) => {
            let _ = std::fs::remove_file(&file);
            Err(failed(cause))
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// An error with what is behind it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

fn show(about: &About, directory: &Path, terminal: &mut Terminal) {
    let file = directory.join(FILE);
    let size = std::fs::metadata(&file).map_or(0, |metadata| metadata.len());
    match terminal.format() {
        Format::Json => terminal.json(&json!({ "file": file, "bytes": size, "about": about })),
        Format::Text => {
            let mut rows = vec![
                ["ECOSYSTEM", "ADVISORIES", "PACKAGES", "NEWEST"]
                    .map(String::from)
                    .to_vec(),
            ];
            rows.extend(about.ecosystems.iter().map(|(name, covered)| {
                vec![
                    name.clone(),
                    covered.advisories.to_string(),
                    covered.packages.to_string(),
                    covered.newest.strftime("%Y-%m-%d").to_string(),
                ]
            }));
            for line in table(&rows) {
                terminal.out(line);
            }
            terminal.note(format!(
                "{} ({:.1} MB), made {} from {}",
                file.display(),
                megabytes(size),
                about.written.strftime("%Y-%m-%d"),
                about.sources.join(", ")
            ));
        }
    }
}

fn refused(error: GatherError) -> Failure {
    let fix = match &error {
        GatherError::Unreadable { .. } | GatherError::Unknown { .. } => {
            "name a file or directory of advisories in the OSV schema, or an archive as osv.dev publishes it"
        }
        GatherError::NoAdvisory { .. } => {
            "fetch it again; the database is as it was, since one with holes would let things pass"
        }
        GatherError::Nothing { .. } => "name advisories of PyPI or Maven",
    };
    Failure::input("stoke::advisories::source", error).fix(fix)
}

fn unusable(error: DatabaseError) -> Failure {
    let fix = match &error {
        DatabaseError::Unreadable { .. } => "name a directory that can be read and written with --dir",
        _ => "`stoke advisories update` makes it again",
    };
    Failure::environment("stoke::advisories::database", error).fix(fix)
}
