//! What stands beside a run: the service of the Spark UI and its way in (ingress or route), further services of the driver, the disruption budget.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stoke_model::crd::SparkApplication;
use stoke_model::names;

use super::conf::{Conf, set};
use super::error::ApplicationError;
use super::routes::{Url, WayIn, way_in};
use super::settings::{IngressSettings, Settings};
use crate::{Resource, Role, SubmitRequest};

/// The way to the Spark UI of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ui {
    /// Name of its service.
    pub service: String,
    /// Port of the service.
    pub port: i32,
    /// Name of the ingress or route, and the address it is reached at.
    pub way_in: Option<(String, String)>,
}

/// All of them, and the way to the UI. Their owner is the driver pod, whose UID is known only once it is there: see [`super::ApplicationPlan::owned`].
///
/// # Errors
/// Ingress URLs that are none; ports out of range.
pub fn beside(
    app: &SparkApplication,
    request: &SubmitRequest,
    settings: &Settings,
) -> Result<(Vec<Resource>, Option<Ui>), ApplicationError> {
    let application_id = &request.identity.application_id;
    let mut objects = Vec::new();
    let mut ui = None;
    if settings.ui_service && ui_is_on(&request.conf) {
        let (service, port) = ui_service(app, &request.conf)?;
        let service = Resource::new(Role::UiService, service);
        let name = service.name().to_owned();
        objects.push(service);
        let way_in = ui_ingress(app, application_id, &request.conf, settings)?;
        let way_in = way_in.map(|object| Resource::new(Role::UiWayIn, object));
        let address = match way_in {
            Some(_) => ui_ingress_address(app, application_id, settings)?,
            None => None,
        };
        ui = Some(Ui {
            service: name,
            port,
            way_in: way_in.as_ref().map(|way_in| way_in.name().to_owned()).zip(address),
        });
        objects.extend(way_in);
    }
    for option in app.spec.driver_ingress_options.iter().flatten() {
        let port = option.service_port.unwrap_or_default();
        let service = Service {
            name: names::short_name(super::name(app), &format!("driver-{port}")),
            port_name: option
                .service_port_name
                .clone()
                .unwrap_or_else(|| format!("driver-ing-{port}")),
            port: checked_port("spec.driverIngressOptions.servicePort", port)?,
            target: port,
            kind: option.service_type.as_deref(),
            labels: option.service_labels.as_ref(),
            annotations: option.service_annotations.as_ref(),
        };
        objects.push(Resource::new(Role::PortService, service.object(app)));
        let ingress = IngressSettings {
            url_format: option.ingress_url_format.clone().unwrap_or_default(),
            ..settings.ui_ingress.clone().unwrap_or_default()
        };
        if !ingress.url_format.is_empty() {
            let name = names::short_name(super::name(app), &format!("ing-{port}"));
            let url = Url::of(
                "spec.driverIngressOptions.ingressURLFormat",
                app,
                application_id,
                &ingress.url_format,
            )?;
            let object = way_in(
                app,
                &WayIn {
                    name,
                    url: &url,
                    service: &service.name,
                    port: service.port,
                    annotations: option.ingress_annotations.as_ref(),
                    tls: option.ingress_tls.as_deref(),
                    place: "spec.driverIngressOptions.ingressTLS",
                },
                &ingress,
            )?;
            objects.push(Resource::new(Role::PortWayIn, object));
        }
    }
    if app
        .spec
        .driver_pod_disruption_budget
        .unwrap_or(settings.driver_disruption_budget)
    {
        objects.push(Resource::new(Role::DisruptionBudget, disruption_budget(app)));
    }
    Ok((objects, ui))
}

/// Address of the Spark UI through its ingress; none when there is no ingress.
///
/// # Errors
/// An ingress URL that is none.
pub fn ui_ingress_address(
    app: &SparkApplication,
    application_id: &str,
    settings: &Settings,
) -> Result<Option<String>, ApplicationError> {
    let Some(ingress) = &settings.ui_ingress else {
        return Ok(None);
    };
    let url = Url::of("ingress URL format", app, application_id, &ingress.url_format)?;
    let scheme = match settings.ui_ingress.as_ref().is_some_and(|ingress| is_tls(app, ingress)) {
        true => "https",
        false => url.scheme.as_str(),
    };
    Ok(Some(format!("{scheme}://{}{}", url.host, url.path)))
}

/// Whether the UI is served over TLS, by the application's own word or by the operator's.
fn is_tls(app: &SparkApplication, ingress: &IngressSettings) -> bool {
    let own = app
        .spec
        .spark_ui_options
        .as_ref()
        .and_then(|options| options.ingress_tls.as_ref());
    own.is_some_and(|tls| !tls.is_empty()) || !ingress.tls.is_empty()
}

/// Spark's UI must know the path it is served under.
pub(super) fn add_configuration(
    app: &SparkApplication,
    settings: &Settings,
    conf: &mut Conf,
) -> Result<(), ApplicationError> {
    let Some(ingress) = settings.ui_ingress.as_ref().filter(|_| settings.ui_service) else {
        return Ok(());
    };
    let url = Url::of("ingress URL format", app, "", &ingress.url_format)?;
    if url.has_path() {
        set(conf, "spark.ui.proxyBase", url.path);
        set(conf, "spark.ui.proxyRedirectUri", "/");
    }
    Ok(())
}

fn ui_is_on(conf: &Conf) -> bool {
    conf.get("spark.ui.enabled")
        .is_none_or(|enabled| !enabled.trim().eq_ignore_ascii_case("false"))
}

/// Port of the UI in the driver.
pub(crate) fn ui_port(conf: &Conf) -> i32 {
    let configured = conf.get("spark.ui.port").and_then(|port| port.trim().parse().ok());
    configured.unwrap_or(i32::from(names::UI_PORT))
}

/// The service and its port.
fn ui_service(app: &SparkApplication, conf: &Conf) -> Result<(Value, i32), ApplicationError> {
    let options = app.spec.spark_ui_options.clone().unwrap_or_default();
    let service = Service {
        name: names::ui_service(super::name(app)),
        port_name: options
            .service_port_name
            .unwrap_or_else(|| names::UI_PORT_NAME.to_owned()),
        port: checked_port(
            "spec.sparkUIOptions.servicePort",
            options.service_port.unwrap_or_else(|| ui_port(conf)),
        )?,
        target: ui_port(conf),
        kind: options.service_type.as_deref(),
        labels: options.service_labels.as_ref(),
        annotations: options.service_annotations.as_ref(),
    };
    Ok((service.object(app), service.port))
}

fn ui_ingress(
    app: &SparkApplication,
    application_id: &str,
    conf: &Conf,
    settings: &Settings,
) -> Result<Option<Value>, ApplicationError> {
    let Some(ingress) = &settings.ui_ingress else {
        return Ok(None);
    };
    let options = app.spec.spark_ui_options.clone().unwrap_or_default();
    let url = Url::of("ingress URL format", app, application_id, &ingress.url_format)?;
    let service = names::ui_service(super::name(app));
    let port = options.service_port.unwrap_or_else(|| ui_port(conf));
    way_in(
        app,
        &WayIn {
            name: names::ui_ingress(super::name(app)),
            url: &url,
            service: &service,
            port,
            annotations: options.ingress_annotations.as_ref(),
            tls: options.ingress_tls.as_deref(),
            place: "spec.sparkUIOptions.ingressTLS",
        },
        ingress,
    )
    .map(Some)
}

/// A service of the driver.
struct Service<'a> {
    name: String,
    port_name: String,
    port: i32,
    target: i32,
    kind: Option<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
    annotations: Option<&'a BTreeMap<String, String>>,
}

impl Service<'_> {
    fn object(&self, app: &SparkApplication) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(app, &self.name, self.labels, self.annotations),
            "spec": {
                "type": self.kind.unwrap_or("ClusterIP"),
                "ports": [{"name": self.port_name, "port": self.port, "targetPort": self.target, "protocol": "TCP"}],
                "selector": driver_selector(app),
            },
        })
    }
}

fn driver_selector(app: &SparkApplication) -> Value {
    json!({names::LABEL_APP_NAME: super::name(app), names::LABEL_SPARK_ROLE: names::ROLE_DRIVER})
}

/// Name, namespace, our labels and the author's, annotations.
pub(super) fn metadata(
    app: &SparkApplication,
    name: &str,
    labels: Option<&BTreeMap<String, String>>,
    annotations: Option<&BTreeMap<String, String>>,
) -> Value {
    let mut all = labels.cloned().unwrap_or_default();
    all.insert(names::LABEL_APP_NAME.to_owned(), super::name(app).to_owned());
    all.insert(names::LABEL_CREATED_BY.to_owned(), "true".to_owned());
    let mut metadata = json!({"name": name, "namespace": super::namespace(app), "labels": all});
    if let Some(annotations) = annotations.filter(|annotations| !annotations.is_empty()) {
        metadata["annotations"] = json!(annotations);
    }
    metadata
}

fn disruption_budget(app: &SparkApplication) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(app, &names::short_name(super::name(app), "driver-pdb"), None, None),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": driver_selector(app)}},
    })
}

fn checked_port(path: &str, port: i32) -> Result<i32, ApplicationError> {
    if (1..=65535).contains(&port) {
        return Ok(port);
    }
    Err(ApplicationError::field(
        path,
        format!("{port} is not a port; it must be between 1 and 65535"),
    ))
}
