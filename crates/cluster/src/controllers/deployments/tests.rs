use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::actions::{Action, Decision};
use super::decide::{Observed, decide};
use super::facts::{Deployment, Set};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn deployment(replicas: i64, strategy: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "n", "uid": "d", "generation": 1,
            "annotations": {"deployment.kubernetes.io/revision": "2", "team": "x"}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "strategy": strategy,
            "revisionHistoryLimit": 1, "progressDeadlineSeconds": 600,
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"v": 2}}},
        "status": {"observedGeneration": 1}})
}

fn rolling(surge: Value, unavailable: Value) -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}})
}

/// A ReplicaSet of a version with pods asked for, existing and available.
fn set(version: i64, replicas: i64, available: i64, desired: i64, most: i64) -> Set {
    let hash = format!("h{version}");
    serde_json::from_value(json!({
        "metadata": {"name": format!("web-{hash}"), "uid": hash, "creationTimestamp": at(version).to_string(),
            "annotations": {"deployment.kubernetes.io/revision": version.to_string(), "team": "x",
                "deployment.kubernetes.io/desired-replicas": desired.to_string(),
                "deployment.kubernetes.io/max-replicas": most.to_string()}},
        "spec": {"replicas": replicas,
            "template": {"metadata": {"labels": {"a": "b", "pod-template-hash": hash}}, "spec": {"v": version}}},
        "status": {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}}))
    .unwrap()
}

fn decided(value: &Value, sets: &[Set], pods: &[(&str, usize)]) -> Decision {
    let deployment: Deployment = serde_json::from_value(value.clone()).unwrap();
    let pods: BTreeMap<String, usize> = pods.iter().map(|(uid, count)| ((*uid).to_owned(), *count)).collect();
    let observed = Observed {
        deployment: &deployment,
        value,
        sets,
        pods: &pods,
    };
    decide(&observed, at(100))
}

/// Sizes that the decision sets, by name.
fn sizes(decision: &Decision) -> Vec<(String, i64)> {
    let mut sizes: Vec<(String, i64)> = decision
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::Change {
                name,
                replicas: Some((_, to)),
                ..
            } => Some((name.clone(), *to)),
            Action::Create(set) => Some(("new".to_owned(), set["spec"]["replicas"].as_i64().unwrap())),
            _ => None,
        })
        .collect();
    sizes.sort();
    sizes
}

fn named(sizes: &[(&str, i64)]) -> Vec<(String, i64)> {
    sizes.iter().map(|(name, size)| ((*name).to_owned(), *size)).collect()
}

#[test]
fn a_rolling_update_moves_within_its_bounds() {
    let percent = rolling(json!("25%"), json!("25%"));
    // (replicas, strategy, old (asked, available), new (asked, available), expected)
    let table = [
        (10, percent.clone(), (10, 10), None, vec![("new", 3)]),
        (10, percent.clone(), (10, 10), Some((3, 0)), vec![("web-h1", 8)]),
        (10, percent.clone(), (8, 8), Some((3, 0)), vec![("web-h2", 5)]),
        (10, percent.clone(), (8, 8), Some((5, 0)), vec![]),
        (10, percent.clone(), (8, 8), Some((5, 5)), vec![("web-h1", 3)]),
        (10, percent, (0, 0), Some((10, 10)), vec![]),
        (3, rolling(json!(1), json!(0)), (3, 3), None, vec![("new", 1)]),
        (3, rolling(json!(1), json!(0)), (3, 3), Some((1, 0)), vec![]),
        (
            3,
            rolling(json!(1), json!(0)),
            (3, 3),
            Some((1, 1)),
            vec![("web-h1", 2)],
        ),
        (3, rolling(json!(0), json!(1)), (3, 3), None, vec![("new", 0)]),
        (
            3,
            rolling(json!(0), json!(1)),
            (3, 3),
            Some((0, 0)),
            vec![("web-h1", 2)],
        ),
        // Pods that are not available anyway go first.
        (
            3,
            rolling(json!(1), json!(0)),
            (3, 1),
            Some((1, 1)),
            vec![("web-h1", 2)],
        ),
        // Percentages that come to nothing still let one pod be missing.
        (
            1,
            rolling(json!("0%"), json!("1%")),
            (1, 1),
            Some((0, 0)),
            vec![("web-h1", 0)],
        ),
    ];
    for (replicas, strategy, old, new, expected) in table {
        let value = deployment(replicas, strategy.clone());
        let facts: Deployment = serde_json::from_value(value.clone()).unwrap();
        let most = replicas + facts.max_surge();
        let mut sets = vec![set(1, old.0, old.1, replicas, most)];
        sets.extend(new.map(|(asked, available)| set(2, asked, available, replicas, most)));
        let decision = decided(&value, &sets, &[]);
        assert_eq!(
            sizes(&decision),
            named(&expected),
            "{replicas} {strategy} {old:?} {new:?}"
        );
    }
}

#[test]
fn the_new_set_is_named_by_the_hash_and_carries_the_revision() {
    let value = deployment(2, rolling(json!(1), json!(0)));
    let decision = decided(&value, &[set(1, 2, 2, 2, 3)], &[]);
    let Action::Create(made) = &decision.actions[0] else {
        panic!("{decision:?}")
    };
    let hash = made["metadata"]["labels"]["pod-template-hash"].as_str().unwrap();
    assert_eq!(made["metadata"]["name"], format!("web-{hash}"));
    assert_eq!(
        made["spec"]["selector"]["matchLabels"],
        json!({"a": "b", "pod-template-hash": hash})
    );
    assert_eq!(
        made["metadata"]["annotations"]["deployment.kubernetes.io/revision"],
        "2"
    );
    assert_eq!(
        made["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"],
        "3"
    );
    assert_eq!(made["metadata"]["annotations"]["team"], "x");
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "d");
    assert_eq!(
        decision.events,
        [(
            false,
            "ScalingReplicaSet",
            format!("Scaled up replica set web-{hash} from 0 to 1")
        )]
    );
    let again = decided(&value, &[set(1, 2, 2, 2, 3)], &[]);
    assert_eq!(again.actions, decision.actions, "deciding again decides the same");
}

#[test]
fn an_undone_revision_gets_the_next_number_and_remembers_the_old() {
    let mut value = deployment(1, rolling(json!(1), json!(0)));
    value["spec"]["template"]["spec"]["v"] = 1.into();
    let decision = decided(&value, &[set(1, 0, 0, 1, 2), set(2, 1, 1, 1, 2)], &[]);
    let Action::Change { name, annotations, .. } = &decision.actions[0] else {
        panic!("{decision:?}")
    };
    assert_eq!(name, "web-h1");
    assert_eq!(annotations["deployment.kubernetes.io/revision"], "3");
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], "1");
    assert_eq!(
        decision.actions[1],
        Action::Annotate("deployment.kubernetes.io/revision".into(), "3".into())
    );
}

#[test]
fn recreation_waits_until_the_last_old_pod_is_gone() {
    let value = deployment(2, json!({"type": "Recreate"}));
    assert_eq!(
        sizes(&decided(&value, &[set(1, 2, 2, 2, 2)], &[("h1", 2)])),
        named(&[("web-h1", 0)])
    );
    assert!(decided(&value, &[set(1, 0, 0, 2, 2)], &[("h1", 1)]).actions.is_empty());
    assert_eq!(
        sizes(&decided(&value, &[set(1, 0, 0, 2, 2)], &[("h1", 0)])),
        named(&[("new", 2)])
    );
}

#[test]
fn scaling_in_the_middle_of_a_rollout_is_shared_in_proportion() {
    // 10 pods with surge 3: 8 old, 5 new; scaled to 15 with the same surge of 3, so 18 may be.
    let value = deployment(15, rolling(json!(3), json!(2)));
    let decision = decided(&value, &[set(1, 8, 8, 10, 13), set(2, 5, 0, 10, 13)], &[]);
    assert_eq!(sizes(&decision), named(&[("web-h1", 11), ("web-h2", 7)]));
    // Scaled to nothing: everything goes.
    let value = deployment(0, rolling(json!(3), json!(2)));
    let decision = decided(&value, &[set(1, 8, 8, 10, 13), set(2, 5, 0, 10, 13)], &[]);
    assert_eq!(sizes(&decision), named(&[("web-h1", 0), ("web-h2", 0)]));
    // One set alone simply follows.
    let value = deployment(4, rolling(json!(1), json!(0)));
    assert_eq!(
        sizes(&decided(&value, &[set(2, 2, 2, 2, 3)], &[])),
        named(&[("web-h2", 4)])
    );
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let mut value = deployment(3, rolling(json!(1), json!(0)));
    value["spec"]["paused"] = true.into();
    value["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1".into();
    let decision = decided(&value, &[set(1, 2, 2, 2, 3)], &[]);
    assert_eq!(sizes(&decision), named(&[("web-h1", 3)]));
    let conditions = &decision.status.unwrap()["conditions"];
    assert_eq!(
        (&conditions[1]["reason"], &conditions[1]["status"]),
        (&json!("DeploymentPaused"), &json!("Unknown"))
    );
}

#[test]
fn old_revisions_beyond_the_limit_go_once_the_rollout_is_complete() {
    let mut value = deployment(1, rolling(json!(1), json!(0)));
    value["spec"]["template"]["spec"]["v"] = 4.into();
    value["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "4".into();
    let sets = [
        set(1, 0, 0, 1, 2),
        set(2, 0, 0, 1, 2),
        set(3, 0, 0, 1, 2),
        set(4, 1, 1, 1, 2),
    ];
    assert!(
        decided(&value, &sets, &[]).actions.is_empty(),
        "the status does not say complete yet"
    );
    value["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1});
    let gone: Vec<String> = decided(&value, &sets, &[])
        .actions
        .into_iter()
        .map(|action| match action {
            Action::Delete { name, .. } => name,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(gone, ["web-h1", "web-h2"]);
}

#[test]
fn progress_is_told_dated_and_has_a_deadline() {
    let mut value = deployment(1, rolling(json!(1), json!(0)));
    let condition = |decision: &Decision, kind: &str| {
        let conditions = decision.status.as_ref().unwrap()["conditions"]
            .as_array()
            .cloned()
            .unwrap();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == kind)
            .unwrap()
    };
    // Complete.
    let decision = decided(&value, &[set(2, 1, 1, 1, 2)], &[]);
    value["status"] = decision.status.clone().unwrap();
    let complete = decided(&value, &[set(2, 1, 1, 1, 2)], &[]);
    let progressing = condition(&complete, "Progressing");
    assert_eq!(progressing["reason"], "NewReplicaSetAvailable");
    assert_eq!(
        progressing["message"],
        "ReplicaSet \"web-h2\" has successfully progressed."
    );
    assert_eq!(condition(&complete, "Available")["reason"], "MinimumReplicasAvailable");
    assert_eq!(complete.later, None);
    // Stuck: found late after the deadline, not before.
    for (since, reason, late) in [
        (-400, "ReplicaSetUpdated", false),
        (-501, "ProgressDeadlineExceeded", true),
    ] {
        value["status"] = json!({"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "conditions": [
            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated", "message": "",
             "lastUpdateTime": at(since).to_string(), "lastTransitionTime": at(since).to_string()}]});
        let decision = decided(&value, &[set(2, 1, 0, 1, 2)], &[]);
        assert_eq!(condition(&decision, "Progressing")["reason"], reason);
        assert_eq!(decision.later.is_none(), late);
        assert_eq!(
            condition(&decision, "Available")["reason"],
            "MinimumReplicasUnavailable"
        );
    }
}

#[test]
fn a_failure_to_make_pods_is_passed_on() {
    let value = deployment(1, rolling(json!(1), json!(0)));
    let mut failing = set(2, 1, 0, 1, 2);
    failing.status.conditions = serde_json::from_value(json!([{"type": "ReplicaFailure", "status": "True",
        "reason": "FailedCreate", "message": "exceeded quota"}]))
    .unwrap();
    let status = decided(&value, &[failing], &[]).status.unwrap();
    let found = status["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "ReplicaFailure")
        .cloned();
    assert_eq!(found.unwrap()["message"], "exceeded quota");
}
