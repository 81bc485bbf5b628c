//! JupyterLab with Spark Connect at hand.

use serde_json::{Value, json};

use super::postgres::pod_address;
use super::{About, Embedded};
use crate::render::pod::{Pod, Volume, headless, image, stateful_set};
use crate::render::{Scope, secret_variable, variable};
use crate::spec::Component;
use crate::spec::components::Jupyterlab;

pub const ABOUT: About = About {
    kind: "jupyterlab",
    title: "JupyterLab",
    versions: &[],
    gives: &[],
    user: 1000,
    port: 8888,
    usual: ("500m", "2Gi"),
    health: "the list of kernels, with the token",
    metrics: None,
    embedded: Embedded::Runs,
};

/// Asks for the kernels as a browser would.
const PROBE: &str = "import os, urllib.request as web
address = 'http://%s:8888/api/kernelspecs' % os.environ['POD_IP']
asked = web.Request(address, headers={'Authorization': 'token ' + os.environ['JUPYTER_TOKEN']})
assert b'python3' in web.urlopen(asked, timeout=8).read()";

const PORTS: [(&str, u16); 1] = [("http", ABOUT.port)];

pub fn objects(name: &str, it: &Jupyterlab, scope: &Scope<'_>) -> Vec<Value> {
    let Some(Component::SparkConnect(connect)) = scope.component(&it.connect) else {
        return Vec::new();
    };
    let Some(spark) = scope.spark(&connect.spark) else {
        return Vec::new();
    };
    let mut env = vec![
        secret_variable("JUPYTER_TOKEN", &it.token.secret, &it.token.key),
        variable(
            "SPARK_REMOTE",
            format!("sc://{}:{}", scope.host(&it.connect), connect.port()),
        ),
        pod_address(),
    ];
    if let Some(tracking) = &it.tracking {
        env.push(variable(
            "MLFLOW_TRACKING_URI",
            format!("http://{}:5000", scope.host(tracking)),
        ));
    }
    let pod = Pod {
        // A client of Connect must not be newer than the server.
        image: image(
            &it.run,
            &format!("quay.io/jupyter/pyspark-notebook:spark-{}", spark.version),
        ),
        command: vec!["start-notebook.py".into()],
        env,
        ports: PORTS.to_vec(),
        probe: json!({"exec": {"command": ["python", "-c", PROBE]}}),
        period: 15,
        grace: 30,
        ..Pod::default()
    };
    let volume = Volume {
        storage: it.storage.as_ref(),
        usual: "10Gi",
        path: "/home/jovyan/work",
        service: name,
    };
    let mut all = vec![headless(name, name, "", &PORTS, scope)];
    all.extend(stateful_set(name, 1, &it.run, &ABOUT, pod, volume, scope));
    all
}
