//! The steps, in Spark's order.

use crate::build::Build;
use crate::conf::Conf;
use crate::error::PlanError;
use crate::prepare::prepare;
use crate::request::SubmitRequest;
use crate::submission::{Role, Submission};
use crate::volumes::{self, Owner};
use crate::{
    command, config_map, credentials, driver, hadoop, kerberos, local_dirs, names, network_policy, secrets, service,
    template, volcano,
};

/// The objects, uploads and warnings of a submission.
///
/// # Errors
/// What `spark-submit` of the same version refuses, and what its driver would refuse the moment it starts.
pub fn plan(request: &SubmitRequest) -> Result<Submission, PlanError> {
    let prepared = prepare(request)?;
    volumes::check(&prepared.conf, "executor")?;
    check_executor_prefix(&prepared.conf)?;
    let mut warnings = Vec::new();
    let draft = template::start(
        &prepared.conf,
        "driver",
        request.files.driver_template.as_ref(),
        &mut warnings,
    )?;
    let mut build = Build::new(request, prepared, draft);
    build.warnings.extend(warnings);

    let excluded = excluded_steps(&build.conf, "driver");
    for step in STEPS {
        if (build.request.spark_version.line() >= step.since) && !excluded.iter().any(|name| name == step.class) {
            (step.run)(&mut build)?;
        }
    }
    if volcano::configured(&build.conf, "driver")? && !excluded.iter().any(|name| name == volcano::STEP) {
        volcano::driver(&mut build)?;
    }
    let mut properties = build.conf.values.clone();
    properties.append(&mut build.added);
    config_map::config_map(&mut build, &properties)?;

    let driver_pod_name = match excluded.iter().any(|name| name == STEPS[0].class) {
        true => String::new(),
        false => build.pod_name(),
    };
    let service_name = (!excluded.iter().any(|name| name == SERVICE_STEP)).then(|| build.service_name.clone());
    Ok(Submission {
        application_id: build.app_id().to_owned(),
        namespace: build.namespace,
        driver_pod_name,
        service_name,
        resource_name_prefix: build.prefix,
        pre_resources: build.pre_resources,
        driver_pod: build.draft.finish(),
        resources: build.resources,
        properties,
        uploads: build.uploads,
        warnings: build.warnings,
    })
}

/// A step, the class it goes by in `spark.kubernetes.driver.pod.excludedFeatureSteps`, and the release line that has it.
struct Step {
    class: &'static str,
    since: (u32, u32),
    run: fn(&mut Build<'_>) -> Result<(), PlanError>,
}

const SERVICE_STEP: &str = "org.apache.spark.deploy.k8s.features.DriverServiceFeatureStep";

const STEPS: [Step; 12] = [
    step(
        "org.apache.spark.deploy.k8s.features.BasicDriverFeatureStep",
        driver::frame,
    ),
    step(
        "org.apache.spark.deploy.k8s.features.DriverKubernetesCredentialsFeatureStep",
        credentials::driver,
    ),
    step(SERVICE_STEP, service::service),
    Step {
        class: "org.apache.spark.deploy.k8s.features.NetworkPolicyFeatureStep",
        since: (4, 2),
        run: |build| {
            network_policy::network_policy(build);
            Ok(())
        },
    },
    step(
        "org.apache.spark.deploy.k8s.features.MountSecretsFeatureStep",
        |build| {
            secrets::mount(&mut build.draft, &build.conf, "driver");
            Ok(())
        },
    ),
    step("org.apache.spark.deploy.k8s.features.EnvSecretsFeatureStep", |build| {
        secrets::env(&mut build.draft, &build.conf, "driver")
    }),
    step(
        "org.apache.spark.deploy.k8s.features.MountVolumesFeatureStep",
        |build| {
            let app_id = build.app_id();
            let owner = Owner {
                role: "driver",
                app_id,
                claim_prefix: format!("{}-driver-pvc", build.prefix),
                executor_id: None,
            };
            let mut claims = Vec::new();
            volumes::mount(&mut build.draft, &build.conf, &owner, &mut claims)?;
            claims.into_iter().for_each(|claim| build.add(Role::Claim, claim));
            Ok(())
        },
    ),
    step(
        "org.apache.spark.deploy.k8s.features.DriverCommandFeatureStep",
        command::command,
    ),
    step(
        "org.apache.spark.deploy.k8s.features.HadoopConfDriverFeatureStep",
        hadoop::driver,
    ),
    step(
        "org.apache.spark.deploy.k8s.features.KerberosConfDriverFeatureStep",
        kerberos::kerberos,
    ),
    step(
        "org.apache.spark.deploy.k8s.features.PodTemplateConfigMapStep",
        template::config_map,
    ),
    step("org.apache.spark.deploy.k8s.features.LocalDirsFeatureStep", |build| {
        let directory = format!("/var/data/spark-{}", build.request.identity.local_dir_uuid);
        local_dirs::local_dirs(
            &mut build.draft,
            &build.conf,
            &build.request.files.environment,
            &directory,
        )
    }),
];

const fn step(class: &'static str, run: fn(&mut Build<'_>) -> Result<(), PlanError>) -> Step {
    Step {
        class,
        since: (0, 0),
        run,
    }
}

/// Classes of steps to leave out; the key exists since 4.1.
pub(crate) fn excluded_steps(conf: &Conf, role: &str) -> Vec<String> {
    if conf.version.since(4, 1) {
        conf.list(&format!("spark.kubernetes.{role}.pod.excludedFeatureSteps"))
    } else {
        Vec::new()
    }
}

/// Spark's driver checks this only when it starts; by then a pod has run for nothing.
fn check_executor_prefix(conf: &Conf) -> Result<(), PlanError> {
    let key = "spark.kubernetes.executor.podNamePrefix";
    match conf.get(key) {
        Some(prefix) if !names::is_executor_prefix(&prefix) => Err(names::bad_executor_prefix(key, &prefix)),
        _ => Ok(()),
    }
}
