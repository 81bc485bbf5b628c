//! Where a server is and who asks: Spark's own form `sc://host:port/;key=value;…`.

use std::fmt;

/// The port of a Connect server that names none.
const PORT: u16 = 15002;
/// The user that is named where an address names none.
const USER: &str = "stoke";

/// A server and who asks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Name or address, without the brackets of IPv6.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// The connection is encrypted.
    pub tls: bool,
    /// Who asks.
    pub login: Login,
}

/// The user of a session, and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user the server knows the session by. A server believes it unless something in front of it checks.
    pub user: String,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// Further headers of every call.
    pub headers: Vec<(String, String)>,
}

impl Remote {
    /// The server is on this machine: what is sent to it leaves it unencrypted nowhere.
    pub fn is_local(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }
}

impl Login {
    /// A user without a token.
    pub fn user(name: impl Into<String>) -> Self {
        Login {
            user: name.into(),
            token: None,
            headers: Vec::new(),
        }
    }
}

impl fmt::Debug for Login {
    /// Without the token, and without the values of headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Login")
            .field("user", &self.user)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// What is wrong with an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Another scheme, or none.
    #[error("`{0}` does not begin with `sc://`")]
    Scheme(String),
    /// Nothing where the host belongs.
    #[error("the address names no host")]
    Host,
    /// Not a number of a port.
    #[error("`{0}` is not a port")]
    Port(String),
    /// Something between the host and the parameters.
    #[error("the address has a path, `{0}`")]
    Path(String),
    /// A parameter without a value, or one with a character that cannot be read.
    #[error("the parameter `{0}` has no value that can be read")]
    Parameter(String),
    /// A parameter of Spark that means nothing here.
    #[error("the parameter `{0}` is not supported")]
    Unsupported(String),
    /// Neither true nor false.
    #[error("use_ssl is `{0}`")]
    Tls(String),
    /// A token that would be sent in clear text.
    #[error("a token would be sent to `{0}` without encryption")]
    OpenToken(String),
}

impl RemoteError {
    /// What to write.
    pub fn fix(&self) -> &'static str {
        match self {
            RemoteError::Scheme(_) | RemoteError::Host => "write sc://host:port, for example sc://localhost:15002",
            RemoteError::Port(_) => "write a number from 1 to 65535, or no port for 15002",
            RemoteError::Path(_) => "put parameters after `/;`: sc://host:port/;user_id=me;use_ssl=true",
            RemoteError::Parameter(_) => "write key=value, with %3B for `;` and %25 for `%`",
            RemoteError::Unsupported(_) => "leave it out: a session is opened for the statement and released after it",
            RemoteError::Tls(_) => "write use_ssl=true or use_ssl=false",
            RemoteError::OpenToken(_) => "leave out use_ssl=false, or forward the port to this machine",
        }
    }
}

impl std::str::FromStr for Remote {
    type Err = RemoteError;

    fn from_str(text: &str) -> Result<Self, RemoteError> {
        let text = text.trim();
        let rest = text
            .strip_prefix("sc://")
            .ok_or_else(|| RemoteError::Scheme(shown(text)))?;
        let (place, parameters) = match rest.split_once('/') {
            None => (rest, ""),
            Some((place, "")) => (place, ""),
            Some((place, tail)) => match tail.strip_prefix(';') {
                Some(parameters) => (place, parameters),
                None => return Err(RemoteError::Path(shown(tail.split(';').next().unwrap_or_default()))),
            },
        };
        let (host, port) = place_of(place)?;
        let mut remote = Remote {
            host: host.to_owned(),
            port,
            tls: false,
            login: Login::user(USER),
        };
        let mut tls = None;
        for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
            let key = parameter.split('=').next().unwrap_or_default();
            let value = parameter.split_once('=').and_then(|(_, value)| decoded(value));
            let value = value
                .filter(|value| !value.is_empty())
                .ok_or_else(|| RemoteError::Parameter(shown(key)))?;
            match key {
                "user_id" => remote.login.user = value,
                "token" => remote.login.token = Some(value),
                "use_ssl" => {
                    tls = Some(match value.to_ascii_lowercase().as_str() {
                        "true" => true,
                        "false" => false,
                        _ => return Err(RemoteError::Tls(shown(&value))),
                    });
                }
                "user_agent" => {}
                "session_id" | "grpc_max_message_size" => return Err(RemoteError::Unsupported(key.to_owned())),
                header => {
                    let is_name = header.starts_with(|c: char| c.is_ascii_alphabetic())
                        && header.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
                    if !is_name || http::HeaderValue::from_str(&value).is_err() {
                        return Err(RemoteError::Parameter(shown(header)));
                    }
                    remote.login.headers.push((header.to_ascii_lowercase(), value));
                }
            }
        }
        let has_token = remote.login.token.is_some();
        let near = remote.is_local();
        if has_token && tls == Some(false) && !near {
            return Err(RemoteError::OpenToken(remote.host));
        }
        remote.tls = tls.unwrap_or(has_token && !near);
        Ok(remote)
    }
}

fn place_of(place: &str) -> Result<(&str, u16), RemoteError> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, tail) = rest.split_once(']').ok_or(RemoteError::Host)?;
        (host, tail)
    } else {
        match place.find(':') {
            Some(at) => place.split_at(at),
            None => (place, ""),
        }
    };
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || ";@?#".contains(c)) {
        return Err(RemoteError::Host);
    }
    let port = match port.strip_prefix(':') {
        Some(port) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| RemoteError::Port(shown(port)))?,
        None if port.is_empty() => PORT,
        None => return Err(RemoteError::Port(shown(port))),
    };
    Ok((host, port))
}

/// The bytes that `%41` and its like mean.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let (high, low) = (digit(tail.first()?)?, digit(tail.get(1)?)?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

/// What is quoted in an error: no more than fits a line.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_spark_reads_them() {
        for (text, host, port, tls, user, token) in [
            ("sc://localhost", "localhost", 15002, false, "stoke", None),
            ("sc://localhost/", "localhost", 15002, false, "stoke", None),
            (
                " sc://spark.example:443/;use_ssl=true ",
                "spark.example",
                443,
                true,
                "stoke",
                None,
            ),
            ("sc://h:1/;user_id=m%20e;token=a%3Bb", "h", 1, true, "m e", Some("a;b")),
            ("sc://localhost:9/;token=t", "localhost", 9, false, "stoke", Some("t")),
            ("sc://[::1]:7/;use_ssl=TRUE;", "::1", 7, true, "stoke", None),
            ("sc://[2001:db8::1]", "2001:db8::1", 15002, false, "stoke", None),
        ] {
            let remote: Remote = text.parse().unwrap();
            assert_eq!(
                (remote.host.as_str(), remote.port, remote.tls),
                (host, port, tls),
                "{text}"
            );
            assert_eq!(
                (remote.login.user.as_str(), remote.login.token.as_deref()),
                (user, token),
                "{text}"
            );
        }
        let headers: Remote = "sc://h/;x-team=a;X-B=c".parse().unwrap();
        let expected = [("x-team", "a"), ("x-b", "c")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers.login.headers, expected);
    }

    #[test]
    fn what_is_no_address_says_what_to_write() {
        let text = |text: &str| text.to_owned();
        for (address, error) in [
            ("localhost:15002", RemoteError::Scheme(text("localhost:15002"))),
            ("http://h", RemoteError::Scheme(text("http://h"))),
            ("sc://", RemoteError::Host),
            ("sc://:1", RemoteError::Host),
            ("sc://[::1", RemoteError::Host),
            ("sc://h;use_ssl=true", RemoteError::Host),
            ("sc://h:0", RemoteError::Port(text("0"))),
            ("sc://h:66000", RemoteError::Port(text("66000"))),
            ("sc://h:", RemoteError::Port(text(""))),
            ("sc://[::1]x", RemoteError::Port(text("x"))),
            ("sc://h/db;a=b", RemoteError::Path(text("db"))),
            ("sc://h/;user_id", RemoteError::Parameter(text("user_id"))),
            ("sc://h/;user_id=", RemoteError::Parameter(text("user_id"))),
            ("sc://h/;user_id=%zz", RemoteError::Parameter(text("user_id"))),
            ("sc://h/;bad name=1", RemoteError::Parameter(text("bad name"))),
            ("sc://h/;x-a=%0a", RemoteError::Parameter(text("x-a"))),
            ("sc://h/;use_ssl=yes", RemoteError::Tls(text("yes"))),
            ("sc://h/;session_id=1", RemoteError::Unsupported(text("session_id"))),
            ("sc://h/;token=t;use_ssl=false", RemoteError::OpenToken(text("h"))),
        ] {
            let read: Result<Remote, _> = address.parse();
            assert_eq!(read, Err(error.clone()), "{address}");
            assert!(!error.fix().is_empty());
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let remote: Remote = "sc://h/;token=secret;x-key=hidden".parse().unwrap();
        let shown = format!("{remote:?}");
        assert!(!shown.contains("secret") && !shown.contains("hidden"), "{shown}");
    }
}
