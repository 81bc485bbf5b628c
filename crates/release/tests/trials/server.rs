//! A server that answers as a test says, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Question {
    pub method: String,
    pub path: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
}

impl Question {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// What goes back.
pub enum Reply {
    /// Status line without `HTTP/1.1`, headers, body.
    Answer(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// As an answer, with a length that is too large by this number of bytes.
    Short(Vec<(&'static str, String)>, Vec<u8>, usize),
    /// Nothing, for so long.
    Nothing(Duration),
    /// The connection is closed.
    Close,
}

pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Answer("200 OK", Vec::new(), body.into())
}

pub fn status(status: &'static str) -> Reply {
    Reply::Answer(status, Vec::new(), Vec::new())
}

pub struct Server {
    pub address: String,
    asked: Arc<Mutex<Vec<Question>>>,
}

impl Server {
    /// Answers each request by the function, which is also given how many of the same method and path came before.
    pub fn start(answer: impl Fn(&Question, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, asked }
    }

    pub fn asked(&self) -> Vec<Question> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, log: &Mutex<Vec<Question>>, answer: &dyn Fn(&Question, usize) -> Reply) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let asked = Question { method, path, headers };
    let length: usize = asked
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let before = {
        let mut log = log.lock().unwrap();
        let before = log
            .iter()
            .filter(|known| known.method == asked.method && known.path == asked.path)
            .count();
        log.push(asked.clone());
        before
    };
    let (status, headers, body, more) = match answer(&asked, before) {
        Reply::Answer(status, headers, body) => (status, headers, body, 0),
        Reply::Short(headers, body, more) => ("200 OK", headers, body, more),
        Reply::Nothing(time) => {
            std::thread::sleep(time);
            return None;
        }
        Reply::Close => return None,
    };
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    // What is answered to HEAD has the length of the body that is not sent.
    text.push_str(&format!("Content-Length: {}\r\n", body.len() + more));
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).ok()?;
    if asked.method != "HEAD" {
        stream.write_all(&body).ok()?;
    }
    Some(())
}
