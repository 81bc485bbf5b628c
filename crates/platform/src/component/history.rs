//! Stoke's History Server.

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, deployment, image, service};
use crate::render::{Scope, variable};
use crate::spec::components::HistoryServer;

pub const ABOUT: About = About {
    kind: "history-server",
    title: "Stoke's History Server",
    versions: &[],
    gives: &[Gives::History],
    user: 65532,
    port: 18080,
    usual: ("250m", "512Mi"),
    health: "the list of applications, which is read from the object store",
    metrics: Some(("http", "/metrics")),
    embedded: Embedded::Runs,
};

/// Where it keeps what it found out of logs; it may be lost.
const CACHE: &str = "/var/cache/stoke";

pub fn objects(name: &str, it: &HistoryServer, scope: &Scope<'_>) -> Vec<Value> {
    let Some(store) = scope.store(&it.store) else {
        return Vec::new();
    };
    let mut args = vec!["history".to_owned(), "serve".to_owned()];
    let mut option = |option: &str, value: String| args.extend([option.to_owned(), value]);
    option("--dir", store.url(&it.path));
    option("--listen", format!("0.0.0.0:{}", ABOUT.port));
    option("--cache", CACHE.to_owned());
    option("--memory", it.cache.to_string());
    for host in [Some(name.to_owned()), Some(scope.host(name)), it.host.clone()]
        .into_iter()
        .flatten()
    {
        option("--host", host);
    }
    let mut pod = Pod {
        image: image(&it.run, concat!("stoke:", env!("CARGO_PKG_VERSION"))),
        args,
        env: vec![variable("STOKE_HOME", CACHE)],
        ports: vec![("http", ABOUT.port)],
        // Asked by its address it would refuse a name that it does not know.
        probe: json!({"httpGet": {"path": "/api/v1/applications?limit=1", "port": "http",
            "httpHeaders": [{"name": "Host", "value": format!("localhost:{}", ABOUT.port)}]}}),
        period: 10,
        grace: 15,
        ..Pod::default()
    };
    pod.mount_empty("cache", CACHE);
    pod.ask(store);
    let mut all = vec![service(name, &[("http", ABOUT.port)], scope)];
    all.extend(deployment(name, 1, &it.run, &ABOUT, pod, scope));
    all
}
