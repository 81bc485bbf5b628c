//! PostgreSQL: one pod with a volume. Databases are made by those that use them.

use serde_json::{Value, json};

use super::{About, Embedded, Gives};
use crate::render::pod::{Pod, Volume, headless, image, stateful_set};
use crate::render::{Scope, secret_variable, variable};
use crate::spec::components::Postgresql;

pub const ABOUT: About = About {
    kind: "postgresql",
    title: "PostgreSQL",
    versions: &["15", "15.19", "15.15"],
    gives: &[Gives::Database],
    user: 999,
    port: 5432,
    usual: ("250m", "512Mi"),
    health: "a query over TCP, as the user of the Secret",
    metrics: None,
    embedded: Embedded::Runs,
};

const PORTS: [(&str, u16); 1] = [("postgresql", ABOUT.port)];

/// The server; none where it is outside.
pub fn objects(name: &str, it: &Postgresql, scope: &Scope<'_>) -> Vec<Value> {
    if it.outside.is_some() {
        return Vec::new();
    }
    let login = &it.login;
    let pod = Pod {
        image: image(&it.run, &format!("postgres:{}", it.version)),
        env: vec![
            secret_variable("POSTGRES_USER", &login.secret, &login.user),
            secret_variable("POSTGRES_PASSWORD", &login.secret, &login.password),
            variable("POSTGRES_DB", "postgres"),
            // A volume's root may have a `lost+found`, which initdb refuses.
            variable("PGDATA", "/var/lib/postgresql/data/pgdata"),
            pod_address(),
        ],
        ports: PORTS.to_vec(),
        // Over TCP: while the server is made ready for the first time it listens at its socket only.
        probe: json!({"exec": {"command": ["sh", "-c",
            "PGPASSWORD=\"$POSTGRES_PASSWORD\" psql -h \"$POD_IP\" -U \"$POSTGRES_USER\" -d postgres -tAc 'SELECT 1'"]}}),
        period: 10,
        grace: 60,
        ..Pod::default()
    };
    let volume = Volume {
        storage: it.storage.as_ref(),
        usual: "10Gi",
        path: "/var/lib/postgresql/data",
        service: name,
    };
    let mut all = vec![headless(name, name, "", &PORTS, scope)];
    all.extend(stateful_set(name, 1, &it.run, &ABOUT, pod, volume, scope));
    all
}

/// The address of the pod, for questions from inside.
pub fn pod_address() -> Value {
    json!({"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}})
}
