//! What stands beside a run: the service of the Spark UI, ingresses or routes, services of the driver, the disruption budget.
//!
//! In: the companions in the plan of an attempt. Out: what the status says of the way to the UI, and their removal when the
//! application has ended. The room `submit` plans them and the driver pod owns them, so they go with it; but the pod of an ended
//! application stays for its logs, and a service, an ingress or a budget of a driver that does not run is only in the way. So they are removed
//! before an application is called COMPLETED or FAILED: one DELETE each (with the default settings one), again after a crash.
//! Never: reads, lists, or anything of another application.

use kube::Client;
use kube::api::{Api, DeleteParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde_json::Value;
use stoke_model::crd::{ApplicationStateType as State, DriverInfo};

use crate::act::{is_code, refusal};

/// Whether this transition ends an application, and with it its companions.
pub(crate) fn end_with(from: State, to: State) -> bool {
    to.is_terminal() && !from.is_terminal()
}

/// Nothing of the UI can be reached any more.
pub(crate) fn forget(driver: &mut DriverInfo) {
    *driver = DriverInfo {
        pod_name: driver.pod_name.take(),
        ..DriverInfo::default()
    };
}

/// Removes these objects; those that are not there, or whose kind the API server does not know, are gone.
pub(crate) async fn remove(client: &Client, namespace: &str, companions: Vec<Value>) -> Result<(), kube::Error> {
    let removed = companions.iter().map(|object| async move {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&object["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &text(&object["kind"])));
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        match api
            .delete(&text(&object["metadata"]["name"]), &DeleteParams::background())
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if is_code(&error, 404) => Ok(()),
            // An operator without this right does its work all the same; what stays goes with the driver pod.
            Err(error) if refusal(&error).is_some() => {
                tracing::warn!(%error, "what stood beside the run could not be removed");
                Ok(())
            }
            Err(error) => Err(error),
        }
    });
    futures::future::try_join_all(removed).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_removes_them() {
        for (from, to, ends) in [
            (State::Succeeding, State::Completed, true),
            (State::Failing, State::Failed, true),
            (State::SubmissionFailed, State::Failed, true),
            (State::Completed, State::Completed, false),
            (State::Completed, State::Failed, false),
            (State::Failing, State::PendingRerun, false),
            (State::Submitted, State::Running, false),
        ] {
            assert_eq!(end_with(from, to), ends, "{from:?} {to:?}");
        }
    }

    #[test]
    fn the_pods_name_stays_in_the_status_for_its_logs() {
        let mut driver = DriverInfo {
            pod_name: Some("pi-driver".into()),
            web_ui_service_name: Some("pi-ui-svc".into()),
            web_ui_port: Some(4040),
            ..DriverInfo::default()
        };
        forget(&mut driver);
        assert_eq!(
            driver,
            DriverInfo {
                pod_name: Some("pi-driver".into()),
                ..DriverInfo::default()
            }
        );
    }
}
