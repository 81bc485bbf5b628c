//! An object whose kind the cluster does not serve: what it is, and who brings it.

use kube::Error;
use serde_json::Value;

/// What to do about a group that is not there. By its definitions' owners' documentation.
const BROUGHT_BY: [(&str, &str); 3] = [
    (
        "scheduling.volcano.sh",
        "install Volcano, or remove spec.batchScheduler",
    ),
    (
        "scheduling.x-k8s.io",
        "install the coscheduling plugin of kube-scheduler, or remove spec.batchScheduler",
    ),
    (
        "gateway.networking.k8s.io",
        "install the Gateway API, or start the operator without --ingress-gateway",
    ),
];

/// The sentence for an apply that was answered 404 because of the object's kind; none for a 404 that names an object, such as the namespace.
///
/// A Kubernetes API server answers the path of a group it does not know with the plain text `404 page not found`.
pub(crate) fn explain(error: &Error, resource: &Value) -> Option<String> {
    let Error::Api(status) = error else { return None };
    let names_an_object = status.details.as_ref().is_some_and(|details| !details.name.is_empty());
    if status.code != 404 || names_an_object {
        return None;
    }
    let text = |field: &str| resource[field].as_str().unwrap_or_default();
    let api = text("apiVersion");
    let group = api.split_once('/').map_or("", |(group, _)| group);
    let fix = BROUGHT_BY
        .iter()
        .find(|(brought, _)| *brought == group)
        .map_or("", |(_, fix)| fix);
    let told = format!("this cluster does not serve {} of {api}", text("kind"));
    Some(match fix {
        "" => told,
        fix => format!("{told}: {fix}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error(code: u16, message: &str, details: Value) -> Error {
        let status =
            json!({"status": "Failure", "code": code, "message": message, "reason": "NotFound", "details": details});
        Error::Api(serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_kind_that_is_not_served_is_named_with_who_brings_it() {
        let group = json!({"apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup"});
        let absent = [
            error(404, "404 page not found", Value::Null),
            error(404, "the server could not find the requested resource", json!({})),
        ];
        for error in absent {
            assert_eq!(
                explain(&error, &group).as_deref(),
                Some(
                    "this cluster does not serve PodGroup of scheduling.volcano.sh/v1beta1: install Volcano, or remove spec.batchScheduler"
                )
            );
        }
        let namespace = error(
            404,
            "namespaces \"a\" not found",
            json!({"name": "a", "kind": "namespaces"}),
        );
        assert_eq!(explain(&namespace, &group), None);
        assert_eq!(explain(&error(403, "forbidden", Value::Null), &group), None);
        let other = json!({"apiVersion": "example.com/v1", "kind": "Thing"});
        let said = explain(&error(404, "404 page not found", Value::Null), &other);
        assert_eq!(
            said.as_deref(),
            Some("this cluster does not serve Thing of example.com/v1")
        );
    }
}
