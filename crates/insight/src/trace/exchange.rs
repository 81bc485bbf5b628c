//! Where a request goes, and what its answer means: the rules of OTLP over HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

/// Why an address or a list of headers is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// It is not an address of HTTP.
    #[error("`{0}` is not an OTLP address: {1}; write the receiver's base address, for example http://collector:4318")]
    Endpoint(String, &'static str),
    /// It is not a list of headers.
    #[error("`{0}` is not a header: write `name=value`, several with commas between, values percent-encoded")]
    Header(String),
}

impl BadTarget {
    /// A stable code.
    pub fn code(&self) -> &'static str {
        match self {
            BadTarget::Endpoint(..) => "stoke::insight::bad-endpoint",
            BadTarget::Header(_) => "stoke::insight::bad-headers",
        }
    }
}

/// The address traces are sent to: the base address and `/v1/traces`, as the specification has it for `OTEL_EXPORTER_OTLP_ENDPOINT`. An address that ends so
/// already is taken as it is, as for `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`.
///
/// # Errors
/// [`BadTarget::Endpoint`] for what is not a `http` or `https` address, or has a query or a fragment.
pub fn endpoint(base: &str) -> Result<String, BadTarget> {
    let bad = |why| BadTarget::Endpoint(base.to_owned(), why);
    let (scheme, rest) = base.split_once("://").ok_or_else(|| bad("it has no scheme"))?;
    if !["http", "https"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(bad("only http and https are spoken here, not gRPC"));
    }
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() || rest.contains(char::is_whitespace) {
        return Err(bad("it has no host"));
    }
    if rest.contains(['?', '#']) {
        return Err(bad("it has a query or a fragment"));
    }
    let base = base.trim_end_matches('/');
    Ok(match base.ends_with("/v1/traces") {
        true => base.to_owned(),
        false => format!("{base}/v1/traces"),
    })
}

/// Headers as `OTEL_EXPORTER_OTLP_HEADERS` has them: `name=value,name=value`, values percent-encoded.
///
/// # Errors
/// [`BadTarget::Header`].
pub fn headers(text: &str) -> Result<Vec<(String, String)>, BadTarget> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let bad = || BadTarget::Header(part.to_owned());
            let (name, value) = part.split_once('=').ok_or_else(bad)?;
            let name = name.trim();
            let token = |letter: u8| letter.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&letter);
            if name.is_empty() || !name.bytes().all(token) {
                return Err(bad());
            }
            let value = decoded(value.trim())
                .filter(|value| !value.contains(['\r', '\n', '\0']))
                .ok_or_else(bad)?;
            Ok((name.to_ascii_lowercase(), value))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let code = digit(rest.next()?)? * 16 + digit(rest.next()?)?;
                bytes.push(code as u8);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// All was taken. A receiver may say something all the same.
    Accepted {
        /// What it says.
        warning: Option<String>,
    },
    /// Some spans were refused, for good: the request must not be sent again.
    Partial {
        /// How many.
        rejected: u64,
        /// Why.
        message: String,
    },
    /// Try again: after so many seconds if it says, else after an exponential back-off.
    Retry {
        /// Seconds.
        after: Option<u64>,
        /// Why.
        message: String,
    },
    /// Refused for good.
    Refused {
        /// Why.
        message: String,
    },
}

/// Statuses after which the specification lets a client try again.
pub const RETRYABLE: [u16; 4] = [429, 502, 503, 504];

/// Reads an answer: its status, its `Retry-After` and its body.
pub fn answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Answer {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    if (200..300).contains(&status) {
        let partial = &json["partialSuccess"];
        let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
        let rejected = &partial["rejectedSpans"];
        let rejected = rejected
            .as_u64()
            .or_else(|| rejected.as_str()?.parse().ok())
            .unwrap_or(0);
        return match rejected {
            0 => Answer::Accepted {
                warning: (!message.is_empty()).then_some(message),
            },
            _ => Answer::Partial { rejected, message },
        };
    }
    let said = json["message"].as_str().map(str::to_owned);
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned());
    let message = match said.is_empty() {
        true => format!("HTTP {status}"),
        false => format!("HTTP {status}: {said}"),
    };
    match RETRYABLE.contains(&status) {
        true => Answer::Retry {
            after: retry_after.and_then(|text| text.trim().parse().ok()),
            message,
        },
        false => Answer::Refused { message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_go_below_the_base_address() {
        let table = [
            ("http://c:4318", "http://c:4318/v1/traces"),
            ("http://c:4318/", "http://c:4318/v1/traces"),
            ("https://h/otlp/", "https://h/otlp/v1/traces"),
            ("https://h/v1/traces", "https://h/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ];
        for (base, address) in table {
            assert_eq!(endpoint(base).unwrap(), address);
        }
        for bad in [
            "",
            "c:4318",
            "grpc://c:4317",
            "http://",
            "http:///x",
            "http://h/?a=1",
            "http://h h/",
        ] {
            assert_eq!(
                endpoint(bad).unwrap_err().code(),
                "stoke::insight::bad-endpoint",
                "{bad}"
            );
        }
    }

    #[test]
    fn headers_are_read_and_checked() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers("Api-Key=a%20b, x=1=2,").unwrap(),
            [pair("api-key", "a b"), pair("x", "1=2")]
        );
        assert_eq!(headers("").unwrap(), []);
        for bad in ["a", "=b", "a b=c", "a=%0Ab", "a=%zz", "a=%"] {
            assert!(headers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_mean_what_the_specification_says() {
        let text = |text: &str| text.to_owned();
        let table: [(u16, Option<&str>, &str, Answer); 9] = [
            (200, None, "{}", Answer::Accepted { warning: None }),
            (200, None, "", Answer::Accepted { warning: None }),
            (
                200,
                None,
                r#"{"partialSuccess":{"errorMessage":"old"}}"#,
                Answer::Accepted {
                    warning: Some(text("old")),
                },
            ),
            (
                200,
                None,
                r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"late"}}"#,
                Answer::Partial {
                    rejected: 3,
                    message: text("late"),
                },
            ),
            (
                429,
                Some("7"),
                "",
                Answer::Retry {
                    after: Some(7),
                    message: text("HTTP 429"),
                },
            ),
            (
                503,
                Some("Wed, 21 Oct 2015 07:28:00 GMT"),
                "",
                Answer::Retry {
                    after: None,
                    message: text("HTTP 503"),
                },
            ),
            (
                504,
                None,
                "gone",
                Answer::Retry {
                    after: None,
                    message: text("HTTP 504: gone"),
                },
            ),
            (
                400,
                Some("1"),
                r#"{"code":3,"message":"bad span"}"#,
                Answer::Refused {
                    message: text("HTTP 400: bad span"),
                },
            ),
            (
                500,
                None,
                "",
                Answer::Refused {
                    message: text("HTTP 500"),
                },
            ),
        ];
        for (status, after, body, expected) in table {
            assert_eq!(answer(status, after, body.as_bytes()), expected, "{status} {body}");
        }
    }
}
