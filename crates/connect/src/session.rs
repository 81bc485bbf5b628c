//! A session on a server: queries with limits, one at a time, and their end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use crate::call::{Answers, Channel, decode};
use crate::cells::{Batches, Column};
use crate::error::ConnectError;
use crate::greeting::{self, PATIENCE, context};
use crate::messages::{
    AnalyzePlanRequest, Analyzed, Command, ExecutePlanRequest, ExecutePlanResponse, InterruptRequest, Limit, Nothing,
    Plan, Relation, Sql, SqlCommand,
};
use crate::remote::{Login, Remote};
use crate::statement::{Statement, StatementError, enclosed, own_lines};

/// How long a connection may take to be there.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long the end of a session may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// `INTERRUPT_TYPE_OPERATION_ID`.
const BY_OPERATION: i32 = 3;
/// A message without rows is shorter than this, whatever the limit of bytes.
const SHORT: usize = 64 << 10;

/// How much of an answer is taken, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub rows: usize,
    /// From the call to the last row.
    pub time: Duration,
    /// Of the answer as the server sends it; what is held is a small multiple of it.
    pub bytes: usize,
}

/// Why there are no more rows although the answer has some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The limit of rows.
    Rows,
    /// The limit of bytes.
    Bytes,
}

/// A session. It is released when it is closed, and also when it is dropped within a runtime.
pub struct Session {
    channel: Channel,
    id: String,
    user: String,
    /// The operation that may still run.
    running: Option<String>,
    closed: bool,
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

impl Session {
    /// Connects to a server and opens a session.
    ///
    /// # Errors
    /// The server cannot be reached, its certificate is not trusted, or it is none.
    pub async fn connect(remote: &Remote) -> Result<Self, ConnectError> {
        let place = format!("{}:{}", remote.host, remote.port);
        let unreachable = |cause: &dyn std::fmt::Display| ConnectError::Unreachable {
            place: place.clone(),
            cause: cause.to_string(),
        };
        let reaching = async {
            let stream = TcpStream::connect((remote.host.as_str(), remote.port))
                .await
                .map_err(|error| unreachable(&error))?;
            stream.set_nodelay(true).map_err(|error| unreachable(&error))?;
            if !remote.tls {
                return Ok::<_, ConnectError>(Box::new(stream) as Box<dyn Connection>);
            }
            let name = ServerName::try_from(remote.host.clone()).map_err(|error| unreachable(&error))?;
            let config = trust().map_err(|error| unreachable(&error))?;
            let encrypted = tokio_rustls::TlsConnector::from(Arc::new(config))
                .connect(name, stream)
                .await;
            Ok(Box::new(encrypted.map_err(|error| unreachable(&error))?) as Box<dyn Connection>)
        };
        let late = format!("no connection within {} s", CONNECT_PATIENCE.as_secs());
        let io = timeout(CONNECT_PATIENCE, reaching)
            .await
            .map_err(|_| unreachable(&late))??;
        Session::open(io, &remote.login).await
    }

    /// Opens a session over a connection that is there.
    ///
    /// # Errors
    /// The connection does not speak HTTP/2.
    pub async fn open<IO>(io: IO, login: &Login) -> Result<Self, ConnectError>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (channel, connection) = timeout(PATIENCE, Channel::open(io, login))
            .await
            .map_err(|_| ConnectError::Late(PATIENCE))??;
        // It ends with the last handle of the channel; calls see its errors.
        tokio::spawn(connection);
        Ok(Session {
            channel,
            id: Uuid::new_v4().to_string(),
            user: login.user.clone(),
            running: None,
            closed: false,
        })
    }

    /// The server's version.
    ///
    /// # Errors
    /// The server does not say it.
    pub async fn version(&self) -> Result<String, ConnectError> {
        timeout(PATIENCE, greeting::version(&self.channel, &self.id, &self.user))
            .await
            .map_err(|_| ConnectError::Late(PATIENCE))?
    }

    /// Runs a statement. Its rows are taken with [`Rows::next`].
    ///
    /// # Errors
    /// The server refuses it, or begins no answer in time.
    pub async fn run(&mut self, statement: &Statement, limits: Limits) -> Result<Rows<'_>, ConnectError> {
        let deadline = Instant::now() + limits.time;
        let begun = timeout_at(deadline, self.begin(statement, limits)).await;
        let answers = match begun {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                self.running = None;
                return Err(self.explained(error, statement, deadline).await);
            }
            Err(_) => {
                self.interrupt().await;
                return Err(ConnectError::Late(limits.time));
            }
        };
        let statement = statement.clone();
        Ok(Rows {
            session: self,
            answers,
            statement,
            limits,
            deadline,
            columns: None,
            rows: 0,
            bytes: 0,
            stop: None,
            ended: false,
        })
    }

    async fn begin(&mut self, statement: &Statement, limits: Limits) -> Result<Answers, ConnectError> {
        let relation = match statement {
            Statement::Query(text) => relation_of(&enclosed(text)),
            Statement::Command(text) => self.command(text).await?,
        };
        // One more than are wanted says that there are more.
        let most = i32::try_from(limits.rows.saturating_add(1)).unwrap_or(i32::MAX);
        let limited = Relation {
            limit: Some(Limit {
                input: relation,
                limit: most,
            }),
            ..Relation::default()
        };
        self.execute(Plan {
            root: Some(limited.encode_to_vec().into()),
            command: None,
        })
        .await
    }

    /// Runs a command at once; gives the relation that is its answer.
    async fn command(&mut self, text: &str) -> Result<Bytes, ConnectError> {
        let sql_command = SqlCommand {
            sql: text.to_owned(),
            input: relation_of(text),
        };
        let plan = Plan {
            root: None,
            command: Some(Command {
                sql_command: Some(sql_command),
            }),
        };
        let mut answers = self.execute(plan).await?;
        let mut relation = None;
        while let Some(answer) = answers.next(LONGEST_RELATION).await? {
            let answer: ExecutePlanResponse = decode(answer)?;
            relation = answer.sql_command_result.map(|result| result.relation).or(relation);
        }
        self.running = None;
        relation.ok_or_else(|| ConnectError::NotConnect("the command has no answer".to_owned()))
    }

    async fn execute(&mut self, plan: Plan) -> Result<Answers, ConnectError> {
        let operation = Uuid::new_v4().to_string();
        self.running = Some(operation.clone());
        let request = ExecutePlanRequest {
            session_id: self.id.clone(),
            user_context: Some(context(&self.user)),
            plan: Some(plan),
            client_type: Some(concat!("stoke/", env!("CARGO_PKG_VERSION")).to_owned()),
            operation_id: Some(operation),
        };
        self.channel.stream("ExecutePlan", &request).await
    }

    /// Spark's error about an enclosed query, as its writer knows the query. What does not parse as a query and parses as a statement is not a query.
    async fn explained(&self, error: ConnectError, statement: &Statement, deadline: Instant) -> ConnectError {
        let Statement::Query(text) = statement else {
            return error;
        };
        let ConnectError::Spark { class, message } = error else {
            return error;
        };
        let own = |message: &str, class: String| ConnectError::Spark {
            message: own_lines(message),
            class,
        };
        if !class.starts_with("PARSE_") {
            return own(&message, class);
        }
        // It is only parsed: what EXPLAIN explains is not analysed before it runs, and this begins as a query.
        let request = AnalyzePlanRequest {
            session_id: self.id.clone(),
            user_context: Some(context(&self.user)),
            schema: Some(Analyzed {
                plan: Some(Plan {
                    root: Some(relation_of(&format!("EXPLAIN\n{text}"))),
                    command: None,
                }),
            }),
            ..AnalyzePlanRequest::default()
        };
        match timeout_at(deadline, self.channel.unary::<Nothing>("AnalyzePlan", &request)).await {
            Ok(Ok(_)) => StatementError::MoreThanQuery.into(),
            Ok(Err(ConnectError::Spark { class, message })) => own(&message, class),
            _ => own(&message, class),
        }
    }

    /// Ends the operation that runs on the server, if one does.
    pub async fn interrupt(&mut self) {
        if let Some(operation) = self.running.take() {
            let _ = timeout(FAREWELL, interrupted(&self.channel, &self.id, &self.user, operation)).await;
        }
    }

    /// Ends what still runs and releases the session on the server.
    pub async fn close(mut self) {
        self.closed = true;
        self.interrupt().await;
        let _ = timeout(FAREWELL, greeting::release(&self.channel, &self.id, &self.user)).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.closed {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (channel, id, user) = (
            self.channel.clone(),
            std::mem::take(&mut self.id),
            std::mem::take(&mut self.user),
        );
        let running = self.running.take();
        runtime.spawn(timeout(FAREWELL, async move {
            if let Some(operation) = running {
                interrupted(&channel, &id, &user, operation).await;
            }
            greeting::release(&channel, &id, &user).await;
        }));
    }
}

/// The relation that stands for a command's answer holds its rows; a command that answers with more is not one to look at here.
const LONGEST_RELATION: usize = 32 << 20;

fn relation_of(text: &str) -> Bytes {
    let relation = Relation {
        sql: Some(Sql { query: text.to_owned() }),
        ..Relation::default()
    };
    relation.encode_to_vec().into()
}

async fn interrupted(channel: &Channel, session: &str, user: &str, operation: String) {
    let request = InterruptRequest {
        session_id: session.to_owned(),
        user_context: Some(context(user)),
        interrupt_type: BY_OPERATION,
        operation_id: operation,
    };
    let _: Result<Nothing, _> = channel.unary("Interrupt", &request).await;
}

/// The rows of an answer.
pub struct Rows<'s> {
    session: &'s mut Session,
    answers: Answers,
    statement: Statement,
    limits: Limits,
    deadline: Instant,
    columns: Option<Vec<Column>>,
    rows: usize,
    bytes: usize,
    stop: Option<Stop>,
    ended: bool,
}

impl Rows<'_> {
    /// The next rows, as they came in one message; none after the last ones, or after a limit was reached.
    ///
    /// # Errors
    /// The query failed, or took too long.
    pub async fn next(&mut self) -> Result<Option<Vec<Vec<Value>>>, ConnectError> {
        while !self.ended {
            let left = self.limits.bytes.saturating_sub(self.bytes).max(SHORT);
            let answer = match timeout_at(self.deadline, self.answers.next(left)).await {
                Ok(Ok(Some(answer))) => answer,
                Ok(Ok(None)) => {
                    self.ended = true;
                    self.session.running = None;
                    break;
                }
                Ok(Err(ConnectError::TooLong(_))) if self.rows > 0 => {
                    self.end(Some(Stop::Bytes)).await;
                    break;
                }
                Ok(Err(error @ ConnectError::TooLong(_))) => {
                    self.end(None).await;
                    return Err(error);
                }
                Ok(Err(error)) => {
                    self.ended = true;
                    self.session.running = None;
                    return Err(self.session.explained(error, &self.statement, self.deadline).await);
                }
                Err(_) => {
                    self.end(None).await;
                    return Err(ConnectError::Late(self.limits.time));
                }
            };
            self.bytes += answer.len();
            let answer: ExecutePlanResponse = decode(answer)?;
            let Some(batch) = answer.arrow_batch else { continue };
            let batches = Batches::read(batch.data)?;
            let left = self.limits.rows.saturating_sub(self.rows);
            let mut rows: Vec<_> = batches.rows(left.saturating_add(1)).collect();
            self.columns.get_or_insert(batches.columns);
            if rows.len() > left {
                rows.truncate(left);
                self.end(Some(Stop::Rows)).await;
            }
            self.rows += rows.len();
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
        }
        Ok(None)
    }

    async fn end(&mut self, stop: Option<Stop>) {
        self.ended = true;
        self.stop = stop;
        self.session.interrupt().await;
    }

    /// The columns; they are known with the first rows, and after the end in any case.
    pub fn columns(&self) -> &[Column] {
        self.columns.as_deref().unwrap_or_default()
    }

    /// The limit that ended the answer, if one did.
    pub fn stop(&self) -> Option<Stop> {
        self.stop
    }
}

/// The certificates this machine trusts, and those that `SSL_CERT_FILE` names.
fn trust() -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("this machine trusts no certificate; SSL_CERT_FILE names a file of them".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
