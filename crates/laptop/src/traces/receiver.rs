//! A receiver of OTLP over HTTP.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use stoke_insight::trace::Trace;
use stoke_insight::trace::encode::{self, CONTENT_TYPE, MOST_BYTES};
use stoke_insight::trace::exchange::{self, Answer, BadTarget};
use stoke_storage::HttpClient;

use crate::error::{LaptopError, Outcome};

/// Times a request is sent before it is given up.
const TRIES: u32 = 5;
/// The first pause between tries; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(30);

/// Where traces go.
#[derive(Debug, Clone)]
pub struct Receiver {
    client: HttpClient,
    url: String,
    headers: Vec<(String, String)>,
}

/// A trace the receiver took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Spans that were sent.
    pub spans: usize,
    /// How many of them it refused.
    pub rejected: u64,
    /// What it says all the same, once for each request about which it says something.
    pub said: Vec<String>,
}

/// Why a trace was not taken; its first requests may have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untaken {
    /// Refused for good: sending it again is of no use.
    Refused(String),
    /// It may be taken later: no one answers, or the receiver asks for a pause.
    Later(String),
}

impl Receiver {
    /// A receiver by its base address, and headers as `OTEL_EXPORTER_OTLP_HEADERS` has them.
    ///
    /// # Errors
    /// What is not an address or not a list of headers; a TLS library that refuses its settings.
    pub fn new(base: &str, headers: &str) -> Outcome<Self> {
        let bad = |error: BadTarget| LaptopError::input(error.code(), error);
        let url = exchange::endpoint(base).map_err(bad)?;
        let headers = exchange::headers(headers).map_err(bad)?;
        let client = stoke_storage::https().map_err(|error| LaptopError::environment("stoke::trace::client", error))?;
        Request::post(&url)
            .body(())
            .map_err(|error| LaptopError::input("stoke::trace::request", format!("{url}: {error}")))?;
        Ok(Self { client, url, headers })
    }

    /// The address requests go to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a trace. `begins` is called before each request, with its number from 1 and how many there are.
    ///
    /// # Errors
    /// [`Untaken`]: the first request that is not taken ends it.
    pub async fn send(&self, trace: &Trace, mut begins: impl FnMut(usize, usize)) -> Result<Taken, Untaken> {
        let requests = encode::requests(trace, MOST_BYTES);
        let mut taken = Taken {
            spans: trace.resources.iter().map(|resource| resource.spans.len()).sum(),
            rejected: 0,
            said: Vec::new(),
        };
        for (number, body) in requests.iter().enumerate() {
            begins(number + 1, requests.len());
            let (rejected, said) = self.request(body).await?;
            taken.rejected += rejected;
            taken.said.extend(said);
        }
        Ok(taken)
    }

    /// Sends a request, again where it may be taken later. Gives how many spans were refused, and what the receiver said.
    async fn request(&self, body: &[u8]) -> Result<(u64, Option<String>), Untaken> {
        let mut pause = PAUSE;
        let mut last = String::new();
        for left in (0..TRIES).rev() {
            let wait = match self.once(body).await? {
                Ok(Answer::Accepted { warning }) => return Ok((0, warning)),
                Ok(Answer::Partial { rejected, message }) => return Ok((rejected, Some(message))),
                Ok(Answer::Refused { message }) => return Err(Untaken::Refused(message)),
                Ok(Answer::Retry { after, message }) => {
                    last = message;
                    after.map_or(pause, Duration::from_secs).min(LONGEST)
                }
                Err(unanswered) => {
                    last = unanswered;
                    pause
                }
            };
            if left > 0 {
                tokio::time::sleep(wait).await;
                pause *= 2;
            }
        }
        Err(Untaken::Later(format!("not taken after {TRIES} tries: {last}")))
    }

    /// One try: an answer, or why there is none.
    async fn once(&self, body: &[u8]) -> Result<Result<Answer, String>, Untaken> {
        let mut request = Request::post(&self.url).header("content-type", CONTENT_TYPE);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(body.to_vec().into())
            .map_err(|error| Untaken::Refused(format!("the request cannot be made: {error}")))?;
        let response = match self.client.execute(request).await {
            Ok(response) => response,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after");
        let after = after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok(Ok(exchange::answer(status, after.as_deref(), &body)))
    }
}
