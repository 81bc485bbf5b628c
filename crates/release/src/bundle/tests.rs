use super::*;
use serde_json::json;

fn release(text: &str, image: &Digest) -> (Release, Vec<u8>) {
    let bytes = text.as_bytes().to_vec();
    let part = Part {
        path: "app.yaml".into(),
        role: role("app.yaml", &bytes),
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
    };
    let release = Release {
        format: 1,
        name: "etl".into(),
        parts: vec![part],
        images: [("lake/etl:1".to_owned(), image.clone())].into(),
        gates: Vec::new(),
        source: None,
    };
    (release, bytes)
}

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2
kind: SparkApplication
metadata: {name: etl, namespace: default}
spec:
  type: Python
  mode: cluster
  image: lake/etl:1
  mainApplicationFile: local:///app/etl.py
  sparkVersion: 4.1.4
  driver: {cores: 1, memory: 1g}
  executor: {cores: 2, instances: 3, memory: 2g}
";

#[test]
fn images_are_pinned_wherever_they_stand() {
    let digest = Digest::of(b"image");
    for (image, wanted) in [
        ("lake/etl:1", "lake/etl@"),
        ("host:5000/lake/etl", "host:5000/lake/etl@"),
        ("host:5000/lake/etl:1.2", "host:5000/lake/etl@"),
        ("lake/etl:1@sha256:aa", "lake/etl@"),
    ] {
        assert_eq!(pinned(image, &digest), format!("{wanted}{digest}"), "{image}");
    }
    let mut object = json!({"kind": "ScheduledSparkApplication", "spec": {"template": {
        "image": "a:1", "driver": {"image": "b:1", "initContainers": [{"image": "c:1"}]}, "executor": {"sidecars": [{"image": "d:1"}]},
        "sparkConf": {"spark.kubernetes.executor.container.image": "e:1", "spark.app.name": "f:1"}}}});
    assert_eq!(images(&object), ["a:1", "b:1", "c:1", "d:1", "e:1"]);
    let (release, _) = release(APP, &digest);
    assert_eq!(pin(&mut object, &release).unwrap_err().code, "release-unpinned");
}

#[test]
fn the_same_inputs_are_the_same_release() {
    let (one, bytes) = release(APP, &Digest::of(b"image"));
    assert_eq!(one.parts[0].role, Role::Application);
    let again: Release = serde_json::from_str(&one.text()).unwrap();
    assert_eq!(again.digest(), one.digest());
    let (other, others) = release(&APP.replace("instances: 3", "instances: 5"), &Digest::of(b"other"));
    assert_ne!(other.digest(), one.digest());
    let content = |part: &Part| {
        if part.digest == Digest::of(&bytes) {
            bytes.clone()
        } else {
            others.clone()
        }
    };
    let found = diff(&one, &other, &content);
    assert_eq!(
        found.spec,
        [Change {
            what: "etl: spec.executor.instances".into(),
            old: Some("3".into()),
            new: Some("5".into())
        }]
    );
    assert_eq!((found.images.len(), found.files.len()), (1, 0));
    let (old, new) = found.size.unwrap();
    assert_eq!((old.cores, new.cores, new.memory >> 30), (7, 11, 11));
    assert!(diff(&one, &one, &content).is_empty());
}
