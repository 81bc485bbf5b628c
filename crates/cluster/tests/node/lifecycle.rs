//! How pods live and end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bench::{Bench, state};

/// (phase, conditions as `Type=Status/Reason`, container state) of a status: what the recorded traces of a real kubelet show.
fn shape(status: &Value) -> (String, Vec<String>, String) {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let conditions = conditions.map(|c| {
        let reason = c["reason"]
            .as_str()
            .map(|reason| format!("/{reason}"))
            .unwrap_or_default();
        format!(
            "{}={}{reason}",
            c["type"].as_str().unwrap(),
            c["status"].as_str().unwrap()
        )
    });
    let container = &status["containerStatuses"][0]["state"];
    let container = if let Some(reason) = container["waiting"]["reason"].as_str() {
        format!("waiting {reason}")
    } else if container["running"].is_object() {
        "running".to_owned()
    } else if container["terminated"].is_object() {
        format!(
            "terminated {} {}",
            container["terminated"]["reason"].as_str().unwrap(),
            container["terminated"]["exitCode"]
        )
    } else {
        String::new()
    };
    (
        status["phase"].as_str().unwrap_or_default().to_owned(),
        conditions.collect(),
        container,
    )
}

pub async fn a_pod_succeeds_with_the_statuses_and_events_of_a_kubelet(bench: &Bench) {
    let pod = bench.script("ok", "echo hello; sleep 0.3").await;
    let history = bench.history(&pod, "Succeeded").await;
    let shapes: Vec<_> = history.iter().map(shape).collect();
    let not_ready = "ContainersNotReady";
    let expected = [
        ("Pending", vec!["PodScheduled=True".to_owned()], ""),
        (
            "Pending",
            vec![
                "PodReadyToStartContainers=False".to_owned(),
                "Initialized=True".to_owned(),
                format!("Ready=False/{not_ready}"),
                format!("ContainersReady=False/{not_ready}"),
                "PodScheduled=True".to_owned(),
            ],
            "waiting ContainerCreating",
        ),
        (
            "Running",
            [
                "PodReadyToStartContainers=True",
                "Initialized=True",
                "Ready=True",
                "ContainersReady=True",
                "PodScheduled=True",
            ]
            .map(str::to_owned)
            .to_vec(),
            "running",
        ),
        (
            "Succeeded",
            [
                "PodReadyToStartContainers=False",
                "Initialized=True/PodCompleted",
                "Ready=False/PodCompleted",
                "ContainersReady=False/PodCompleted",
                "PodScheduled=True",
            ]
            .map(str::to_owned)
            .to_vec(),
            "terminated Completed 0",
        ),
    ];
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(phase, conditions, state)| (phase.to_owned(), conditions, state.to_owned()))
        .collect();
    assert_eq!(shapes, expected);
    let running = &history[2];
    assert_eq!(running["podIP"], running["podIPs"][0]["ip"]);
    assert!(running["podIP"].as_str().unwrap().starts_with("127."));
    assert_eq!(running["containerStatuses"][0]["imageID"], "shell@1");
    assert_eq!(running["containerStatuses"][0]["ready"], true);
    assert!(running["startTime"].is_string() && running["qosClass"] == "BestEffort");
    assert_eq!(bench.log(&pod, "main").await, "hello\n");
    assert_eq!(
        bench.events(&pod, 4).await,
        [
            "Scheduled: Successfully assigned default/ok to stoke-test",
            "Pulled: Container image \"shell\" already present on machine",
            "Created: Created container: main",
            "Started: Started container main",
        ]
    );
    bench.delete("ok", 30).await;
    bench.until_gone("ok").await;
}

pub async fn a_pod_fails_with_its_code(bench: &Bench) {
    for (name, script, code) in [("exit2", "exit 2", 2), ("term", "kill -TERM $$$$", 143)] {
        bench.script(name, script).await;
        let pod = bench.until_phase(name, "Failed").await;
        let ended = &state(&pod, "containerStatuses", "main")["state"]["terminated"];
        assert_eq!(
            (&ended["exitCode"], &ended["reason"]),
            (&json!(code), &json!("Error")),
            "{pod}"
        );
        let (_, conditions, _) = shape(&pod["status"]);
        assert!(
            conditions.contains(&"Ready=False/PodFailed".to_owned()),
            "{conditions:?}"
        );
    }
    bench
        .create(
            "said",
            json!({"restartPolicy": "Never", "containers": [
        {"name": "main", "args": ["echo because > /dev/termination-log; exit 3"]}]}),
        )
        .await;
    let pod = bench.until_phase("said", "Failed").await;
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["terminated"]["message"],
        "because\n"
    );
    bench
        .create(
            "nocmd",
            json!({"restartPolicy": "Never", "containers": [{"name": "main", "command": ["no-such-program"]}]}),
        )
        .await;
    let pod = bench.until_phase("nocmd", "Failed").await;
    let ended = &state(&pod, "containerStatuses", "main")["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(128), &json!("StartError"))
    );
    assert!(
        ended["message"]
            .as_str()
            .unwrap()
            .ends_with("exec: \"no-such-program\": executable file not found in $PATH")
    );
}

pub async fn memory_above_the_limit_is_oom_killed(bench: &Bench) {
    let script = "x = []\nwhile True: x.append(bytearray(1 << 20))";
    bench
        .create(
            "oom",
            json!({"restartPolicy": "Never", "containers": [
        {"name": "main", "command": ["python3", "-c", script], "resources": {"limits": {"memory": "96Mi"}}}]}),
        )
        .await;
    let pod = bench.until_phase("oom", "Failed").await;
    let ended = &state(&pod, "containerStatuses", "main")["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(137), &json!("OOMKilled"))
    );
}

pub async fn containers_start_again_as_the_policy_says(bench: &Bench) {
    // It fails twice: the first restart is at once, the second after ten seconds.
    let pod = bench
        .create(
            "again",
            json!({"restartPolicy": "OnFailure", "containers": [{"name": "main", "args": ["exit 1"]}]}),
        )
        .await;
    let waiting = bench
        .until("again", "backing off", |pod| {
            state(pod, "containerStatuses", "main")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        })
        .await;
    let status = state(&waiting, "containerStatuses", "main");
    let uid = pod.metadata.uid.clone().unwrap();
    assert_eq!(
        status["state"]["waiting"]["message"],
        format!("back-off 10s restarting failed container=main pod=again_default({uid})")
    );
    assert_eq!(
        (&status["restartCount"], &status["lastState"]["terminated"]["exitCode"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(waiting["status"]["phase"], "Running");
    let events = bench.events(&pod, 5).await;
    assert!(
        events.contains(&format!(
            "BackOff: Back-off restarting failed container main in pod again_default({uid})"
        )),
        "{events:?}"
    );
    bench.delete("again", 1).await;
    bench.until_gone("again").await;

    let marker = bench.directory.join("marker");
    std::fs::create_dir_all(&marker).unwrap();
    bench.create("twice", json!({"restartPolicy": "OnFailure", "volumes": [{"name": "v", "hostPath": {"path": marker}}], "containers": [
        {"name": "main", "args": ["test -e /m/x && exit 0; touch /m/x; exit 9"], "volumeMounts": [{"name": "v", "mountPath": "/m"}]}]})).await;
    let pod = bench.until_phase("twice", "Succeeded").await;
    let status = state(&pod, "containerStatuses", "main");
    assert_eq!(
        (&status["restartCount"], &status["lastState"]["terminated"]["exitCode"]),
        (&json!(1), &json!(9))
    );
}

pub async fn init_containers_and_sidecars_keep_their_order(bench: &Bench) {
    let mounts = json!([{"name": "v", "mountPath": "/v"}]);
    let container = |name: &str, script: &str| json!({"name": name, "args": [script], "volumeMounts": mounts});
    let mut sidecar = container(
        "side",
        "echo side >> /v/log; trap 'echo side stopped; exit 0' TERM; while :; do sleep 0.02; done",
    );
    sidecar["restartPolicy"] = json!("Always");
    let pod = bench
        .create("order", json!({
            "restartPolicy": "Never",
            "volumes": [{"name": "v", "emptyDir": {}}],
            "initContainers": [container("one", "sleep 0.1; echo one >> /v/log"), sidecar, container("two", "sleep 0.1; echo two >> /v/log")],
            "containers": [container("main", "sleep 0.1; cat /v/log")]
        }))
        .await;
    let history = bench.history(&pod, "Succeeded").await;
    assert_eq!(bench.log(&pod, "main").await, "one\nside\ntwo\n");
    assert_eq!(
        bench.log(&pod, "side").await,
        "side stopped\n",
        "the sidecar is ended last, with SIGTERM"
    );
    let first = history
        .iter()
        .find(|status| status["initContainerStatuses"].is_array())
        .unwrap();
    assert_eq!(
        first["containerStatuses"][0]["state"]["waiting"]["reason"],
        "PodInitializing"
    );
    let initialized = first["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|c| c["type"] == "Initialized")
        .unwrap();
    assert_eq!(
        initialized["message"],
        "containers with incomplete status: [one side two]"
    );

    bench
        .create(
            "badinit",
            json!({"restartPolicy": "Never", "initContainers": [{"name": "one", "args": ["exit 4"]}],
        "containers": [{"name": "main", "args": ["true"]}]}),
        )
        .await;
    let pod = bench.until_phase("badinit", "Failed").await;
    assert_eq!(
        state(&pod, "initContainerStatuses", "one")["state"]["terminated"]["exitCode"],
        4
    );
    assert_eq!(
        state(&pod, "containerStatuses", "main")["state"]["waiting"]["reason"],
        "PodInitializing"
    );
}

pub async fn deletion_is_graceful_and_complete(bench: &Bench) {
    let pod = bench
        .script(
            "polite",
            "trap 'echo asked; exit 0' TERM; echo up; while :; do sleep 0.02; done",
        )
        .await;
    bench.until_phase("polite", "Running").await;
    let start = Instant::now();
    while !bench.log(&pod, "main").await.contains("up") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.delete("polite", 30).await;
    bench.until_gone("polite").await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(bench.log(&pod, "main").await, "up\nasked\n", "the log outlives the pod");
    let events = bench.events(&pod, 5).await;
    assert_eq!(events.last().unwrap(), "Killing: Stopping container main");

    bench
        .script("stubborn", "trap '' TERM; echo up; while :; do sleep 0.02; done")
        .await;
    bench.until_phase("stubborn", "Running").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    bench.delete("stubborn", 1).await;
    bench.until_gone("stubborn").await;
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );

    let forced = bench
        .script("forced", "trap '' TERM; while :; do sleep 0.02; done")
        .await;
    bench.until_phase("forced", "Running").await;
    bench.delete("forced", 0).await;
    bench.until_gone("forced").await;
    let directory = bench.directory.join("pods").join(forced.metadata.uid.unwrap());
    let start = Instant::now();
    while directory.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "the forced pod's directory is left"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub async fn deadlines_and_probes(bench: &Bench) {
    bench
        .create(
            "late",
            json!({"restartPolicy": "Never", "activeDeadlineSeconds": 1, "containers": [
        {"name": "main", "args": ["trap 'exit 0' TERM; while :; do sleep 0.02; done"]}]}),
        )
        .await;
    let probed = bench
        .create("probed", json!({"restartPolicy": "Always", "containers": [{
            "name": "main",
            "args": ["sleep 0.4; touch /tmp/up; trap 'exit 0' TERM; while :; do sleep 0.02; done"],
            "startupProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 10},
            "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/up"]}, "periodSeconds": 1},
            "livenessProbe": {"exec": {"command": ["test", "!", "-e", "/tmp/ill"]}, "periodSeconds": 1, "failureThreshold": 1}}]}))
        .await;
    let running = bench.until_phase("probed", "Running").await;
    assert_eq!(
        state(&running, "containerStatuses", "main")["ready"],
        false,
        "not before its startup probe"
    );
    bench
        .until("probed", "ready", |pod| {
            state(pod, "containerStatuses", "main")["ready"] == true
        })
        .await;
    let events = bench.events(&probed, 5).await;
    assert!(
        events
            .iter()
            .any(|event| event.starts_with("Unhealthy: Startup probe failed: ")),
        "{events:?}"
    );
    bench.delete("probed", 1).await;

    let pod = bench.until_phase("late", "Failed").await;
    assert_eq!(
        (&pod["status"]["reason"], &pod["status"]["message"]),
        (
            &json!("DeadlineExceeded"),
            &json!("Pod was active on the node longer than the specified deadline")
        )
    );

    let ill = bench
        .create("ill", json!({"restartPolicy": "Always", "containers": [{
            "name": "main",
            "args": ["trap 'exit 0' TERM; while :; do sleep 0.02; done"],
            "livenessProbe": {"exec": {"command": ["sh", "-c", "echo unwell; exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}}]}))
        .await;
    bench
        .until("ill", "restarted", |pod| {
            state(pod, "containerStatuses", "main")["restartCount"] == 1
        })
        .await;
    let events = bench.events(&ill, 6).await;
    assert!(
        events.contains(&"Unhealthy: Liveness probe failed: unwell".to_owned()),
        "{events:?}"
    );
    assert!(
        events.contains(&"Killing: Container main failed liveness probe, will be restarted".to_owned()),
        "{events:?}"
    );
    bench.delete("ill", 1).await;
    bench.until_gone("ill").await;
    bench.until_gone("probed").await;
}

/// A node that is killed and started again finds its pods' processes gone, and says so.
pub async fn a_new_node_is_honest_about_what_it_cannot_find(bench: &Bench) {
    let second = Bench::start_named(&bench.directory.join("second"), "stoke-second").await;
    let loop_forever = "while :; do sleep 0.02; done";
    second.script("once", loop_forever).await;
    let again = json!({"restartPolicy": "Always", "containers": [{"name": "main", "args": [loop_forever]}]});
    second.create("always", again).await;
    second.until_phase("once", "Running").await;
    second.until_phase("always", "Running").await;
    let third = second.with_new_node("stoke-second").await;
    let pod = third.until_phase("once", "Failed").await;
    let ended = &state(&pod, "containerStatuses", "main")["state"]["terminated"];
    assert_eq!(
        (&ended["exitCode"], &ended["reason"]),
        (&json!(137), &json!("ContainerStatusUnknown"))
    );
    let pod = third
        .until("always", "restarted", |pod| {
            state(pod, "containerStatuses", "main")["restartCount"] == 1
        })
        .await;
    assert_eq!(
        state(&pod, "containerStatuses", "main")["lastState"]["terminated"]["reason"],
        "ContainerStatusUnknown"
    );
    third.stop().await;
}

pub async fn a_pod_can_be_deleted_while_its_image_is_fetched(bench: &Bench) {
    bench
        .create(
            "fetching",
            json!({"containers": [{"name": "main", "image": "very-slow", "args": ["true"]}]}),
        )
        .await;
    let waiting =
        |pod: &Value| state(pod, "containerStatuses", "main")["state"]["waiting"]["reason"] == "ContainerCreating";
    bench.until("fetching", "waiting", waiting).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    bench.delete("fetching", 30).await;
    bench.until_gone("fetching").await;
    assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
}

pub async fn hooks_run_before_and_after(bench: &Bench) {
    let pod = bench
        .create(
            "hooked",
            json!({"restartPolicy": "Never", "containers": [{
            "name": "main",
            "args": ["trap 'cat /tmp/before /tmp/after; exit 0' TERM; while :; do sleep 0.02; done"],
            "lifecycle": {
                "postStart": {"exec": {"command": ["sh", "-c", "echo started > /tmp/after"]}},
                "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /tmp/before"]}}}}]}),
        )
        .await;
    bench
        .until("hooked", "ready", |pod| {
            state(pod, "containerStatuses", "main")["ready"] == true
        })
        .await;
    bench.delete("hooked", 5).await;
    bench.until_gone("hooked").await;
    assert_eq!(bench.log(&pod, "main").await, "stopping\nstarted\n");
}
