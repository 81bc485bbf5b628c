//! The headless service that gives the driver its name.

use serde_json::{Value, json};

use crate::build::Build;
use crate::driver::{BLOCK_MANAGER_PORT, ports};
use crate::error::PlanError;
use crate::object::{Object, merge_into};
use crate::submission::Role;

/// Refuses what the service replaces, and tells the driver its address.
pub(crate) fn service(build: &mut Build<'_>) -> Result<(), PlanError> {
    if build.conf.contains("spark.driver.bindAddress") {
        return Err(PlanError::ForbiddenKey {
            key: "spark.driver.bindAddress".to_owned(),
            reason: "the driver binds to its pod's address",
        });
    }
    let conf = &build.conf;
    let policy = conf.choice(
        "spark.kubernetes.driver.service.ipFamilyPolicy",
        &["SingleStack", "PreferDualStack", "RequireDualStack"],
        "SingleStack",
    )?;
    let families = conf.choice(
        "spark.kubernetes.driver.service.ipFamilies",
        &["IPv4", "IPv6", "IPv4,IPv6", "IPv6,IPv4"],
        "IPv4",
    )?;
    let mut ports = ports(conf)?;
    ports[1].1 = conf.int("spark.driver.blockManager.port", BLOCK_MANAGER_PORT)?;

    let mut metadata = Object::new();
    metadata.insert("name".to_owned(), json!(build.service_name));
    merge_into(
        &mut metadata,
        "annotations",
        conf.with_prefix("spark.kubernetes.driver.service.annotation."),
    );
    merge_into(
        &mut metadata,
        "labels",
        vec![("spark-app-selector".to_owned(), build.app_id().to_owned())],
    );
    merge_into(
        &mut metadata,
        "labels",
        conf.with_prefix("spark.kubernetes.driver.service.label."),
    );

    let mut spec = Object::new();
    spec.insert("clusterIP".to_owned(), json!("None"));
    spec.insert("ipFamilies".to_owned(), json!(families.split(',').collect::<Vec<_>>()));
    spec.insert("ipFamilyPolicy".to_owned(), json!(policy));
    let grpc = conf.version.since(4, 2);
    let port = |(name, port): (&str, i32)| {
        let mut declared = json!({"name": name, "port": port, "targetPort": port});
        if name == "spark-connect" && grpc {
            declared["appProtocol"] = json!("grpc");
        }
        declared
    };
    spec.insert(
        "ports".to_owned(),
        Value::Array(ports.iter().copied().map(port).collect()),
    );
    if conf.version.since(4, 3) {
        let publish = conf.bool("spark.kubernetes.driver.service.publishNotReadyAddresses", false)?;
        spec.insert("publishNotReadyAddresses".to_owned(), json!(publish));
    }
    merge_into(&mut spec, "selector", build.labels()?);

    let host = format!("{}.{}.svc", build.service_name, build.namespace);
    let (driver_port, block_manager_port) = (ports[0].1, ports[1].1);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    build.add(Role::DriverService, service);
    build.add_property("spark.driver.host", host);
    build.add_property("spark.driver.port", driver_port.to_string());
    build.add_property("spark.driver.blockManager.port", block_manager_port.to_string());
    Ok(())
}
