//! Which cluster a command speaks to: another one by its context, the one of `stoke up`, or a private one for this run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::embedded::{Embedded, Size};
use crate::error::{LaptopError, Outcome};
use crate::home::Home;

/// The cluster that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// Context of the user's kubeconfig, for a cluster other than the embedded one.
    pub context: Option<String>,
    /// Namespace; the manifest's, the context's, else `default`.
    pub namespace: Option<String>,
}

/// A cluster to speak to.
pub struct Session {
    pub client: Client,
    /// Namespace when neither the command line nor the manifest names one.
    pub namespace: String,
    /// Where it is.
    pub place: Place,
}

/// Where a cluster is.
pub enum Place {
    /// Started for this command, ended with it.
    Private(Box<Embedded>),
    /// The one of `stoke up`.
    Up,
    /// One of the user's kubeconfig.
    Context(String),
}

impl Session {
    /// Where local files are put for an embedded cluster's pods; none for another cluster.
    pub fn uploads(&self, home: &Home) -> Option<PathBuf> {
        match &self.place {
            Place::Private(embedded) => Some(embedded.directory().join("uploads")),
            Place::Up => Some(home.default_cluster().join("uploads")),
            Place::Context(_) => None,
        }
    }
}

/// The cluster named by the command line, else the one of `stoke up`; an error when that is not running.
pub async fn open(home: &Home, target: &Target) -> Outcome<Session> {
    if let Some(context) = &target.context {
        return by_context(context, target).await;
    }
    up(home, target).await?.ok_or_else(|| {
        LaptopError::environment("stoke::cluster::not-running", "the embedded cluster is not running")
            .fix("start it with `stoke up --detach`, or name another cluster with `--context`")
    })
}

/// As [`open`], but starts a private cluster when none is up.
pub async fn open_or_start(home: &Home, target: &Target, size: &Size) -> Outcome<Session> {
    if target.context.is_some() {
        return open(home, target).await;
    }
    if let Some(session) = up(home, target).await? {
        return Ok(session);
    }
    let embedded = Embedded::start_private(home, size).await?;
    Ok(Session {
        client: embedded.client(),
        namespace: namespace(target, "default"),
        place: Place::Private(Box::new(embedded)),
    })
}

fn namespace(target: &Target, fallback: &str) -> String {
    target.namespace.clone().unwrap_or_else(|| fallback.to_string())
}

async fn by_context(context: &str, target: &Target) -> Outcome<Session> {
    let options = KubeConfigOptions {
        context: Some(context.to_string()),
        ..KubeConfigOptions::default()
    };
    let config = kube::Config::from_kubeconfig(&options).await.map_err(|error| {
        LaptopError::input(
            "stoke::context::unknown",
            format!("context `{context}` cannot be used: {error}"),
        )
        .fix("`kubectl config get-contexts` lists the contexts there are")
    })?;
    let fallback = config.default_namespace.clone();
    let client = Client::try_from(config)?;
    Ok(Session {
        client,
        namespace: namespace(target, &fallback),
        place: Place::Context(context.to_string()),
    })
}

async fn up(home: &Home, target: &Target) -> Outcome<Option<Session>> {
    let Some(client) = connect(&home.default_cluster()).await else {
        return Ok(None);
    };
    Ok(Some(Session {
        client,
        namespace: namespace(target, "default"),
        place: Place::Up,
    }))
}

/// A client of the cluster whose directory this is, if it answers.
pub async fn connect(directory: &Path) -> Option<Client> {
    let kubeconfig = Kubeconfig::read_from(directory.join("kubeconfig")).ok()?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .ok()?;
    config.connect_timeout = Some(Duration::from_secs(2));
    let client = Client::try_from(config).ok()?;
    let answer = tokio::time::timeout(Duration::from_secs(3), client.apiserver_version()).await;
    matches!(answer, Ok(Ok(_))).then_some(client)
}
