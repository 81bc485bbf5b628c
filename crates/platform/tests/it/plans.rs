//! What is to be done: wanted against there.

use serde_json::{Value, json};
use stoke_platform::plan::{Action, Compared, plan, record_name, removal};

use crate::{FULL, right};

#[test]
fn what_is_there_decides_what_is_done() {
    let file = right(FULL);
    let resolved = file.in_environment(None).unwrap();
    let scope = resolved.scope();
    let of = |kind: &str, name: &str, labels: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "whole", "labels": labels}, "spec": {"a": 1}});
    let ours = json!({"platform.stoke.dev/name": "whole", "platform.stoke.dev/environment": "default"});
    let elsewhere = json!({"platform.stoke.dev/name": "whole", "platform.stoke.dev/environment": "prod"});
    let changed = |mut object: Value| {
        object["spec"]["a"] = json!(2);
        object["metadata"]["managedFields"] = json!([1]);
        object["metadata"]["resourceVersion"] = json!("7");
        object
    };
    let wanted = of("Service", "one", ours.clone());
    let case = |there: Option<Value>, would_be: Option<Value>| {
        let compared = Compared {
            wanted: wanted.clone(),
            there,
            would_be,
        };
        plan(&scope, &[compared], &[]).remove(0).action
    };
    assert_eq!(case(None, None), Action::Create);
    assert_eq!(case(Some(wanted.clone()), Some(wanted.clone())), Action::Keep);
    let Action::Change { changes } = case(Some(wanted.clone()), Some(changed(wanted.clone()))) else {
        panic!("it is changed");
    };
    assert_eq!(
        changes.len(),
        1,
        "what the cluster writes by itself is no change: {changes:?}"
    );
    assert_eq!(changes[0].path, "spec.a");
    assert_eq!(
        case(Some(of("Service", "one", elsewhere.clone())), None),
        Action::Foreign
    );
    let namespace = |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "whole", "labels": labels}});
    let compared = Compared {
        wanted: namespace(ours.clone()),
        there: Some(namespace(json!({}))),
        would_be: None,
    };
    assert_eq!(
        plan(&scope, &[compared], &[])[0].action,
        Action::Keep,
        "a namespace that was there stays as it is"
    );

    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "stream", "namespace": "whole", "labels": ours}});
    let owned = [
        set.clone(),
        of("PersistentVolumeClaim", "data-stream-0", ours.clone()),
        of("PersistentVolumeClaim", "data-gone-0", ours.clone()),
        of("ConfigMap", "gone", ours.clone()),
        of("ConfigMap", &record_name(&scope), ours.clone()),
        of("ConfigMap", "of-prod", elsewhere),
    ];
    let compared = Compared {
        wanted: set.clone(),
        there: Some(set.clone()),
        would_be: Some(set),
    };
    let steps = plan(&scope, &[compared], &owned);
    let said: Vec<(String, Action)> = steps.into_iter().map(|step| (step.id.text(), step.action)).collect();
    let wanted = [
        ("StatefulSet stream", Action::Keep),
        ("PersistentVolumeClaim data-gone-0", Action::Leave),
        ("ConfigMap gone", Action::Remove),
    ];
    assert_eq!(said, wanted.map(|(text, action)| (text.to_owned(), action)));
    let order: Vec<&str> = removal(&owned)
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        (order[0], *order.last().unwrap()),
        ("StatefulSet", "PersistentVolumeClaim")
    );
}

#[test]
fn what_others_need_comes_before_them() {
    let file = right(FULL);
    let resolved = file.in_environment(None).unwrap();
    let scope = resolved.scope();
    for (name, component) in &resolved.platform.components {
        for used in scope.uses(name, component) {
            assert!(scope.wave(&used) < scope.wave(name), "{used} before {name}");
        }
    }
    assert!(scope.wave("pg") > scope.wave("files"), "by `after`");
}
