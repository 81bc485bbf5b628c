//! `stoke trace`: a run as OpenTelemetry spans, to any receiver of OTLP; and the arguments of commands that send each run that ends.

use serde_json::json;
use stoke_insight::trace;
use stoke_laptop::traces::{Receiver, Untaken};
use stoke_model::units::people::counted;

use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::run_source::RunSource;
use crate::terminal::Format;

/// Arguments of `stoke trace`.
#[derive(clap::Args)]
#[command(after_help = "\
Sent again, a run gives the same spans with the same ids. docs/reference/trace.md says what is in them.")]
pub struct Arguments {
    #[command(flatten)]
    asked: RunSource,
    /// Base address of the receiver, for example http://collector:4318
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp: String,
    /// Headers of the requests, name=value with commas between, values percent-encoded
    #[arg(
        long,
        value_name = "HEADERS",
        env = "OTEL_EXPORTER_OTLP_HEADERS",
        hide_env_values = true,
        default_value = ""
    )]
    headers: String,
    #[command(flatten)]
    target: Target,
}

/// Where the traces of runs that end are sent, of commands that look at event logs as long as they run.
#[derive(clap::Args)]
pub struct SendTraces {
    /// Send the trace of each run that ends to this receiver of OTLP, for example http://collector:4318
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
    /// Headers of the requests, name=value with commas between, values percent-encoded
    #[arg(
        long,
        value_name = "HEADERS",
        env = HEADERS,
        hide_env_values = true,
        default_value = ""
    )]
    otlp_headers: String,
}

/// Variable with the headers, as OpenTelemetry names it.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

impl SendTraces {
    /// The receiver, where one is named.
    ///
    /// # Errors
    /// What is not an address, or not a list of headers.
    pub fn receiver(&self) -> Outcome<Option<Receiver>> {
        let receiver = self.otlp.as_deref().map(|base| Receiver::new(base, &self.otlp_headers));
        Ok(receiver.transpose()?)
    }

    /// The same for a command: the address as an argument, headers where no list of processes shows them.
    pub fn again(&self, command: &mut tokio::process::Command) {
        if let Some(otlp) = &self.otlp {
            command.arg("--otlp").arg(otlp).env(HEADERS, &self.otlp_headers);
        }
    }
}

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let receiver = Receiver::new(&arguments.otlp, &arguments.headers)?;
    let url = receiver.url();
    let known = arguments.asked.known(&arguments.target, context).await?;
    let trace = trace::of(known.run()?, known.facts.cluster.as_ref());
    let terminal = &mut context.terminal;
    let begins = |number, all| terminal.status(format!("sending spans: request {number} of {all}"));
    let taken = receiver.send(&trace, begins).await.map_err(|untaken| match untaken {
        Untaken::Refused(why) => Failure::environment("stoke::trace::refused", format!("{url}: {why}")),
        Untaken::Later(why) => Failure::environment("stoke::trace::unreachable", format!("{url}: {why}"))
            .fix("check that a receiver of OTLP over HTTP listens there (the collector's port is 4318)"),
    })?;
    let (spans, rejected) = (taken.spans, taken.rejected);
    for said in &taken.said {
        context.terminal.note(format!("the receiver says: {said}"));
    }
    context.terminal.end_status();
    match context.terminal.format() {
        Format::Json => context.terminal.json(&json!({
            "traceId": trace.id, "spans": spans, "rejected": rejected, "tasks": trace.tasks.0, "tasksSent": trace.tasks.1, "url": url,
        })),
        Format::Text => context.terminal.out(format!(
            "trace {} with {} sent to {url} (spans of {} of {})",
            trace.id,
            counted(spans, "span"),
            trace.tasks.1,
            counted(trace.tasks.0, "task")
        )),
    }
    if rejected > 0 {
        return Err(Failure::environment(
            "stoke::trace::rejected",
            format!("the receiver refused {rejected} of {}", counted(spans, "span")),
        ));
    }
    Ok(0)
}
