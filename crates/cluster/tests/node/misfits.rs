//! What does not work, and what is said about it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::{Bench, state};

pub async fn images_that_cannot_be_had(bench: &Bench) {
    let with = |image: &str, policy: &str| json!({"restartPolicy": "Never", "containers": [{"name": "main", "image": image, "imagePullPolicy": policy, "args": ["true"]}]});
    let none = bench.create("noimage", with("nothing:1", "IfNotPresent")).await;
    let reason = |reason: &'static str| {
        move |pod: &serde_json::Value| state(pod, "containerStatuses", "main")["state"]["waiting"]["reason"] == reason
    };
    let pod = bench.until("noimage", "ErrImagePull", reason("ErrImagePull")).await;
    let cause = "no local Spark is known for image \"nothing:1\": map it";
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["waiting"]["message"],
        cause
    );
    let pod = bench
        .until("noimage", "ImagePullBackOff", reason("ImagePullBackOff"))
        .await;
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["waiting"]["message"],
        format!("Back-off pulling image \"nothing:1\": ErrImagePull: {cause}")
    );
    assert_eq!(
        bench.events(&none, 6).await[1..],
        [
            "Pulling: Pulling image \"nothing:1\"".to_owned(),
            format!("Failed: Failed to pull image \"nothing:1\": {cause}"),
            "Failed: Error: ErrImagePull".to_owned(),
            "BackOff: Back-off pulling image \"nothing:1\"".to_owned(),
            "Failed: Error: ImagePullBackOff".to_owned(),
        ]
    );
    bench.delete("noimage", 30).await;
    bench.until_gone("noimage").await;

    bench.create("never", with("slow", "Never")).await;
    let pod = bench
        .until("never", "ErrImageNeverPull", reason("ErrImageNeverPull"))
        .await;
    let expected = "Container image \"slow\" is not present with pull policy of Never";
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["waiting"]["message"],
        expected
    );

    let slow = bench.create("slow", with("slow", "IfNotPresent")).await;
    bench.until_phase("slow", "Succeeded").await;
    let events = bench.events(&slow, 5).await;
    assert_eq!(events[1], "Pulling: Pulling image \"slow\"");
    assert!(
        events[2].starts_with("Pulled: Successfully pulled image \"slow\" in "),
        "{events:?}"
    );
}

pub async fn what_cannot_be_done_is_said(bench: &Bench) {
    let root = json!({"name": "main", "args": ["true"], "securityContext": {"privileged": true}});
    bench.create("privileged", json!({"containers": [root]})).await;
    let missing = json!({"name": "main", "args": ["true"], "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k"}}}]});
    let config = bench.create("config", json!({"containers": [missing]})).await;
    let waiting = |pod: &serde_json::Value| {
        state(pod, "containerStatuses", "main")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
    };
    let pod = bench.until("privileged", "refused", waiting).await;
    let message = state(&pod, "containerStatuses", "main")["state"]["waiting"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("privileged containers are not supported"), "{message}");
    let pod = bench.until("config", "refused", waiting).await;
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["waiting"]["message"],
        "secret \"none\" not found"
    );
    assert!(
        bench
            .events(&config, 3)
            .await
            .contains(&"Failed: Error: secret \"none\" not found".to_owned())
    );

    let nfs = bench
        .create("nfs", json!({"volumes": [{"name": "share", "nfs": {"server": "s", "path": "/"}}],
            "containers": [{"name": "main", "args": ["true"], "volumeMounts": [{"name": "share", "mountPath": "/s"}]}]}))
        .await;
    let events = bench.events(&nfs, 2).await;
    assert!(
        events[1].starts_with(
            "FailedMount: MountVolume.SetUp failed for volume \"share\" : volumes of type nfs are not supported"
        ),
        "{events:?}"
    );
    for name in ["privileged", "config", "nfs"] {
        bench.delete(name, 0).await;
    }
}

pub async fn a_pod_that_does_not_fit_waits_for_room(bench: &Bench) {
    let asks = |cpu: &str, script: &str| json!({"restartPolicy": "Never", "containers": [{"name": "main", "args": [script], "resources": {"requests": {"cpu": cpu}}}]});
    let huge = bench.create("huge", asks("64", "true")).await;
    bench
        .create("first", asks("3", "trap 'exit 0' TERM; while :; do sleep 0.02; done"))
        .await;
    bench.until_phase("first", "Running").await;
    let second = bench.create("second", asks("3", "true")).await;
    let unscheduled = |pod: &serde_json::Value| pod["status"]["conditions"][0]["reason"] == "Unschedulable";
    let pod = bench.until("second", "unschedulable", unscheduled).await;
    let message = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: \
                   1 No preemption victims found for incoming pod.";
    assert_eq!(pod["status"]["conditions"][0]["message"], message);
    assert_eq!(pod["status"]["phase"], "Pending");
    assert_eq!(bench.events(&second, 1).await, [format!("FailedScheduling: {message}")]);
    let start = Instant::now();
    bench.delete("first", 5).await;
    bench.until_phase("second", "Succeeded").await;
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let events = bench.events(&huge, 1).await;
    assert!(
        events[0].ends_with("1 Preemption is not helpful for scheduling."),
        "{events:?}"
    );
    bench.delete("huge", 0).await;

    bench
        .create(
            "other",
            json!({"schedulerName": "volcano", "containers": [{"name": "main", "args": ["true"]}]}),
        )
        .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let pod = bench
        .until("other", "left alone", |pod| pod["status"]["phase"] == "Pending")
        .await;
    assert!(pod["spec"]["nodeName"].is_null() && pod["status"]["conditions"].is_null());
    bench.delete("other", 0).await;
}
