//! Fields: those that do not exist, hold something else, or are missing.

use super::*;

#[test]
fn fields_that_do_not_exist() {
    assert_said(
        &instead("instances: 2", "instnaces: 2"),
        Error,
        "unknown-field",
        "instnaces",
        "did you mean `instances`?",
    );
    assert_said(
        &with("cores: 2"),
        Error,
        "unknown-field",
        "cores",
        "that field belongs to `spec.driver` or `spec.executor`",
    );
    assert_said(
        &with("spark.ui.port: \"1\""),
        Error,
        "unknown-field",
        "spark.ui.port",
        "belongs under `spec.sparkConf`",
    );
    assert_said(
        &with("frobnicate: 2"),
        Error,
        "unknown-field",
        "frobnicate",
        "would drop it silently",
    );
    assert_said(
        &instead("metadata:\n", "metadata:\n  lables: {}\n"),
        Error,
        "unknown-field",
        "lables",
        "`labels`",
    );
    assert_said(
        &with("volumes:\n- name: a\n  hostpath: {path: /x}"),
        Error,
        "unknown-field",
        "hostpath",
        "`hostPath`",
    );
}

#[test]
fn values_of_the_wrong_type() {
    let conf = |value: &str| instead("partitions: \"8\"", &format!("partitions: {value}"));
    assert_said(&conf("8"), Error, "wrong-type", "8", "quote it: \"8\"");
    assert_said(
        &instead("spark.sql.shuffle.partitions: \"8\"", "spark.sql.ansi.enabled: on"),
        Error,
        "wrong-type",
        "on",
        "YAML reads `on` as the boolean true | quote it: \"on\"",
    );
    assert_said(
        &instead("instances: 2", "instances: \"2\""),
        Error,
        "wrong-type",
        "\"2\"",
        "remove the quotes: 2",
    );
    assert_said(
        &instead("instances: 2", "instances: 1.5"),
        Error,
        "wrong-type",
        "1.5",
        "must be a whole number, and this is a decimal number | round it: 2",
    );
    assert_said(&with("arguments: 10"), Error, "wrong-type", "10", "write a list: [10]");
    assert_said(
        &with("arguments: [10]"),
        Error,
        "wrong-type",
        "10",
        "`arguments[0]` must be a string, and this is a number | quote it: \"10\"",
    );
    assert_said(
        &instead("sparkVersion: 4.1.4", "sparkVersion: 4.1"),
        Error,
        "wrong-type",
        "4.1",
        "quote it: \"4.1\"",
    );
    assert_said(
        &instead("restartPolicy: {type: Never}", "restartPolicy:"),
        Error,
        "null-value",
        "restartPolicy",
        "has no value",
    );
    assert_said(
        &instead("cores: 1, memory: 512m", "cores: 0, memory: 512m"),
        Error,
        "out-of-range",
        "0",
        "`cores` is at least 1",
    );
    assert_said(
        &with("batchScheduler: volcano\nbatchSchedulerOptions: {resources: {cpu: 2x}}"),
        Error,
        "bad-quantity",
        "2x",
        "unknown suffix `x`",
    );
}

#[test]
fn values_that_are_none_of_an_enums() {
    assert_said(
        &instead("type: Python", "type: python"),
        Error,
        "bad-value",
        "python",
        "write `Python`",
    );
    assert_said(
        &instead("{type: Never}", "{type: Sometimes}"),
        Error,
        "bad-value",
        "Sometimes",
        "write one of `Never`, `OnFailure`, `Always`",
    );
}

#[test]
fn fields_that_are_missing() {
    assert_said(
        &instead("  sparkVersion: 4.1.4\n", ""),
        Error,
        "missing-field",
        "spec",
        "`spec` has no `sparkVersion`, which is required",
    );
    assert_said(
        "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: x}\n",
        Error,
        "missing-field",
        "apiVersion",
        "`spec`",
    );
}
