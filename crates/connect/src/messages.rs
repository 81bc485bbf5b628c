//! Messages of Spark Connect, as far as they are needed. The numbers of the fields are those of Spark's `base.proto`, `commands.proto` and
//! `relations.proto`; alternatives of a `oneof` are optional fields here, which is the same on the wire. Relations stay bytes: they are put into
//! other messages and never looked at.

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct UserContext {
    #[prost(string, tag = "1")]
    pub user_id: String,
    #[prost(string, tag = "2")]
    pub user_name: String,
}

/// A message without fields.
#[derive(Clone, PartialEq, Message)]
pub struct Nothing {}

#[derive(Clone, PartialEq, Message)]
pub struct Plan {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub root: Option<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub command: Option<Command>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Command {
    #[prost(message, optional, tag = "5")]
    pub sql_command: Option<SqlCommand>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SqlCommand {
    /// Before Spark 4; newer servers prefer `input`.
    #[prost(string, tag = "1")]
    pub sql: String,
    #[prost(bytes = "bytes", tag = "6")]
    pub input: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct Relation {
    #[prost(message, optional, tag = "8")]
    pub limit: Option<Limit>,
    #[prost(message, optional, tag = "10")]
    pub sql: Option<Sql>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Limit {
    #[prost(bytes = "bytes", tag = "1")]
    pub input: Bytes,
    #[prost(int32, tag = "2")]
    pub limit: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Sql {
    #[prost(string, tag = "1")]
    pub query: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct AnalyzePlanRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(string, optional, tag = "3")]
    pub client_type: Option<String>,
    #[prost(message, optional, tag = "4")]
    pub schema: Option<Analyzed>,
    #[prost(message, optional, tag = "10")]
    pub spark_version: Option<Nothing>,
}

/// What is analysed.
#[derive(Clone, PartialEq, Message)]
pub struct Analyzed {
    #[prost(message, optional, tag = "1")]
    pub plan: Option<Plan>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AnalyzePlanResponse {
    #[prost(message, optional, tag = "8")]
    pub spark_version: Option<SparkVersion>,
}

#[derive(Clone, PartialEq, Message)]
pub struct SparkVersion {
    #[prost(string, tag = "1")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecutePlanRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(message, optional, tag = "3")]
    pub plan: Option<Plan>,
    #[prost(string, optional, tag = "4")]
    pub client_type: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub operation_id: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExecutePlanResponse {
    #[prost(message, optional, tag = "2")]
    pub arrow_batch: Option<ArrowBatch>,
    #[prost(message, optional, tag = "5")]
    pub sql_command_result: Option<SqlCommandResult>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ArrowBatch {
    #[prost(int64, tag = "1")]
    pub row_count: i64,
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct SqlCommandResult {
    #[prost(bytes = "bytes", tag = "1")]
    pub relation: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub struct InterruptRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    /// 3: by the id of the operation.
    #[prost(int32, tag = "4")]
    pub interrupt_type: i32,
    #[prost(string, tag = "6")]
    pub operation_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReleaseSessionRequest {
    #[prost(string, tag = "1")]
    pub session_id: String,
    #[prost(message, optional, tag = "2")]
    pub user_context: Option<UserContext>,
    #[prost(bool, tag = "4")]
    pub allow_reconnect: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_numbers_of_sparks_definitions() {
        let user = || {
            Some(UserContext {
                user_id: "u".to_owned(),
                user_name: String::new(),
            })
        };
        let version = AnalyzePlanRequest {
            session_id: "s".to_owned(),
            user_context: user(),
            spark_version: Some(Nothing {}),
            ..AnalyzePlanRequest::default()
        };
        assert_eq!(version.encode_to_vec(), b"\x0a\x01s\x12\x03\x0a\x01u\x52\x00");
        let sql = Relation {
            sql: Some(Sql { query: "q".to_owned() }),
            ..Relation::default()
        };
        assert_eq!(sql.encode_to_vec(), b"\x52\x03\x0a\x01q");
        let limit = Relation {
            limit: Some(Limit {
                input: sql.encode_to_vec().into(),
                limit: 3,
            }),
            ..Relation::default()
        };
        assert_eq!(limit.encode_to_vec(), b"\x42\x09\x0a\x05\x52\x03\x0a\x01q\x10\x03");
        let command = Plan {
            root: None,
            command: Some(Command {
                sql_command: Some(SqlCommand {
                    sql: "q".to_owned(),
                    input: Bytes::from_static(b"r"),
                }),
            }),
        };
        assert_eq!(command.encode_to_vec(), b"\x12\x08\x2a\x06\x0a\x01q\x32\x01r");
        let interrupt = InterruptRequest {
            session_id: "s".to_owned(),
            user_context: None,
            interrupt_type: 3,
            operation_id: "o".to_owned(),
        };
        assert_eq!(interrupt.encode_to_vec(), b"\x0a\x01s\x20\x03\x32\x01o");
        let release = ReleaseSessionRequest {
            session_id: "s".to_owned(),
            user_context: user(),
            allow_reconnect: true,
        };
        assert_eq!(release.encode_to_vec(), b"\x0a\x01s\x12\x03\x0a\x01u\x20\x01");
        let answer = ExecutePlanResponse::decode(&b"\x0a\x01s\x12\x06\x08\x02\x12\x02ab\x92\x01\x00"[..]).unwrap();
        let batch = answer.arrow_batch.unwrap();
        assert_eq!((batch.row_count, &batch.data[..]), (2, &b"ab"[..]));
    }
}
