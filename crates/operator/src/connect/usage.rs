//! How much a server is used, from the page `/connect/` of its own UI.
//!
//! Spark counts sessions and operations for that page and tells them nowhere else: not in its REST API, not in its metrics, not by a call of
//! Connect. The page is the same in all versions that have one (3.5 on). Read are the sentence with both numbers, and the times in the tables:
//! times are texts of the server's clock and zone, so they are compared with each other and with nothing else.
//!
//! The session of our own greeting is not counted: a server before Spark 4 keeps it for an hour.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use stoke_connect::greeting::SESSION;

/// How long a page may take.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Sessions that are open come first, and of operations only the newest: the page stays small however long the server lives. With more than a
/// hundred open sessions a new one, and ours, may not be among them; its operations are.
const PAGE: &str =
    "/connect/?sessionstat.sort=Finish+Time&sessionstat.desc=false&sessionstat.pageSize=100&sqlstat.pageSize=1";
/// A page of more than this is none of Spark's: 102 rows are less than 100 KB, but for the text of one operation.
const LONGEST_PAGE: u64 = 4 << 20;

/// What is known of a server's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Its page says so.
    Known(Counts),
    /// There is no page, or it cannot be read. That says nothing about sessions.
    Unknown {
        /// Why, one word.
        reason: &'static str,
        /// Why, for people.
        message: String,
    },
}

/// What the page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that are open, without ours.
    pub sessions: u32,
    /// Operations that run.
    pub operations: u32,
    /// When the last session was opened or the last operation began or ended, by the server's clock; none when nothing was done yet.
    pub latest: Option<String>,
}

impl Usage {
    /// The page cannot be read.
    #[must_use]
    pub fn unreadable(message: impl std::fmt::Display) -> Self {
        Self::Unknown {
            reason: "UINotReadable",
            message: message.to_string(),
        }
    }

    /// There is no page.
    #[must_use]
    pub fn off(message: String) -> Self {
        Self::Unknown {
            reason: "UIOff",
            message,
        }
    }
}

/// Reads the page of the server behind `io`.
pub async fn read<IO>(io: IO) -> Usage
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(PATIENCE, fetch(io)).await {
        Ok(Ok(answer)) => of_answer(&answer),
        Ok(Err(error)) => Usage::unreadable(format_args!("the UI's connection broke: {error}")),
        Err(_) => Usage::unreadable(format_args!("the UI did not answer within {} s", PATIENCE.as_secs())),
    }
}

/// One request of HTTP/1.0, whose answer ends with the connection and comes in one piece.
async fn fetch<IO>(mut io: IO) -> std::io::Result<Vec<u8>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let agent = concat!("stoke/", env!("CARGO_PKG_VERSION"));
    let request = format!("GET {PAGE} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: {agent}\r\n\r\n");
    io.write_all(request.as_bytes()).await?;
    io.flush().await?;
    let mut answer = Vec::new();
    io.take(LONGEST_PAGE).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn of_answer(answer: &[u8]) -> Usage {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Usage::unreadable("the UI's port does not answer as HTTP");
    };
    match head.split(' ').nth(1) {
        Some("200") => of_page(body).map_or_else(
            || Usage::unreadable("the UI's page of Connect says no numbers"),
            Usage::Known,
        ),
        Some("404") => Usage::unreadable("the UI has no page of Connect (Spark has one from 3.5 on)"),
        Some(status) => Usage::unreadable(format_args!("the UI answers with HTTP status {status}")),
        None => Usage::unreadable("the UI's port does not answer as HTTP"),
    }
}

/// What the page says; none when it is not that page.
#[must_use]
pub fn of_page(page: &str) -> Option<Counts> {
    // "2 session(s) are online, running 1 Request(s)", with line breaks anywhere between words.
    let (before, after) = page.split_once("session(s) are online,")?;
    let mut words = before.trim_end().rsplit(|letter: char| !letter.is_ascii_digit());
    let sessions: u32 = words.next()?.parse().ok()?;
    let (between, _) = after.split_once("Request(s)")?;
    let operations: u32 = between.trim().strip_prefix("running")?.trim().parse().ok()?;
    let mut ours_is_open = false;
    let mut latest: Option<&str> = None;
    for row in rows(page, "sessionstat") {
        let mut times = times(row);
        let Some(begun) = times.next() else { continue };
        if row.contains(SESSION) {
            ours_is_open = times.next().is_none();
        } else {
            latest = latest.max(Some(begun));
        }
    }
    let of_operations = rows(page, "sqlstat").flat_map(times);
    let latest = of_operations.fold(latest, |latest, time| latest.max(Some(time)));
    Some(Counts {
        sessions: sessions.saturating_sub(u32::from(ours_is_open)),
        operations,
        latest: latest.map(str::to_owned),
    })
}

/// The rows of the table with this id.
fn rows<'a>(page: &'a str, table: &str) -> impl Iterator<Item = &'a str> {
    let wanted = format!("id=\"{table}\"");
    let found = page
        .split("<table")
        .skip(1)
        .filter(move |text| text.split('>').next().is_some_and(|tag| tag.contains(&wanted)))
        .filter_map(|text| text.split_once("<tbody"))
        .map(|(_, body)| body.split("</tbody>").next().unwrap_or_default());
    found.flat_map(|body| body.split("<tr").skip(1))
}

/// The times in a row, in order: whole cells like `2026/11/21 20:37:07`, which sort as texts.
fn times(row: &str) -> impl Iterator<Item = &str> {
    row.split(['<', '>']).map(str::trim).filter(|text| is_time(text))
}

fn is_time(text: &str) -> bool {
    let form = b"0000/00/00 00:00:00";
    text.len() == form.len()
        && text.bytes().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == *other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with the parts of Spark's that are read; rows as (id, begun, ended).
    fn page(sentence: &str, sessions: &[(&str, &str, &str)], operations: &[(&str, &str)]) -> String {
        let cell = |text: &str| format!("<td>\n  {text}\n</td>");
        let sessions: String = sessions
            .iter()
            .map(|(id, begun, ended)| {
                let link = format!("<a href=\"/connect/session/?id={id}\"> {id} </a>");
                format!("<tr>{}{}{}</tr>", cell(&link), cell(begun), cell(ended))
            })
            .collect();
        let operations: String = operations
            .iter()
            .map(|(begun, ended)| {
                format!(
                    "<tr>{}{}{}</tr>",
                    cell(begun),
                    cell(ended),
                    cell("plan 2099/01/01 &lt;")
                )
            })
            .collect();
        format!(
            "<html><h4>{sentence}</h4><table class=\"x\" id=\"sessionstat\"><thead><tr><th>Start</th></tr></thead><tbody>{sessions}\
             </tbody></table><table id=\"sqlstat\"><tbody>{operations}</tbody></table></html>"
        )
    }

    #[test]
    fn sessions_operations_and_the_last_time_are_read() {
        let (a, b) = (
            "2c365cc0-afeb-4817-94b2-fae9b6482b76",
            "f251d3db-86df-4ae2-9408-5db093898645",
        );
        let two = "\n 2\n session(s) are online,\n running\n 1\n Request(s)\n ";
        let open = [(a, "2026/11/21 20:37:07", ""), (b, "2026/11/21 20:37:21", "")];
        let ours = [(a, "2026/11/21 20:37:07", ""), (SESSION, "2026/11/21 20:59:00", "")];
        let ours_released = [(SESSION, "2026/11/21 20:59:00", "2026/11/21 20:59:01")];
        for (text, sessions, operations, latest) in [
            (
                page("0 session(s) are online, running 0 Request(s)", &[], &[]),
                0,
                0,
                None,
            ),
            (page(two, &open, &[]), 2, 1, Some("2026/11/21 20:37:21")),
            (
                page(two, &open, &[("2026/11/21 20:38:00", "2026/11/21 20:40:00")]),
                2,
                1,
                Some("2026/11/21 20:40:00"),
            ),
            (
                page(two, &open, &[("2026/11/21 20:38:00", "")]),
                2,
                1,
                Some("2026/11/21 20:38:00"),
            ),
            (page(two, &ours, &[]), 1, 1, Some("2026/11/21 20:37:07")),
            (
                page("0 session(s) are online, running 0 Request(s)", &ours_released, &[]),
                0,
                0,
                None,
            ),
        ] {
            let counts = Counts {
                sessions,
                operations,
                latest: latest.map(str::to_owned),
            };
            assert_eq!(of_page(&text), Some(counts), "{text}");
        }
    }

    #[test]
    fn another_page_says_nothing_and_never_panics() {
        for text in [
            "",
            "<html><h1>Jobs</h1></html>",
            "session(s) are online, running 1 Request(s)",
            "x session(s) are online, running 1 Request(s)",
            "1 session(s) are online, running Request(s)",
            "1 session(s) are online, 1 Request(s)",
            "1 session(s) are online, running 99999999999 Request(s)",
        ] {
            assert_eq!(of_page(text), None, "{text}");
        }
    }

    async fn served(answer: String) -> Usage {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let serving = async move {
            let mut asked = [0; 4096];
            let read = theirs.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /connect/?"));
            theirs.write_all(answer.as_bytes()).await.unwrap();
        };
        let (usage, ()) = tokio::join!(read(ours), serving);
        usage
    }

    #[tokio::test]
    async fn only_the_page_itself_is_believed() {
        let page = page("3 session(s) are online, running 0 Request(s)", &[], &[]);
        let usage = served(format!("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n{page}")).await;
        assert!(matches!(usage, Usage::Known(Counts { sessions: 3, .. })), "{usage:?}");
        for (answer, says) in [
            (format!("HTTP/1.1 403 Forbidden\r\n\r\n{page}"), "status 403"),
            (
                format!("HTTP/1.1 302 Found\r\nLocation: https://x\r\n\r\n{page}"),
                "status 302",
            ),
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "no page of Connect"),
            ("HTTP/1.1 200 OK\r\n\r\n<html>".to_owned(), "no numbers"),
            ("nonsense".to_owned(), "does not answer as HTTP"),
        ] {
            let usage = served(answer).await;
            let Usage::Unknown { message, .. } = &usage else {
                panic!("{usage:?}");
            };
            assert!(message.contains(says), "{message}");
        }
    }
}
