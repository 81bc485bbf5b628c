//! `stoke console`: pages of any cluster, on a laptop for whoever has the link, or in the cluster for whoever has a token.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use kube::config::KubeConfigOptions;
use serde_json::json;
use stoke_eventlog::Source;
use stoke_history::index::{Index, Settings};
use stoke_laptop::event_logs;
use stoke_laptop::home::Home;
use stoke_laptop::interrupt::{interrupted, listen};
use stoke_laptop::monitoring::addresses;
use stoke_laptop::session::{self, Place};
use stoke_web::access::oidc::{self, Provider};
use stoke_web::{Access, Terms};
use tokio::net::TcpListener;

use super::history::{base_path, span};
use super::pages::PageSources;
use super::watched::watched;
use crate::cli::{Context, Target};
use crate::failure::{Failure, Outcome};
use crate::terminal::Format;

/// Arguments of `stoke console`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Where the event logs of its applications are; `stoke up` has a place of its own [default: no history for another cluster]
    #[arg(long, value_name = "PLACE")]
    history: Option<String>,
    #[command(flatten)]
    pages: PageSources,
    /// Address to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:26081")]
    listen: SocketAddr,
    /// Name in an address besides this machine's, for example of an ingress; can be given again
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// What stands before every path behind a proxy, for example /spark
    #[arg(long, value_name = "PATH", default_value = "", value_parser = base_path)]
    base_path: String,
    /// Let visitors sign in with tokens of their own instead of a secret link; every request then goes out with the visitor's token
    #[arg(long)]
    pub tokens: bool,
    /// How long a session lasts without a request of its visitor; with --tokens
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = span, requires = "tokens")]
    idle: Duration,
    /// How long a session lasts in all; with --tokens
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = span, requires = "tokens")]
    session: Duration,
    #[command(flatten)]
    oidc: Oidc,
}

/// The identity provider that visitors may sign in with; the API server must take its ID tokens.
#[derive(clap::Args)]
struct Oidc {
    /// Let visitors sign in with the OpenID Connect provider at this address, too; the API server is then shown their ID tokens
    #[arg(long = "oidc-issuer", value_name = "URL", requires_all = ["tokens", "client_id"])]
    issuer: Option<String>,
    /// Id of this console at the provider, whose redirect address is https://HOST/sign-in/oidc/back
    #[arg(long = "oidc-client-id", value_name = "ID", requires = "issuer")]
    client_id: Option<String>,
    /// File with the secret that the provider has given this client; without it the client is public
    #[arg(long = "oidc-client-secret-file", value_name = "FILE", requires = "issuer")]
    client_secret_file: Option<PathBuf>,
    /// File with the authorities the provider's certificate is of [default: those of this machine]
    #[arg(long = "oidc-ca-file", value_name = "FILE", requires = "issuer")]
    ca_file: Option<PathBuf>,
    /// What is asked for besides `openid`; `offline_access` or what else makes the provider renew tokens, and what brings the claims that the API server looks at
    #[arg(
        long = "oidc-scopes",
        value_name = "SCOPES",
        default_value = "profile,email",
        value_delimiter = ',',
        requires = "issuer"
    )]
    scopes: Vec<String>,
}

/// Memory that loaded applications may take, in bytes.
const MEMORY: usize = 64 << 20;
/// How often event logs are looked at.
const OFTEN: Duration = Duration::from_secs(5);
/// Where a pod finds the authority of its API server, also when it has no token.
const AUTHORITY: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// Runs the command.
pub async fn run(arguments: Arguments, context: &mut Context) -> Outcome<u8> {
    if !arguments.tokens && !arguments.listen.ip().is_loopback() {
        return Err(Failure::input(
            "stoke::console::listen",
            format!(
                "{}: whoever reaches it and has the link would act as you",
                arguments.listen
            ),
        )
        .fix("listen at 127.0.0.1, or give --tokens, so that visitors sign in with tokens of their own"));
    }
    let prices = arguments.pages.prices()?;
    listen()?;
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::environment("stoke::console::listen", format!("{}: {error}", arguments.listen))
            .fix("name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let (access, own, session) = match arguments.tokens {
        true => (by_token(&arguments).await?, None, None),
        false => {
            let session = session::open(&context.home, &arguments.target.cluster()).await?;
            let namespaces = arguments.target.namespace.iter().cloned().collect();
            let (who, own) = match &session.place {
                Place::Context(name) => (name.clone(), None),
                Place::Up | Place::Private(_) => ("stoke up".to_owned(), Some(&context.home)),
            };
            let access = Access::by_link(session.client.clone(), namespaces, &who, address.port());
            (access, own, Some(session))
        }
    };
    let quality = own.map(Home::quality);
    let quality = arguments.pages.quality(&context.home, quality.as_deref()).await?;
    let alertmanager = own.and_then(|home| addresses(&home.default_cluster()));
    let own = own.map(event_logs::directory);
    let source = source(&arguments, own, context).await?;
    let mut watching = arguments.pages.watching(source.clone(), &mut context.terminal)?;
    if session.is_some() {
        // Of the cluster that is up, with whose monitoring it was started.
        if let (Some((_, alertmanager)), false) = (alertmanager, arguments.pages.names_alertmanager()) {
            watching.alertmanager(&alertmanager)?;
        }
        watching.files(&context.home, session);
    }
    let index = Arc::new(index(source));
    let link = access.link();
    let settings = stoke_web::Settings {
        hosts: arguments.hosts,
        base_path: arguments.base_path.clone(),
        local: address.ip().is_loopback(),
        prices,
        quality,
        watched: watching.board.clone(),
        access: Some(Arc::new(access)),
    };
    let shown = format!(
        "http://{address}{}{}",
        arguments.base_path,
        link.as_deref().unwrap_or("/")
    );
    match (context.terminal.format(), link) {
        (Format::Json, _) => context.terminal.json(&json!({ "address": shown })),
        (Format::Text, Some(_)) => {
            context.terminal.out(&shown);
            context
                .terminal
                .note("whoever has this link acts as you; it ends with this command");
        }
        (Format::Text, None) => context
            .terminal
            .out(format!("{shown} (visitors sign in with their tokens)")),
    }
    let first = index.clone();
    let scan = tokio::task::spawn_blocking(move || first.scan()).await;
    if let Ok(Err(error)) = scan {
        context.terminal.note(format!("event logs: {error}"));
    }
    tokio::select! {
        ended = stoke_web::serve(index, settings, listener, OFTEN) => ended?,
        () = watched(watching) => {}
        _ = interrupted() => {}
    }
    Ok(0)
}

/// The event logs that are named, or those of this machine.
async fn source(arguments: &Arguments, own: Option<PathBuf>, context: &Context) -> Outcome<Option<Source>> {
    Ok(match (&arguments.history, own) {
        (Some(place), _) => Some(event_logs::source(place, &context.home).await?),
        (None, own) => own.map(Source::directory),
    })
}

fn index(source: Option<Source>) -> Index {
    let settings = Settings {
        memory: MEMORY,
        ..Settings::default()
    };
    Index::new(source.unwrap_or_else(Source::nothing), settings, None)
}

/// The API server that visitors' tokens are of: the one of a context, or the one of the pod this runs in. Nothing of ours is needed but its address
/// and its authority.
async fn by_token(arguments: &Arguments) -> Outcome<Access> {
    let provider = provider(&arguments.oidc)?;
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::environment("stoke::console::cluster", format!("no cluster is known here: {error}"))
            .fix("run it in a pod, or name a context of your kubeconfig with --context")
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let config = match (&arguments.target.context, variable("KUBERNETES_SERVICE_HOST")) {
        (None, Some(host)) => {
            let port = variable("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
            let host = if host.contains(':') { format!("[{host}]") } else { host };
            let url = format!("https://{host}:{port}")
                .parse()
                .map_err(|error| wrong(&error))?;
            let mut config = Config::new(url);
            config.root_cert_file = Some(AUTHORITY.into());
            config
        }
        (context, _) => {
            let options = KubeConfigOptions {
                context: context.clone(),
                ..KubeConfigOptions::default()
            };
            Config::from_kubeconfig(&options).await.map_err(|error| wrong(&error))?
        }
    };
    let terms = Terms {
        idle: arguments.idle,
        whole: arguments.session,
        ..Terms::CLUSTER
    };
    let access = Access::by_token(&config, terms);
    Ok(match provider {
        Some(provider) => access.with_provider(provider),
        None => access,
    })
}

fn provider(arguments: &Oidc) -> Outcome<Option<Provider>> {
    let (Some(issuer), Some(client)) = (&arguments.issuer, &arguments.client_id) else {
        return Ok(None);
    };
    let read = |file: &PathBuf| {
        std::fs::read(file).map_err(|error| {
            Failure::input("stoke::console::oidc", format!("{}: {error}", file.display()))
                .fix("name a file that this user may read")
        })
    };
    // The secret is read again at each sign-in; that it is not there is said now.
    if let Some(file) = &arguments.client_secret_file {
        read(file)?;
    }
    let terms = oidc::Terms {
        issuer: issuer.clone(),
        client_id: client.clone(),
        client_secret: arguments.client_secret_file.clone(),
        scopes: arguments
            .scopes
            .iter()
            .filter(|scope| !scope.is_empty())
            .cloned()
            .collect(),
        authorities: arguments.ca_file.as_ref().map(read).transpose()?,
    };
    let provider = Provider::new(terms).map_err(|problem| {
        Failure::input("stoke::console::oidc", problem).fix(
            "give --oidc-issuer as it stands in the provider's tokens, and --oidc-ca-file with certificates as PEM",
        )
    })?;
    Ok(Some(provider))
}
