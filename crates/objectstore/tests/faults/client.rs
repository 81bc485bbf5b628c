//! A client of a few lines: one signed request per connection, blocking.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use ring::{digest, hmac};
use stoke_objectstore::Credentials;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// Body, as many bytes as came.
    pub body: Vec<u8>,
}

/// A client with keys.
#[derive(Clone)]
pub struct Client {
    /// Where the store is.
    pub address: SocketAddr,
    /// The keys.
    pub credentials: Credentials,
}

/// A header that makes the client leave as soon as it has sent what it has.
pub const LEAVE: (&str, &str) = ("x-leave", "1");

/// Whether this is a whole answer, as its length tells.
fn whole(answer: &[u8], method: &str) -> bool {
    let Some(split) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    method == "HEAD" || length.is_some_and(|length| answer.len() >= split + 4 + length)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sign(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

/// Now as `yyyymmddThhmmssZ`, from civil-from-days arithmetic.
fn amz_date() -> String {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        time / 3600,
        time / 60 % 60,
        time % 60
    )
}

impl Client {
    /// One request; `None` when the connection broke before a whole answer came.
    pub fn ask(&self, method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        self.ask_at(&self.address.to_string(), method, path, query, headers, body)
    }

    /// As [`Client::ask`], with another `Host`.
    pub fn ask_at(
        &self,
        host: &str,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let date = amz_date();
        let (day, unsigned) = (&date[..8], "UNSIGNED-PAYLOAD");
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{unsigned}\nx-amz-date:{date}\n\nhost;x-amz-content-sha256;x-amz-date\n{unsigned}"
        );
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
        let key = ["us-east-1", "s3", "aws4_request"].iter().fold(
            sign(format!("AWS4{}", self.credentials.secret_access_key).as_bytes(), day),
            |key, text| sign(&key, text),
        );
        let signature = hex(&sign(&key, &to_sign));
        let target = if query.is_empty() {
            path.to_string()
        } else {
            format!("{path}?{query}")
        };
        let mut head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {host}\r\nx-amz-date: {date}\r\nx-amz-content-sha256: {unsigned}\r\nconnection: close\r\nauthorization: AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}\r\n",
            self.credentials.access_key_id
        );
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        stream.write_all(head.as_bytes()).ok()?;
        // A refusal may come, and the connection end, before the body is taken.
        let _ = stream.write_all(body);
        if headers.contains(&LEAVE) {
            return None;
        }
        let mut answer = Vec::new();
        let mut chunk = [0; 16 << 10];
        while !whole(&answer, method)
            && let Ok(read @ 1..) = stream.read(&mut chunk)
        {
            answer.extend_from_slice(&chunk[..read]);
        }
        let split = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..split]).to_lowercase();
        let body = answer[split + 4..].to_vec();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if method != "HEAD" && length.is_some_and(|length| length > body.len()) {
            return None;
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body })
    }

    /// PUT; the status.
    pub fn put(&self, path: &str, body: &[u8]) -> Option<u16> {
        self.ask("PUT", path, "", &[], body).map(|answer| answer.status)
    }

    /// GET; the body when it is there.
    pub fn get(&self, path: &str) -> Option<Vec<u8>> {
        let answer = self.ask("GET", path, "", &[], &[])?;
        (answer.status == 200).then_some(answer.body)
    }
}
