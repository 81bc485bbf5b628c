use serde_json::json;

use super::judge::*;
use super::plan::shadowed;
use super::*;

fn side() -> Side {
    Side {
        application: "app".into(),
        milliseconds: Some(10_000),
        core_seconds: Some(20),
        reads: 3,
        writes: 3,
        ..Side::default()
    }
}

fn read(equal: bool, within_tolerance: bool, old_rows: u64, new_rows: u64) -> Compared {
    Compared::Read {
        equal,
        within_tolerance,
        old_rows,
        new_rows,
        lines: vec!["~ id=1  v: 2 -> 3".into()],
        difference: json!({}),
    }
}

fn wrote(objects: u64) -> Written {
    Written {
        objects,
        bytes: objects * 10,
        deleted: 0,
    }
}

fn facts() -> Facts {
    Facts {
        old: side(),
        new: side(),
        outputs: vec![Output {
            place: "s3://lake/out".into(),
            old: wrote(2),
            new: wrote(1),
            compared: read(true, false, 5, 5),
        }],
        ..Facts::default()
    }
}

#[test]
fn a_verdict_follows_from_what_was_seen() {
    use Conclusion::{CannotTell, Same, WithinTolerance, Worse};
    type Change = fn(&mut Facts);
    let table: [(&str, Change, Conclusion, &[&str]); 25] = [
        ("equal", |_| {}, Same, &[]),
        (
            "within the tolerance",
            |f| f.outputs[0].compared = read(true, true, 5, 5),
            WithinTolerance,
            &[],
        ),
        (
            "other data",
            |f| f.outputs[0].compared = read(false, false, 5, 4),
            Worse,
            &["release-shadow-data"],
        ),
        (
            "the new one fails",
            |f| f.new.failed = Some("exit code 1".into()),
            Worse,
            &["release-shadow-failed"],
        ),
        (
            "the old one fails",
            |f| f.old.failed = Some("exit code 1".into()),
            CannotTell,
            &["release-shadow-baseline"],
        ),
        (
            "both fail",
            |f| {
                f.old.failed = Some("x".into());
                f.new.failed = Some("x".into());
            },
            CannotTell,
            &["release-shadow-baseline"],
        ),
        (
            "writes nothing",
            |f| f.outputs[0].new = wrote(0),
            Worse,
            &["release-shadow-nothing"],
        ),
        (
            "only deletes",
            |f| {
                f.outputs[0].new = Written { deleted: 2, ..wrote(0) };
                f.outputs[0].compared = Compared::Unread { why: "no data".into() };
            },
            CannotTell,
            &["release-shadow-unread"],
        ),
        (
            "nothing on both sides",
            |f| (f.outputs[0].old, f.outputs[0].new) = (wrote(0), wrote(0)),
            CannotTell,
            &["release-shadow-empty"],
        ),
        (
            "no rows on both sides",
            |f| f.outputs[0].compared = read(true, false, 0, 0),
            CannotTell,
            &["release-shadow-empty"],
        ),
        (
            "no rows, and that is right",
            |f| {
                f.outputs[0].compared = read(true, false, 0, 0);
                f.limits.empty = true;
            },
            Same,
            &[],
        ),
        (
            "a format that is not known",
            |f| f.outputs[0].compared = Compared::Unread { why: "ORC".into() },
            CannotTell,
            &["release-shadow-unread"],
        ),
        ("no output", |f| f.outputs.clear(), CannotTell, &[]),
        (
            "not compared",
            |f| f.outputs[0].compared = Compared::NotCompared,
            CannotTell,
            &["release-shadow-unread"],
        ),
        (
            "one of two",
            |f| {
                let mut other = f.outputs[0].clone();
                other.compared = read(false, false, 1, 2);
                f.outputs[0].compared = Compared::Unread { why: "ORC".into() };
                f.outputs.push(other);
            },
            Worse,
            &["release-shadow-unread", "release-shadow-data"],
        ),
        (
            "an input changed",
            |f| f.changed = vec!["s3://lake/in/a (replaced)".into()],
            CannotTell,
            &["release-shadow-input"],
        ),
        (
            "an input changed and data differ",
            |f| {
                f.new.changed.insert("s3://lake/in/a".into());
                f.outputs[0].compared = read(false, false, 5, 4);
            },
            CannotTell,
            &["release-shadow-input"],
        ),
        (
            "writes elsewhere, and went on",
            |f| {
                f.new.refused_writes.insert("PutObject s3://lake/x/_temporary/0".into());
                f.new.refused_reads.insert("HeadObject s3://lake/x".into());
                f.new.refused_reads.insert("ListObjects s3://lake/x/_temporary".into());
            },
            Worse,
            &["release-shadow-elsewhere"],
        ),
        (
            "writes elsewhere, and reads what is not pinned",
            |f| {
                f.new.refused_writes.insert("PutObject s3://lake/x/a".into());
                f.new.refused_reads.insert("HeadObject s3://lake/xa".into());
            },
            Worse,
            &["release-shadow-elsewhere", "release-shadow-undeclared"],
        ),
        (
            "writes elsewhere while an input changed",
            |f| {
                f.new.refused_writes.insert("PutObject s3://lake/x".into());
                f.changed = vec!["s3://lake/in/a (deleted)".into()];
            },
            Worse,
            &["release-shadow-elsewhere", "release-shadow-input"],
        ),
        (
            "the old one writes elsewhere",
            |f| {
                f.old.refused_writes.insert("PutObject s3://lake/x".into());
                f.old.failed = Some("x".into());
            },
            CannotTell,
            &["release-shadow-baseline"],
        ),
        (
            "reads what is not pinned",
            |f| {
                f.new.refused_reads.insert("GetObject s3://lake/y".into());
                f.new.failed = Some("x".into());
            },
            CannotTell,
            &["release-shadow-undeclared"],
        ),
        (
            "a stray",
            |f| {
                f.new.strays.insert("s3://lake/z".into());
            },
            Worse,
            &["release-shadow-stray"],
        ),
        (
            "a log that is not whole",
            |f| f.new.log_broken = Some("disk full".into()),
            CannotTell,
            &["release-shadow-log"],
        ),
        (
            "slower than allowed, and of unknown size",
            |f| {
                f.limits.slower = Some(20.0);
                f.limits.dearer = Some(20.0);
                f.new.milliseconds = Some(12_100);
                f.new.core_seconds = None;
            },
            Worse,
            &["release-shadow-slower", "release-shadow-slower"],
        ),
    ];
    for (name, change, said, codes) in table {
        let mut facts = facts();
        change(&mut facts);
        let judgement = judge(&facts);
        let found: Vec<&str> = judgement.reasons.iter().map(|reason| reason.code.as_ref()).collect();
        assert_eq!(
            (judgement.said, found.as_slice()),
            (said, codes),
            "{name}: {:#?}",
            judgement.reasons
        );
        assert_eq!(
            judgement.said.passes(),
            matches!(said, Same | WithinTolerance),
            "{name}"
        );
        assert!(
            judgement.reasons.iter().all(|reason| !reason.fix_text().is_empty()),
            "{name}"
        );
    }
    let mut slower = facts();
    slower.limits.slower = Some(25.0);
    slower.new.milliseconds = Some(12_500);
    assert_eq!(judge(&slower).said, Same);
}

#[test]
fn what_differs_and_where_is_named() {
    let mut facts = facts();
    facts.outputs[0].compared = read(false, false, 5, 4);
    let judgement = judge(&facts);
    let text = judgement.reasons[0].to_string();
    for part in ["s3://lake/out", "4 rows, the old one 5", "~ id=1  v: 2 -> 3"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    facts.changed = vec!["s3://lake/in/a (replaced)".into()];
    facts.old.changed.insert("s3://lake/in/a".into());
    facts.old.changed.insert("s3://lake/in/b".into());
    let text = judge(&facts).reasons[0].message.clone();
    assert!(text.ends_with("s3://lake/in/a (replaced), s3://lake/in/b"), "{text}");
}

#[test]
fn an_application_keeps_its_code_and_loses_what_leads_elsewhere() {
    let spec = json!({
        "mainApplicationFile": "local:///job.py",
        "arguments": ["s3a://lake/out"],
        "restartPolicy": {"type": "OnFailure", "onFailureRetries": 3},
        "sparkConf": {"spark.eventLog.enabled": "true", "spark.eventLog.dir": "s3a://spark/events", "spark.sql.shuffle.partitions": "2"},
        "driver": {"env": [{"name": "MODE", "value": "x"}]},
        "volumes": [{"name": "ref", "hostPath": {"path": "/ref"}}],
        "executor": {"volumeMounts": [{"name": "ref", "mountPath": "/ref", "readOnly": true}]},
    });
    let (changed, notes) = shadowed(json!({"spec": spec})).unwrap();
    let spec = &changed["spec"];
    assert_eq!(spec["sparkConf"], json!({"spark.sql.shuffle.partitions": "2"}));
    assert_eq!(spec["restartPolicy"], json!({"type": "Never"}));
    assert_eq!(
        (&spec["arguments"], &spec["mainApplicationFile"]),
        (&json!(["s3a://lake/out"]), &json!("local:///job.py"))
    );
    assert_eq!(notes.len(), 2, "{notes:?}");

    let refused = [
        (
            json!({"sparkConf": {"spark.hadoop.fs.s3a.endpoint": "http://minio"}}),
            "spec.sparkConf[\"spark.hadoop.fs.s3a.endpoint\"]",
        ),
        (
            json!({"hadoopConf": {"fs.s3a.access.key": "k"}}),
            "spec.hadoopConf[\"fs.s3a.access.key\"]",
        ),
        (
            json!({"hadoopConf": {"fs.s3a.bucket.lake.endpoint": "x"}}),
            "spec.hadoopConf[\"fs.s3a.bucket.lake.endpoint\"]",
        ),
        (
            json!({"sparkConf": {"spark.executorEnv.AWS_PROFILE": "x"}}),
            "spec.sparkConf[\"spark.executorEnv.AWS_PROFILE\"]",
        ),
        (
            json!({"driver": {"env": [{"name": "AWS_ACCESS_KEY_ID", "value": "x"}]}}),
            "spec.driver: the variable AWS_ACCESS_KEY_ID",
        ),
        (
            json!({"executor": {"envFrom": [{"secretRef": {"name": "s"}}]}}),
            "spec.executor.envFrom",
        ),
        (
            json!({"volumes": [{"name": "d", "hostPath": {"path": "/data"}}], "driver": {"volumeMounts": [{"name": "d", "mountPath": "/d"}]}}),
            "spec.volumes[0]",
        ),
        (
            json!({"sparkConf": {"spark.kubernetes.driver.volumes.hostPath.d.options.path": "/data"}}),
            "spec.sparkConf[\"spark.kubernetes.driver.volumes.hostPath.d.options.path\"]",
        ),
        (
            json!({"driver": {"template": {"spec": {"volumes": [{"hostPath": {"path": "/x"}}]}}}}),
            "spec.driver.template",
        ),
    ];
    for (spec, place) in refused {
        let reasons = shadowed(json!({"spec": spec})).unwrap_err();
        let places: Vec<&str> = reasons.iter().map(|reason| reason.path.as_str()).collect();
        assert_eq!(places, [place], "{spec}");
    }
    assert!(shadowed(json!({"spec": {"hadoopConf": {"fs.s3a.bucket.lake.fast.upload": "true", "fs.s3a.committer.name": "magic"}}})).is_ok());
}

#[test]
fn a_record_is_about_one_release() {
    let (release, other) = (Digest::of(b"new"), Digest::of(b"other"));
    let record = Record {
        kind: KIND.into(),
        release: release.clone(),
        against: Digest::of(b"old"),
        verdict: Conclusion::Same,
        began: "2026-11-25T00:00:00Z".parse().unwrap(),
        ended: "2026-11-25T00:01:00Z".parse().unwrap(),
        inputs: Inputs {
            places: vec!["s3://lake/in".into()],
            objects: 1,
            bytes: 2,
            list: Digest::of(b"list"),
        },
        old: side(),
        new: side(),
        outputs: facts().outputs,
        comparison: serde_json::Value::Null,
        reasons: Vec::new(),
        notes: Vec::new(),
    };
    let bytes = serde_json::to_vec(&record).unwrap();
    assert_eq!(Record::read(&bytes, &release).unwrap().against, Digest::of(b"old"));
    let about = Record::read(&bytes, &other).unwrap_err();
    assert!(
        about.message.contains(&format!("about {release}, not about {other}")),
        "{about}"
    );
    for bytes in [&b"{}"[..], b"", b"[1]"] {
        assert_eq!(Record::read(bytes, &release).unwrap_err().code, "release-shadow-record");
    }
    let foreign = serde_json::to_vec(&Record {
        kind: "x".into(),
        ..record
    })
    .unwrap();
    assert!(Record::read(&foreign, &release).is_err());
}
