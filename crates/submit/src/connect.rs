//! A `SparkConnect` becomes the objects of its server: a driver that answers clients instead of running a program.
//!
//! In: the object with name, namespace and UID, the number of the attempt, and [`Settings`]. Out: [`ConnectPlan`]. The server is the driver that
//! an application with Spark's own class `SparkConnectServer` would have, so every rule of applications holds for it too: configuration in the
//! published order, refused keys, pod templates without a webhook. Never: I/O, clock, randomness.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};
use stoke_model::crd::{
    ApplicationType, DriverSpec, ExecutorSpec, SparkApplication, SparkApplicationSpec, SparkConnect,
};
use stoke_model::{defaults, names};

use crate::application::conf::Conf;
use crate::application::{ApplicationError, Settings, complete, request_from_application};
use crate::{Role, Submission};

/// Spark's own class of the server.
const SERVER_CLASS: &str = "org.apache.spark.sql.connect.service.SparkConnectServer";
/// Key of the port the server listens on.
const PORT_KEY: &str = "spark.connect.grpc.binding.port";
/// Milliseconds-with-unit an executor with shuffle data is kept when nothing uses it; without a limit a server never gives one back.
const SHUFFLE_TIMEOUT: &str = "10min";

/// Everything one server consists of.
///
/// Order at the API: [`ConnectPlan::service`], the pod, then [`ConnectPlan::owned`] with the UID the API gave to the pod.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectPlan {
    /// Name of the pod and of the service.
    pub name: String,
    /// The port clients connect to.
    pub port: u16,
    /// The service clients use, owned by the SparkConnect: its address outlives a pod.
    pub service: Value,
    /// The server pod, owned by the SparkConnect. POST it: `env` may name a variable twice.
    pub pod: Value,
    /// Spark's own objects: headless service, ConfigMaps.
    pub submission: Submission,
}

impl ConnectPlan {
    /// What belongs to the server pod, with that pod (of this `uid`) as owner, in order of creation.
    #[must_use]
    pub fn owned(&self, uid: &str) -> Vec<Value> {
        self.submission.owned(uid)
    }

    /// What clients are given: `sc://<name>-server.<namespace>.svc:15002`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("sc://{}.{}.svc:{}", self.name, self.submission.namespace, self.port)
    }
}

/// All objects of attempt `attempt` (1, 2, …) of a server. `settings.submission_id` tells apart specs.
///
/// # Errors
/// What is wrong with the spec, by field; what Spark refuses.
pub fn plan_connect(
    connect: &SparkConnect,
    attempt: u32,
    settings: &Settings,
) -> Result<ConnectPlan, ApplicationError> {
    let app = as_application(connect)?;
    let name = names::connect_server(crate::application::name(&app));
    check_service(connect, &name)?;
    let mut request = request_from_application(&app, attempt, settings)?;
    relabel(&app, &mut request.conf);
    give_executors_back(&mut request.conf);
    let port = port(&request.conf)?;
    let ui_port = crate::application::extras::ui_port(&request.conf);
    let mut submission = crate::plan(&request)?;
    complete::complete(&app, &mut submission)?;
    let mut pod = submission.driver_pod.clone();
    pod["metadata"]["ownerReferences"] = json!([owner_reference(connect)]);
    pod["metadata"]["labels"][names::LABEL_SPARK_ROLE] = json!(names::ROLE_CONNECT_SERVER);
    add_port_and_probe(&mut pod, port);
    for object in &mut submission.resources {
        if object.role == Role::DriverService {
            let object = &mut object.object;
            // Executors find the server by this name, also while it is not ready for clients.
            object["spec"]["selector"][names::LABEL_SPARK_ROLE] = json!(names::ROLE_CONNECT_SERVER);
            object["spec"]["publishNotReadyAddresses"] = json!(true);
        }
    }
    Ok(ConnectPlan {
        service: service(connect, &app, &name, port, ui_port),
        name,
        port,
        pod,
        submission,
    })
}

/// Where the server's UI is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ui {
    /// At this port.
    At(u16),
    /// There is none, or it keeps nothing of what happens; why.
    Off(String),
}

/// Where the UI of a server of this spec is, by its configuration.
///
/// # Errors
/// What is wrong with the spec, as for [`plan_connect`].
pub fn ui(connect: &SparkConnect, settings: &Settings) -> Result<Ui, ApplicationError> {
    let conf = configuration(connect, settings)?;
    let value = |key: &str| conf.get(key).map(|value| value.trim());
    if value("spark.ui.enabled").is_some_and(|value| value.eq_ignore_ascii_case("false")) {
        return Ok(Ui::Off("spark.ui.enabled is false".to_owned()));
    }
    for key in [
        "spark.connect.ui.retainedSessions",
        "spark.connect.ui.retainedStatements",
    ] {
        if value(key)
            .and_then(|value| value.parse::<i64>().ok())
            .is_some_and(|count| count < 1)
        {
            return Ok(Ui::Off(format!("{key} is less than 1")));
        }
    }
    let port = crate::application::extras::ui_port(&conf);
    Ok(match u16::try_from(port) {
        Ok(port) if port > 0 => Ui::At(port),
        _ => Ui::Off(format!("spark.ui.port is {port}, which is not a fixed port")),
    })
}

/// The configuration of a server of this spec.
///
/// # Errors
/// What is wrong with the spec, as for [`plan_connect`].
pub fn configuration(connect: &SparkConnect, settings: &Settings) -> Result<Conf, ApplicationError> {
    Ok(request_from_application(&as_application(connect)?, 1, settings)?.conf)
}

/// The application whose driver the server is.
fn as_application(connect: &SparkConnect) -> Result<SparkApplication, ApplicationError> {
    let spec = connect.spec.clone();
    let mut metadata = connect.metadata.clone();
    metadata.managed_fields = None;
    let name = metadata.name.clone().unwrap_or_default();
    let server = names::connect_server(&name);
    if server.len() > names::LABEL_LIMIT {
        return Err(ApplicationError::field(
            "metadata.name",
            format!(
                "`{name}` is too long: its service is called `{server}`, and a service has at most {} characters",
                names::LABEL_LIMIT
            ),
        ));
    }
    // As the published operator takes it: the image of the template's container, where the spec names none. Executors without one of their own run the server's.
    let image = spec.image.or_else(|| template_image(spec.server.pod.template.as_ref()));
    let mut executor_pod = spec.executor.pod;
    if executor_pod.image.is_none() {
        executor_pod.image = template_image(executor_pod.template.as_ref());
    }
    let mut app = SparkApplication::new(
        &name,
        defaults::application(SparkApplicationSpec {
            type_: Some(ApplicationType::Scala),
            spark_version: Some(spec.spark_version).filter(|version| !version.is_empty()),
            image,
            deps: spec.deps,
            hadoop_conf: spec.hadoop_conf,
            spark_conf: spec.spark_conf,
            main_class: Some(SERVER_CLASS.to_owned()),
            main_application_file: Some("spark-internal".to_owned()),
            driver: Some(DriverSpec {
                pod: spec.server.pod,
                pod_name: Some(server),
                ..DriverSpec::default()
            }),
            executor: Some(ExecutorSpec {
                pod: executor_pod,
                instances: spec.executor.instances,
                ..ExecutorSpec::default()
            }),
            dynamic_allocation: spec.dynamic_allocation,
            ..SparkApplicationSpec::default()
        }),
    );
    app.metadata = metadata;
    Ok(app)
}

/// The image of Spark's container in a pod template: that of its name, else the first.
fn template_image(template: Option<&Value>) -> Option<String> {
    let containers = template?["spec"]["containers"].as_array()?;
    let named = |container: &&Value| {
        let name = container["name"].as_str().unwrap_or_default();
        name.starts_with("spark-kubernetes-")
    };
    let container = containers.iter().find(named).or(containers.first())?;
    Some(container["image"].as_str()?.to_owned())
}

/// The labels of a server's pods: it is not an application, and whoever looks for those must not find it.
fn relabel(app: &SparkApplication, conf: &mut Conf) {
    for role in ["driver", "executor"] {
        let key = |label: &str| format!("spark.kubernetes.{role}.label.{label}");
        for label in [
            names::LABEL_APP_NAME,
            names::LABEL_LAUNCHED_BY,
            names::LABEL_SUBMISSION_ID,
        ] {
            conf.remove(&key(label));
        }
        conf.insert(key(names::LABEL_CONNECT_NAME), crate::application::name(app).to_owned());
        conf.insert(key(names::LABEL_CREATED_BY), "true".to_owned());
    }
}

/// With dynamic allocation a server without work ends with no executors: none is the least unless said otherwise, and shuffle data that nothing
/// reads does not keep one for ever.
fn give_executors_back(conf: &mut Conf) {
    let is = |conf: &Conf, key: &str| {
        conf.get(key)
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    };
    if is(conf, "spark.dynamicAllocation.enabled") && is(conf, "spark.dynamicAllocation.shuffleTracking.enabled") {
        conf.entry("spark.dynamicAllocation.shuffleTracking.timeout".to_owned())
            .or_insert_with(|| SHUFFLE_TIMEOUT.to_owned());
    }
}

fn port(conf: &Conf) -> Result<u16, ApplicationError> {
    let Some(text) = conf.get(PORT_KEY) else {
        return Ok(names::CONNECT_PORT);
    };
    match text.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(ApplicationError::field(
            format!("spec.sparkConf.{PORT_KEY}"),
            format!("`{text}` is not a fixed port; write one between 1 and 65535, or remove the key"),
        )),
    }
}

fn add_port_and_probe(pod: &mut Value, port: u16) {
    let containers = pod["spec"]["containers"].as_array_mut();
    let spark = containers
        .into_iter()
        .flatten()
        .find(|container| container["name"] == names::DRIVER_CONTAINER);
    let Some(container) = spark.and_then(Value::as_object_mut) else {
        return;
    };
    let ports = container.entry("ports").or_insert_with(|| json!([]));
    if let Some(ports) = ports.as_array_mut() {
        // Newer Sparks declare the port themselves, under a name of theirs.
        ports.retain(|declared| declared["containerPort"] != json!(port));
        ports.push(json!({"name": names::CONNECT_CONTAINER_PORT_NAME, "containerPort": port, "protocol": "TCP"}));
    }
    container
        .entry("readinessProbe")
        .or_insert_with(|| json!({"tcpSocket": {"port": port}, "periodSeconds": 2, "failureThreshold": 3}));
}

/// A service in a spec has fields that this one cannot take from there.
fn check_service(connect: &SparkConnect, name: &str) -> Result<(), ApplicationError> {
    let Some(given) = &connect.spec.server.service else {
        return Ok(());
    };
    let mut rest = given.metadata.clone();
    (rest.labels, rest.annotations) = (None, None);
    if rest != ObjectMeta::default() {
        return Err(ApplicationError::field(
            "spec.server.service.metadata",
            format!("only labels and annotations are taken from here; the service is called `{name}`"),
        ));
    }
    if given.status.is_some() {
        return Err(ApplicationError::field(
            "spec.server.service.status",
            "is not for a spec; remove it".to_owned(),
        ));
    }
    Ok(())
}

/// The clients' service; what `spec.server.service` says wins.
fn service(connect: &SparkConnect, app: &SparkApplication, name: &str, port: u16, ui_port: i32) -> Value {
    let given = connect.spec.server.service.clone().unwrap_or_default();
    let connect_name = crate::application::name(app);
    let mut labels = given.metadata.labels.clone().unwrap_or_default();
    labels.insert(names::LABEL_CONNECT_NAME.to_owned(), connect_name.to_owned());
    labels.insert(names::LABEL_CREATED_BY.to_owned(), "true".to_owned());
    let mut spec = Map::new();
    spec.insert("type".to_owned(), json!("ClusterIP"));
    spec.insert(
        "selector".to_owned(),
        json!({names::LABEL_CONNECT_NAME: connect_name, names::LABEL_SPARK_ROLE: names::ROLE_CONNECT_SERVER}),
    );
    spec.insert(
        "ports".to_owned(),
        json!([
            {"name": names::CONNECT_PORT_NAME, "port": port, "targetPort": port, "protocol": "TCP", "appProtocol": "grpc"},
            {"name": names::UI_PORT_NAME, "port": ui_port, "targetPort": ui_port, "protocol": "TCP"},
        ]),
    );
    let chosen = given.spec.and_then(|spec| serde_json::to_value(spec).ok());
    for (field, value) in chosen.as_ref().and_then(Value::as_object).into_iter().flatten() {
        spec.insert(field.clone(), value.clone());
    }
    let mut metadata = json!({
        "name": name,
        "namespace": crate::application::namespace(app),
        "labels": labels,
        "ownerReferences": [owner_reference(connect)],
    });
    if let Some(annotations) = given.metadata.annotations.filter(|annotations| !annotations.is_empty()) {
        metadata["annotations"] = json!(annotations);
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

fn owner_reference(connect: &SparkConnect) -> Value {
    json!({
        "apiVersion": format!("{}/v1alpha1", names::GROUP),
        "kind": "SparkConnect",
        "name": connect.metadata.name.as_deref().unwrap_or_default(),
        "uid": connect.metadata.uid.as_deref().unwrap_or_default(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(spec: Value) -> Result<ConnectPlan, ApplicationError> {
        let connect: SparkConnect = serde_json::from_value(json!({
            "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
            "metadata": {"name": "lab", "namespace": "jobs", "uid": "7f1e"}, "spec": spec,
        }))
        .unwrap();
        let settings = Settings::new("k8s://https://kubernetes.default.svc", jiff::Timestamp::UNIX_EPOCH);
        plan_connect(&connect, 1, &settings)
    }

    fn least() -> Value {
        json!({"sparkVersion": "4.1.4", "image": "apache/spark:4.1.4", "server": {}, "executor": {"instances": 2}})
    }

    fn with(field: &str, value: Value) -> Value {
        let mut spec = least();
        spec[field] = value;
        spec
    }

    #[test]
    fn the_image_may_stand_in_the_pod_templates() {
        let template = |name: &str, image: &str| json!({"spec": {"containers": [{"name": "side", "image": "x"}, {"name": name, "image": image}]}});
        let mut spec = least();
        spec.as_object_mut().unwrap().remove("image");
        assert!(planned(spec.clone()).is_err());
        spec["server"] = json!({"template": template("spark-kubernetes-driver", "spark:a")});
        spec["executor"] = json!({"template": template("spark-kubernetes-executor", "spark:b")});
        let plan = planned(spec.clone()).unwrap();
        let properties = &plan.submission.properties;
        assert_eq!(properties["spark.kubernetes.container.image"], "spark:a");
        assert_eq!(properties["spark.kubernetes.executor.container.image"], "spark:b");
        spec["image"] = json!("spark:c");
        let plan = planned(spec).unwrap();
        assert_eq!(
            plan.submission.properties["spark.kubernetes.container.image"],
            "spark:c"
        );
    }

    #[test]
    fn dependencies_are_those_of_an_application() {
        let plan = planned(with("deps", json!({"packages": ["org.acme:a:1"]}))).unwrap();
        assert_eq!(plan.submission.properties["spark.jars.packages"], "org.acme:a:1");
    }

    #[test]
    fn a_server_is_the_driver_of_sparks_own_class_under_the_published_names() {
        let plan = planned(least()).unwrap();
        assert_eq!(plan.name, "lab-server");
        assert_eq!(plan.url(), "sc://lab-server.jobs.svc:15002");
        assert_eq!(plan.pod["metadata"]["name"], "lab-server");
        assert_eq!(plan.pod["metadata"]["ownerReferences"][0]["kind"], "SparkConnect");
        let labels = &plan.pod["metadata"]["labels"];
        assert_eq!(labels[names::LABEL_CONNECT_NAME], "lab");
        assert_eq!(labels[names::LABEL_SPARK_ROLE], "connect-server");
        assert_eq!(labels[names::LABEL_APP_NAME], Value::Null);
        assert_eq!(labels[names::LABEL_LAUNCHED_BY], Value::Null);
        let container = &plan.pod["spec"]["containers"][0];
        assert!(container["args"].to_string().contains(SERVER_CLASS), "{container}");
        assert_eq!(container["readinessProbe"]["tcpSocket"]["port"], 15002);
        let ports = container["ports"].as_array().unwrap();
        let connect = ports.iter().filter(|port| port["containerPort"] == 15002);
        assert_eq!(connect.map(|port| &port["name"]).collect::<Vec<_>>(), ["spark-connect"]);
        for port in ports {
            let name = port["name"].as_str().unwrap();
            assert!(name.len() <= 15, "Kubernetes refuses {name}");
        }
        assert_eq!(plan.submission.properties["spark.executor.instances"], "2");
        let executors = "spark.kubernetes.executor.label.sparkoperator.k8s.io/connect-name";
        assert_eq!(plan.submission.properties[executors], "lab");
    }

    #[test]
    fn executors_find_a_server_that_is_not_ready_and_clients_do_not() {
        let plan = planned(least()).unwrap();
        let headless = plan.submission.resource(Role::DriverService).unwrap();
        assert_eq!(headless["spec"]["publishNotReadyAddresses"], true);
        let labels = plan.pod["metadata"]["labels"].as_object().unwrap();
        for service in [headless, &plan.service] {
            let selector = service["spec"]["selector"].as_object().unwrap();
            assert!(
                selector.iter().all(|(key, value)| labels.get(key) == Some(value)),
                "{service}"
            );
        }
        assert_eq!(plan.service["spec"]["publishNotReadyAddresses"], Value::Null);
    }

    #[test]
    fn what_the_service_field_says_wins() {
        let service = json!({"metadata": {"annotations": {"a": "b"}}, "spec": {"type": "LoadBalancer"}});
        let plan = planned(with("server", json!({"service": service}))).unwrap();
        assert_eq!(plan.service["spec"]["type"], "LoadBalancer");
        assert_eq!(plan.service["metadata"]["annotations"]["a"], "b");
        assert_eq!(plan.service["metadata"]["name"], "lab-server");
        assert_eq!(plan.service["spec"]["ports"][0]["name"], "spark-connect-server");
    }

    #[test]
    fn a_port_of_its_own_is_the_same_everywhere() {
        let plan = planned(with("sparkConf", json!({PORT_KEY: "16000"}))).unwrap();
        assert_eq!(plan.port, 16000);
        assert_eq!(plan.service["spec"]["ports"][0]["port"], 16000);
        assert_eq!(
            plan.pod["spec"]["containers"][0]["readinessProbe"]["tcpSocket"]["port"],
            16000
        );
        let said = planned(with("sparkConf", json!({PORT_KEY: "0"})))
            .unwrap_err()
            .to_string();
        assert!(said.contains(PORT_KEY), "{said}");
    }

    #[test]
    fn the_ui_is_where_the_configuration_says() {
        let off = |why: &str| Ui::Off(why.to_owned());
        for (conf, expected) in [
            (json!({}), Ui::At(4040)),
            (json!({"spark.ui.port": "4050"}), Ui::At(4050)),
            (json!({"spark.ui.enabled": "False"}), off("spark.ui.enabled is false")),
            (
                json!({"spark.ui.port": "0"}),
                off("spark.ui.port is 0, which is not a fixed port"),
            ),
            (
                json!({"spark.connect.ui.retainedStatements": "0"}),
                off("spark.connect.ui.retainedStatements is less than 1"),
            ),
        ] {
            let mut connect: SparkConnect = serde_json::from_value(json!({
                "apiVersion": "sparkoperator.k8s.io/v1alpha1", "kind": "SparkConnect",
                "metadata": {"name": "lab", "namespace": "jobs"}, "spec": least(),
            }))
            .unwrap();
            connect.spec.spark_conf = serde_json::from_value(conf.clone()).unwrap();
            let settings = Settings::new("k8s://https://kubernetes.default.svc", jiff::Timestamp::UNIX_EPOCH);
            assert_eq!(ui(&connect, &settings).unwrap(), expected, "{conf}");
        }
    }

    #[test]
    fn dynamic_allocation_gives_executors_back() {
        let plan = planned(with("dynamicAllocation", json!({"enabled": true, "maxExecutors": 4}))).unwrap();
        let properties = &plan.submission.properties;
        assert_eq!(
            properties["spark.dynamicAllocation.shuffleTracking.timeout"],
            SHUFFLE_TIMEOUT
        );
        assert_eq!(properties.get("spark.dynamicAllocation.minExecutors"), None);
        let said = with(
            "dynamicAllocation",
            json!({"enabled": true, "shuffleTrackingTimeout": 5}),
        );
        let properties = planned(said).unwrap().submission.properties;
        assert_eq!(properties["spark.dynamicAllocation.shuffleTracking.timeout"], "5");
    }

    #[test]
    fn what_applications_may_not_set_servers_may_not_either() {
        let said = planned(with("sparkConf", json!({"spark.master": "local"})))
            .unwrap_err()
            .to_string();
        assert!(said.contains("is not allowed"), "{said}");
    }
}
