//! Logs of Spark's pods on their way from each node to a receiver of OpenTelemetry's logs: Loki, or any other.
//!
//! In: [`Settings`](super::Settings) and [`Logs`]. Out: a configuration of the OpenTelemetry Collector, and the objects that run it on every node.
//! - [`lines`]: lines become records: stack traces stay whole, levels are read, secrets go
//! - [`collector`]: the configuration
//! - [`objects`]: the DaemonSet and its rights
//!
//! What a record says of its run comes from the labels of its pod, so nothing is asked of applications.

pub mod collector;
pub mod lines;
mod objects;

pub use objects::objects;

/// The collector's image. Another needs these components: `file_log`, `k8s_attributes`, `transform`, `memory_limiter`, `otlp_http`, `file_storage`.
pub const IMAGE: &str = "otel/opentelemetry-collector-contrib:0.160.0";

/// What takes the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Loki 3 or newer. Its labels are few; all else is structured metadata.
    Loki,
    /// Any receiver of OTLP over HTTP: another collector, or a store that speaks it.
    Otlp,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    pub kind: Kind,
    /// Base address: of Loki, or of the receiver (`/v1/logs` is added).
    pub url: String,
    /// Loki's tenant, the header `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Secret whose key `authorization` is the header `Authorization`.
    pub secret: Option<String>,
    pub image: String,
}

impl Logs {
    /// `loki=http://loki:3100` or `otlp=http://collector:4318`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}: write loki=http://HOST:3100 or otlp=http://HOST:4318");
        let (kind, url) = text
            .split_once('=')
            .ok_or_else(|| wrong("it does not say what takes the logs"))?;
        let kind = match kind {
            "loki" => Kind::Loki,
            "otlp" => Kind::Otlp,
            other => return Err(wrong(&format!("logs are not sent to {other:?}"))),
        };
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let host = host.ok_or_else(|| wrong(&format!("{url:?} is not an address of HTTP")))?;
        if host.is_empty()
            || host.starts_with('/')
            || url.contains(|sign: char| sign.is_whitespace() || "?#$".contains(sign))
        {
            return Err(wrong(&format!("{url:?} is not the address of a receiver")));
        }
        if host.split('/').next().is_some_and(|host| host.contains('@')) {
            return Err("a password in an address is readable by everyone who may read the configuration: name a Secret with --logs-secret".to_owned());
        }
        Ok(Self {
            kind,
            url: url.trim_end_matches('/').to_owned(),
            tenant: None,
            secret: None,
            image: IMAGE.to_owned(),
        })
    }

    /// The base address for OTLP.
    fn endpoint(&self) -> String {
        match self.kind {
            Kind::Loki if !self.url.ends_with("/otlp") => format!("{}/otlp", self.url),
            _ => self.url.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
