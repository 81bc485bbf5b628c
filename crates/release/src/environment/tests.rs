use super::*;
use serde_json::json;
use stoke_diagnostics::Source;

fn found(text: &str) -> Vec<String> {
    let complaints = read(&Source::new("environments.yaml", text), &|_| Err("not here".into())).unwrap_err();
    complaints
        .iter()
        .map(|c| {
            format!(
                "{} {}:{} {}",
                c.code,
                c.line,
                c.column,
                c.fix.as_ref().map_or("", |fix| &fix.text)
            )
        })
        .collect()
}

#[test]
fn what_is_wrong_has_its_place() {
    let base = "environments:\n- name: dev\n  namespace: a\n  cluster: {context: c}\n";
    for (more, wanted) in [
        ("  soka: 1h\n", "unknown-field 5:3 did you mean `soak`?"),
        ("  soak: 1h\n", "environments-value 5:9 add `from`, or remove `soak`"),
        (
            "  from: prod\n  soak: 1\n",
            "environments-value 6:9 write a time with a unit, for example `24h` or `90m`",
        ),
        ("  from: dve\n", "environments-from 1:1 did you mean `dev`?"),
        (
            "  from: dev\n",
            "environments-circle 1:1 let the first environment have no `from`",
        ),
        (
            "  overlay: {image: x}\n",
            "unknown-field 5:13 allowed here: driver, executor, sparkConf, hadoopConf, arguments, schedule, suspend",
        ),
        (
            "  overlay: {sparkConf: {spark.jars: x}}\n",
            "environments-origin 5:25 set it in the application and create a release of it",
        ),
        (
            "  overlay: {driver: {memory: 4 gigs}}\n",
            "environments-value 5:30 write a size as Spark does, for example `4g`",
        ),
        (
            "  overlay: {driver: {instances: 2}}\n",
            "unknown-field 5:22 allowed here: cores, memory, memoryOverhead, coreLimit, serviceAccount, labels, annotations, nodeSelector",
        ),
        (
            "  approvals: {needed: 1, keys: []}\n",
            "environments-value 5:23 write a number from 1 to the number of keys",
        ),
        (
            "  git: {repository: r, path: a}\n",
            "environments-delivery 5:8 keep one of them",
        ),
        (
            "  freezes: [{name: f, schedule: '@daily', zone: UTC, lasts: 1h}]\n",
            "environments-value 5:33 write five fields: minute, hour, day, month, weekday",
        ),
        ("  shadow: {maxage: 24h}\n", "unknown-field 5:12 did you mean `maxAge`?"),
        (
            "  shadow: {maxAge: 1}\n",
            "environments-value 5:20 write a time with a unit, for example `24h` or `90m`",
        ),
        (
            "  shadow: {against: prod}\n",
            "unknown-value 5:21 it is one of current, any",
        ),
        ("  shadow: true\n", "wrong-type 5:11 "),
        ("  ab: {maxage: 24h}\n", "unknown-field 5:8 did you mean `maxAge`?"),
        (
            "  ab: {against: prod}\n",
            "unknown-value 5:17 it is one of current, any",
        ),
        (
            "  data: [{name: a, contract: c.yaml}]\n",
            "missing-field 5:10 add `iceberg: {table: …}` or `versions: s3a://…`, one of them",
        ),
        (
            "  data: [{name: a, contract: c.yaml, versions: 'hdfs://a/b'}]\n",
            "environments-value 5:48 write s3://bucket/path, gs://bucket/path, abfss://container@account.dfs.core.windows.net/path or file:///directory",
        ),
        (
            "  data: [{name: a, contract: c.yaml, iceberg: {table: s3a://l/t, branch: main}}]\n",
            "environments-value 5:74 write a name such as `stoke`",
        ),
        (
            "  data: [{name: a, contract: c, iceberg: {table: s.t, catalog: 'lake:8181'}}]\n",
            "environments-value 5:64 write its URL, such as http://lake:8181",
        ),
        (
            "  data: [{name: a, contract: c, iceberg: {table: /t, branch: x}}, {name: b, contract: c, iceberg: {table: /u}}]\n",
            "environments-value 5:99 give all tables of the environment one branch",
        ),
        (
            "  errorBudget: stop\n",
            "unknown-value 5:16 it is one of freeze, ignore",
        ),
    ] {
        let all = found(&format!("{base}{more}"));
        assert!(all.iter().any(|one| one == wanted), "{more}: {all:#?}");
    }
    assert!(found("").len() == 1 && found("a: 1\n---\nb: 2\n")[0].starts_with("environments-file"));
}

#[test]
fn freezes_are_in_force_from_their_beginning_to_their_end() {
    let weekend = Freeze::Each {
        name: "weekend".into(),
        schedule: "0 18 * * 5".into(),
        zone: "Europe/Berlin".into(),
        seconds: 62 * 3600,
    };
    for (now, frozen) in [
        ("2026-11-20T16:59:59Z", false),
        ("2026-11-20T17:00:00Z", true),
        ("2026-11-23T06:59:59Z", true),
        ("2026-11-23T07:00:00Z", false),
    ] {
        assert_eq!(weekend.until(now.parse().unwrap()).is_some(), frozen, "{now}");
    }
}

#[test]
fn an_overlay_sets_and_keeps() {
    let overlay = Overlay {
        executor: Some(Side {
            instances: Some(4),
            ..Side::default()
        }),
        spark_conf: [("spark.a".to_owned(), "1".to_owned())].into(),
        schedule: Some("@daily".into()),
        ..Overlay::default()
    };
    let spec = json!({"image": "x", "executor": {"instances": 1, "cores": 2}});
    let changed = json!({"image": "x", "executor": {"instances": 4, "cores": 2}, "sparkConf": {"spark.a": "1"}});
    let plain = overlay.apply(
        json!({"kind": "SparkApplication", "metadata": {"name": "a"}, "spec": spec}),
        "n",
    );
    assert_eq!(
        plain,
        json!({"kind": "SparkApplication", "metadata": {"name": "a", "namespace": "n"}, "spec": changed})
    );
    let scheduled = overlay.apply(
        json!({"kind": "ScheduledSparkApplication", "metadata": {}, "spec": {"schedule": "x", "template": spec}}),
        "n",
    );
    assert_eq!(scheduled["spec"], json!({"schedule": "@daily", "template": changed}));
}

#[test]
fn the_schema_has_the_keys_that_are_read() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let of = |pointer: &str| -> Vec<String> {
        let object = schema
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer}"))
            .as_object()
            .unwrap();
        let mut keys: Vec<String> = object.keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |keys: &[&str]| -> Vec<String> {
        let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort();
        keys
    };
    let item = "/properties/environments/items/properties";
    assert_eq!(of(item), sorted(&read::ENVIRONMENT));
    assert_eq!(of(&format!("{item}/overlay/properties")), sorted(&read::OVERLAY));
    assert_eq!(
        of(&format!("{item}/overlay/properties/executor/properties")),
        sorted(&read::SIDE)
    );
    assert_eq!(of(&format!("{item}/approvals/properties")), sorted(&read::APPROVALS));
    for comparison in ["shadow", "ab"] {
        assert_eq!(
            of(&format!("{item}/{comparison}/properties")),
            sorted(&read::COMPARISON)
        );
    }
    let one = format!("{item}/data/items/properties");
    assert_eq!(of(&one), sorted(&data::DATA));
    assert_eq!(of(&format!("{one}/iceberg/properties")), sorted(&data::ICEBERG));
}
