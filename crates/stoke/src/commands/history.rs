//! `stoke history`: the applications of a place with event logs as pages and as Spark's status API, and the end of old logs.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stoke_eventlog::Source;
use stoke_history::cache::Cache;
use stoke_history::index::{Index, Settings};
use stoke_history::model::Limits;
use stoke_history::rest::Library;
use stoke_history::retention::{self, Deletion, Rules, Why};
use stoke_laptop::event_logs;
use stoke_laptop::home::Home;
use stoke_laptop::traces::{Follower, Receiver};
use stoke_model::units::people::counted;
use stoke_web::Access;
use stoke_web::observed::Board;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::cli::Context;
use crate::commands::pages::PageSources;
use crate::commands::trace::SendTraces;
use crate::commands::watched::watched;
use crate::failure::{Failure, Outcome};
use crate::terminal::{Format, table};

/// What can be done with history.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Serve pages and Spark's status API, `/api/v1`, from event logs
    Serve(Box<Serve>),
    /// Delete old event logs; without --yes it only shows which
    Clean(Clean),
}

/// Arguments of `stoke history serve`.
#[derive(clap::Args)]
pub struct Serve {
    /// Where the event logs are: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…` (with the variables of that cloud)
    #[arg(long, value_name = "PLACE")]
    dir: String,
    /// Address to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:18080")]
    listen: SocketAddr,
    /// Name in an address besides this machine's, for example of an ingress; can be given again
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// What stands before every path behind a proxy, for example /spark
    #[arg(long, value_name = "PATH", default_value = "", value_parser = base_path)]
    base_path: String,
    #[command(flatten)]
    pages: PageSources,
    #[command(flatten)]
    traces: SendTraces,
    /// How often to look for new and growing logs
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = span)]
    interval: Duration,
    /// Memory that loaded applications may take, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory: usize,
    /// Where to keep what was found out of logs [default: `history` in Stoke's home]
    #[arg(long, value_name = "DIRECTORY")]
    cache: Option<PathBuf>,
    /// Keep nothing between runs
    #[arg(long, conflicts_with = "cache")]
    no_cache: bool,
    /// Spark to answer as: its version, its fields and its orders [default: the newest Spark that wrote one of the logs]
    #[arg(long, value_name = "VERSION")]
    answer_as: Option<String>,
    /// Jobs kept of an application, as spark.ui.retainedJobs
    #[arg(long, value_name = "N", default_value_t = Limits::default().jobs)]
    retained_jobs: usize,
    /// Stage attempts kept of an application, as spark.ui.retainedStages
    #[arg(long, value_name = "N", default_value_t = Limits::default().stages)]
    retained_stages: usize,
    /// Tasks kept of a stage attempt, as spark.ui.retainedTasks
    #[arg(long, value_name = "N", default_value_t = Limits::default().tasks)]
    retained_tasks: usize,
    /// Executors kept that are gone, as spark.ui.retainedDeadExecutors
    #[arg(long, value_name = "N", default_value_t = Limits::default().dead_executors)]
    retained_dead_executors: usize,
    /// SQL executions kept of an application, as spark.sql.ui.retainedExecutions
    #[arg(long, value_name = "N", default_value_t = Limits::default().executions)]
    retained_executions: usize,
}

/// Arguments of `stoke history clean`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("rule").required(true).multiple(true))]
pub struct Clean {
    /// Where the event logs are: a directory, `file:///directory`, `s3://…`, `gs://…` or `abfss://…` (with the variables of that cloud)
    #[arg(long, value_name = "PLACE")]
    dir: String,
    /// Delete logs that were not changed for so long, for example 7d
    #[arg(long, value_name = "DURATION", value_parser = span, group = "rule")]
    older_than: Option<Duration>,
    /// Keep the logs of this many ended applications, those changed last
    #[arg(long, value_name = "N", group = "rule")]
    keep: Option<usize>,
    /// Delete them
    #[arg(long)]
    yes: bool,
}

/// `5s`, `10m`, `12h` or `7d`.
pub fn span(text: &str) -> Result<Duration, String> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("a duration is a number and s, m, h or d, for example 7d".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "that is too long".to_owned())
}

/// `/spark`, or nothing.
pub fn base_path(text: &str) -> Result<String, String> {
    let path = stoke_web::guard::prefix(text).ok_or("a path is /part/part of letters, digits and - _ . ~")?;
    Ok(path.to_owned())
}

/// Runs the command.
pub async fn run(command: Command, context: &mut Context) -> Outcome<u8> {
    match command {
        Command::Serve(arguments) => serve_history(*arguments, context).await,
        Command::Clean(arguments) => clean(arguments, context).await,
    }
}

fn failed(error: stoke_storage::StorageError) -> Failure {
    Failure::environment(error.code(), error)
}

/// Does what blocks outside the threads that serve.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::environment("stoke::history::ended", error))
}

/// A directory of the cache for a place: places do not share what was found out.
fn cache_of(root: &Path, place: &str) -> PathBuf {
    use sha2::{Digest, Sha256};
    let name: String = Sha256::digest(place)
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    root.join(name)
}

async fn serve_history(arguments: Serve, context: &mut Context) -> Outcome<u8> {
    let prices = arguments.pages.prices()?;
    let receiver = arguments.traces.receiver()?;
    let quality = arguments.pages.quality(&context.home, None).await?;
    let source = event_logs::source(&arguments.dir, &context.home).await?;
    let watching = arguments.pages.watching(Some(source.clone()), &mut context.terminal)?;
    let root = arguments.cache.unwrap_or_else(|| context.home.root().join("history"));
    let kept = (!arguments.no_cache).then(|| cache_of(&root, &source.place()));
    let cache = match kept.clone() {
        None => None,
        Some(kept) => Some(Cache::open(kept).map_err(|error| {
            Failure::environment("stoke::history::cache", format!("{}: {error}", root.display()))
                .fix("name another directory with --cache, or keep nothing with --no-cache")
        })?),
    };
    let settings = Settings {
        limits: Limits {
            jobs: arguments.retained_jobs,
            stages: arguments.retained_stages,
            tasks: arguments.retained_tasks,
            dead_executors: arguments.retained_dead_executors,
            executions: arguments.retained_executions,
        },
        memory: arguments.memory << 20,
        answer_as: arguments.answer_as,
        ..Settings::default()
    };
    let index = Arc::new(Index::new(source, settings, cache));
    let first = index.clone();
    let scan = blocking(move || first.scan()).await?.map_err(failed)?;
    for why in &scan.unreadable {
        context.terminal.note(why);
    }
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::environment("stoke::history::listen", format!("{}: {error}", arguments.listen))
            .fix("name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let applications = index.listed().len();
    let settings = stoke_web::Settings {
        hosts: arguments.hosts,
        base_path: arguments.base_path,
        local: address.ip().is_loopback(),
        prices,
        quality,
        watched: watching.board.clone(),
        access: None,
    };
    match context.terminal.format() {
        Format::Text => context.terminal.out(format!(
            "{} of {} at http://{address}{}/ (status API: /api/v1)",
            counted(applications, "application"),
            index.source().place(),
            settings.base_path
        )),
        Format::Json => context
            .terminal
            .json(&json!({"address": address.to_string(), "applications": applications})),
    }
    let following = follow(&index, receiver, kept.as_deref(), arguments.interval);
    tokio::select! {
        () = following => {}
        ended = stoke_web::serve(index, settings, listener, arguments.interval) => ended?,
        () = watched(watching) => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(0)
}

/// Sends the trace of each run that ends, for ever; does nothing for ever where there is no receiver. What was sent is remembered in `kept`.
fn follow(
    index: &Arc<Index>,
    receiver: Option<Receiver>,
    kept: Option<&Path>,
    every: Duration,
) -> impl Future<Output = ()> + Send + use<> {
    let follower = receiver.map(|receiver| {
        let record = kept.map(|kept| Follower::file(kept, &receiver));
        Follower::new(index.clone(), receiver, record, every)
    });
    async move {
        match follower {
            Some(follower) => follower.run().await,
            None => std::future::pending().await,
        }
    }
}

/// The console of an embedded cluster, with the history of this machine's applications.
pub struct Beside {
    /// Where it is served.
    pub address: SocketAddr,
    /// The address that lets the owner in.
    pub link: String,
    serving: JoinHandle<()>,
}

/// Beside a cluster: not the port of Spark's own History Server, which could not start on all addresses while someone has it.
const PORT: u16 = 26_080;
/// How often event logs of this machine are looked at.
const OFTEN: Duration = Duration::from_secs(2);

impl Beside {
    /// Serves the event logs of this machine at its own address, at [`PORT`] or, when something is there already,
    /// at any free one.
    pub async fn start(
        home: &Home,
        pages: &PageSources,
        watched: Arc<Board>,
        receiver: Option<Receiver>,
        client: kube::Client,
    ) -> Outcome<Beside> {
        let source = Source::directory(event_logs::directory(home));
        let prices = pages.prices()?;
        let quality = pages.quality(home, Some(&home.quality())).await?;
        let kept = cache_of(&home.root().join("history"), &source.place());
        let cache = Cache::open(kept.clone())?;
        let index = Arc::new(Index::new(source, Settings::default(), Some(cache)));
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = match TcpListener::bind(local(PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(local(0)).await?,
        };
        let address = listener.local_addr()?;
        // The status API answers everyone on this machine, as ever; pages are for who has the link.
        let access = Access::by_link(client, Vec::new(), "stoke up", address.port()).with_open_api();
        let link = format!("http://{address}{}", access.link().unwrap_or_default());
        let serving = tokio::spawn(async move {
            let first = index.clone();
            let scanned = blocking(move || first.scan().map(drop)).await;
            if let Ok(Err(error)) = scanned {
                tracing::warn!(%error, "event logs");
            }
            let settings = stoke_web::Settings {
                local: true,
                prices,
                quality,
                watched,
                access: Some(Arc::new(access)),
                ..stoke_web::Settings::default()
            };
            let following = follow(&index, receiver, Some(&kept), OFTEN);
            let served = tokio::select! {
                () = following => Ok(()),
                served = stoke_web::serve(index, settings, listener, OFTEN) => served,
            };
            if let Err(error) = served {
                tracing::warn!(%error, "history is not served any more");
            }
        });
        Ok(Beside { address, link, serving })
    }

    /// Ends it.
    pub fn stop(self) {
        self.serving.abort();
    }
}

async fn clean(arguments: Clean, context: &mut Context) -> Outcome<u8> {
    let rules = Rules {
        older_than: arguments
            .older_than
            .map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        at_most: arguments.keep,
    };
    let index = Arc::new(Index::new(
        event_logs::source(&arguments.dir, &context.home).await?,
        Settings::default(),
        None,
    ));
    let looked = index.clone();
    let plan = blocking(move || {
        looked
            .scan()
            .map(|_| retention::plan(&looked.logs(), rules, looked.now()))
    })
    .await?;
    let plan = plan.map_err(failed)?;
    if !arguments.yes {
        show(&plan, false, context);
        return Ok(0);
    }
    // What is told as deleted is gone, also when a later one cannot be deleted.
    let (plan, result) = blocking(move || {
        let mut gone = Vec::with_capacity(plan.len());
        for one in plan {
            if let Err(error) = retention::delete(index.source(), std::slice::from_ref(&one)) {
                return (gone, Err(error));
            }
            gone.push(one);
        }
        (gone, Ok(()))
    })
    .await?;
    show(&plan, true, context);
    result.map_err(failed)?;
    Ok(0)
}

fn show(plan: &[Deletion], deleted: bool, context: &mut Context) {
    let why = |one: &Deletion| match one.why {
        Why::Old => "old",
        Why::TooMany => "too many",
    };
    let bytes: u64 = plan.iter().map(|one| one.bytes).sum();
    if context.terminal.format() == Format::Json {
        let logs: Vec<_> = plan
            .iter()
            .map(|one| json!({"log": one.log, "bytes": one.bytes, "modified": one.modified, "why": why(one)}))
            .collect();
        return context
            .terminal
            .json(&json!({"deleted": deleted, "bytes": bytes, "logs": logs}));
    }
    let rows: Vec<Vec<String>> = plan
        .iter()
        .map(|one| vec![one.log.clone(), counted(one.bytes, "byte"), why(one).to_owned()])
        .collect();
    for line in table(&rows) {
        context.terminal.out(line);
    }
    let what = if deleted {
        "deleted"
    } else {
        "would go; --yes deletes them"
    };
    context.terminal.out(format!(
        "{}, {}: {what}",
        counted(plan.len(), "log"),
        counted(bytes, "byte")
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(span("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("7d"), Ok(Duration::from_secs(604_800)));
        for wrong in [
            "",
            "7",
            "d",
            "1w",
            "-1d",
            "99999999999999999999d",
            "9999999999999999999d",
        ] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn base_paths() {
        assert_eq!(base_path("/spark/"), Ok("/spark".to_owned()));
        assert!(base_path("spark").is_err() && base_path("/a\"b").is_err());
    }

    #[test]
    fn places_do_not_share_a_cache() {
        let root = Path::new("/c");
        assert_ne!(cache_of(root, "file:///a"), cache_of(root, "file:///b"));
        assert_eq!(cache_of(root, "file:///a"), cache_of(root, "file:///a"));
    }
}
