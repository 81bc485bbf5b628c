//! How a component is reached from the machine that the embedded cluster is on, and what it is asked before its address is shown. Pure.

use crate::render::Scope;
use crate::spec::Component;

/// The port at which the embedded cluster's Kafka answers clients that do not know the names of pods.
pub const KAFKA_PORT: u16 = 9094;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// A GET that must be answered without an error; with a token out of a Secret, where one is named.
    Http {
        path: &'static str,
        token: Option<(String, String)>,
    },
    /// Whether it speaks PostgreSQL's protocol.
    Postgresql,
    /// A call over Thrift.
    Thrift,
    /// The versions that a broker of Kafka speaks.
    Kafka,
    /// The greeting of a client of Spark Connect, to be answered by this version of Spark.
    Connect { version: String },
}

/// Where it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// At its Service, or at its pod where that has no address.
    Service(String),
    /// At its pod.
    Pod,
}

/// How a component is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub at: At,
    pub port: u16,
    /// `http://`, or nothing where clients take a host and a port.
    pub scheme: &'static str,
    /// Behind the port.
    pub path: &'static str,
    pub question: Question,
    /// What opens it, or how it is used; empty where there is nothing to say.
    pub how: String,
}

/// How a component is reached; none for one that runs outside.
#[must_use]
pub fn reach(scope: &Scope<'_>, name: &str) -> Option<Reach> {
    let component = scope.component(name).filter(|component| component.runs())?;
    let page = |path: &'static str, asked: &'static str| Reach {
        at: At::Service(name.to_owned()),
        port: component.port(),
        scheme: "http://",
        path,
        question: Question::Http {
            path: asked,
            token: None,
        },
        how: String::new(),
    };
    let other = |scheme: &'static str, question: Question| Reach {
        scheme,
        question,
        ..page("", "")
    };
    Some(match component {
        Component::ObjectStore(_) => return None,
        Component::Postgresql(server) => Reach {
            how: format!("user and password: Secret {}", server.login.secret),
            ..other("postgresql://", Question::Postgresql)
        },
        Component::HiveMetastore(_) => other("thrift://", Question::Thrift),
        Component::Nessie(_) => Reach {
            how: "Iceberg REST: /iceberg".to_owned(),
            ..page("/", "/iceberg/v1/config")
        },
        Component::HistoryServer(_) => page("/", "/api/v1/applications?limit=1"),
        Component::SparkConnect(connect) => Reach {
            at: At::Service(stoke_model::names::connect_server(name)),
            ..other(
                "sc://",
                Question::Connect {
                    version: scope.spark(&connect.spark)?.version.clone(),
                },
            )
        },
        Component::Jupyterlab(jupyter) => Reach {
            question: Question::Http {
                path: "/api/kernelspecs",
                token: Some((jupyter.token.secret.clone(), jupyter.token.key.clone())),
            },
            how: format!("token: Secret {}, key {}", jupyter.token.secret, jupyter.token.key),
            ..page("/lab", "")
        },
        Component::Mlflow(_) => page("/", "/api/2.0/mlflow/experiments/search?max_results=1"),
        Component::Kafka(_) => Reach {
            at: At::Pod,
            port: KAFKA_PORT,
            ..other("", Question::Kafka)
        },
        Component::Airflow(_) => Reach {
            how: "user admin; its password is in a file of the pod".to_owned(),
            ..page("/", "/api/v2/monitor/health")
        },
        Component::Celeborn(_) => return None,
    })
}
