//! `stoke trace`: a run as OpenTelemetry spans, to any receiver of OTLP.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use stoke_insight::trace::exchange::{self, Answer, BadTarget};
use stoke_insight::trace::{self, encode};
use stoke_model::units::people::counted;
use stoke_storage::HttpClient;

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

/// Bytes of a request: what receivers take by default is 4 MiB and more.
const REQUEST: usize = 1 << 20;
/// Times a request is sent before it is given up.
const TRIES: u32 = 5;
/// The first pause between tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(30);

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    let bad = |error: BadTarget| Failure::input(error.code(), error);
    let url = exchange::endpoint(&arguments.otlp).map_err(bad)?;
    let headers = exchange::headers(&arguments.headers).map_err(bad)?;
    let known = arguments.asked.known(&arguments.target, context).await?;
    let trace = trace::of(known.run()?, known.facts.cluster.as_ref());
    let spans: usize = trace.resources.iter().map(|resource| resource.spans.len()).sum();
    let client = stoke_storage::https().map_err(|error| Failure::environment("stoke::trace::client", error))?;
    let requests = encode::requests(&trace, REQUEST);
    let mut rejected = 0;
    for (number, body) in requests.iter().enumerate() {
        context
            .terminal
            .status(format!("sending spans: request {} of {}", number + 1, requests.len()));
        let (refused, said) = send(&client, &url, &headers, body).await?;
        rejected += refused;
        if let Some(said) = said {
            context.terminal.note(format!("the receiver says: {said}"));
        }
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

/// Sends a request, again where the receiver may take it later. Gives how many spans were refused, and what the receiver said.
async fn send(
    client: &HttpClient,
    url: &str,
    headers: &[(String, String)],
    body: &[u8],
) -> Outcome<(u64, Option<String>)> {
    let mut pause = PAUSE;
    let mut last = String::new();
    for _ in 0..TRIES {
        let mut request = Request::post(url).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request
            .body(body.to_vec().into())
            .map_err(|error| Failure::input("stoke::trace::request", format!("{url}: {error}")))?;
        let wait = match client.execute(request).await {
            Err(error) => {
                last = error.to_string();
                pause
            }
            Ok(response) => {
                let status = response.status().as_u16();
                let after = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok())
                    .map(str::to_owned);
                let body = response.into_body().collect().await;
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                match exchange::answer(status, after.as_deref(), &body) {
                    Answer::Accepted { warning } => return Ok((0, warning)),
                    Answer::Partial { rejected, message } => return Ok((rejected, Some(message))),
                    Answer::Refused { message } => {
                        return Err(Failure::environment(
                            "stoke::trace::refused",
                            format!("{url}: {message}"),
                        ));
                    }
                    Answer::Retry { after, message } => {
                        last = message;
                        after.map_or(pause, Duration::from_secs).min(LONGEST)
                    }
                }
            }
        };
        tokio::time::sleep(wait).await;
        pause *= 2;
    }
    Err(Failure::environment(
        "stoke::trace::unreachable",
        format!("{url}: not taken after {TRIES} tries: {last}"),
    )
    .fix("check that a receiver of OTLP over HTTP listens there (the collector's port is 4318)"))
}
