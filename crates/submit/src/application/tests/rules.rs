//! Rules that join fields, what is refused, and what is always there.

use super::*;

fn refused(values: &[(&str, Value)]) -> ApplicationError {
    planned(&with(values)).unwrap_err()
}

#[test]
fn fields_win_over_spark_conf_and_spark_conf_over_what_comes_before_it() {
    let spec = with(&[
        ("imagePullPolicy", json!("Always")),
        (
            "sparkConf",
            json!({
                "spark.kubernetes.container.image.pullPolicy": "Never", "spark.driver.memory": "9g", "spark.executor.cores": "9",
                "spark.app.name": "other", "spark.jars": "local:///conf.jar", "spark.kubernetes.driver.pod.name": "conf-name",
            }),
        ),
        ("hadoopConf", json!({"a": "b"})),
        ("driver", json!({"memory": "2g"})),
        ("executor", json!({"cores": 2})),
        ("deps", json!({"jars": ["local:///dep.jar"]})),
    ]);
    let properties = observed(&spec)["properties"].clone();
    for (key, value) in [
        ("spark.kubernetes.container.image.pullPolicy", "Never"),
        ("spark.driver.memory", "2g"),
        ("spark.executor.cores", "2"),
        ("spark.app.name", "pi"),
        ("spark.jars", "local:///dep.jar"),
        ("spark.kubernetes.driver.pod.name", "conf-name"),
        ("spark.hadoop.a", "b"),
        ("spark.kubernetes.namespace", "jobs"),
        ("spark.kubernetes.submission.waitAppCompletion", "false"),
    ] {
        assert_eq!(properties[key], value, "{key}");
    }
}

#[test]
fn pods_carry_the_labels_others_look_for() {
    let mut app = application(&with(&[(
        "driver",
        json!({"labels": {"team": "a", "sparkoperator.k8s.io/app-name": "forged"}}),
    )]));
    app.metadata.labels = Some(BTreeMap::from([
        ("cost".to_owned(), "c".to_owned()),
        ("kueue.x-k8s.io/queue-name".to_owned(), "q".to_owned()),
    ]));
    let plan = plan_application(&app, 1, &settings()).unwrap();
    let labels = &plan.submission.driver_pod["metadata"]["labels"];
    for (label, value) in [
        ("sparkoperator.k8s.io/app-name", "pi"),
        ("sparkoperator.k8s.io/launched-by-spark-operator", "true"),
        ("sparkoperator.k8s.io/submission-id", "the-submission"),
        ("spark-role", "driver"),
        ("spark-app-name", "pi"),
        ("cost", "c"),
        ("team", "a"),
    ] {
        assert_eq!(labels[label], value, "{label}");
    }
    assert!(labels["kueue.x-k8s.io/queue-name"].is_null());
    let executor = executor(&plan, &base());
    assert_eq!(
        executor["metadata"]["labels"]["sparkoperator.k8s.io/submission-id"],
        "the-submission"
    );
}

#[test]
fn the_application_owns_the_driver_and_the_driver_owns_the_rest() {
    let plan = planned(&with(&[("driverPodDisruptionBudget", json!(true))])).unwrap();
    let owner = &plan.submission.driver_pod["metadata"]["ownerReferences"][0];
    assert_eq!(
        *owner,
        json!({"apiVersion": "sparkoperator.k8s.io/v1beta2", "kind": "SparkApplication", "name": "pi", "uid": "7f1e",
               "controller": true, "blockOwnerDeletion": true})
    );
    let owned = plan.owned("driver-uid");
    let kinds: Vec<&str> = owned.iter().filter_map(|object| object["kind"].as_str()).collect();
    for kind in ["Service", "ConfigMap", "Ingress", "PodDisruptionBudget"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    for object in owned {
        assert_eq!(
            object["metadata"]["ownerReferences"][0]["uid"], "driver-uid",
            "{object}"
        );
    }
}

#[test]
fn names_depend_on_application_attempt_and_submission_and_on_nothing_else() {
    let name = |attempt: u32, submission: &str| {
        let settings = Settings {
            submission_id: Some(submission.to_owned()),
            ..settings()
        };
        let plan = plan_application(&application(&base()), attempt, &settings).unwrap();
        (plan.submission.application_id, plan.submission.service_name)
    };
    assert_eq!(name(1, "a"), name(1, "a"));
    assert_ne!(name(1, "a"), name(2, "a"));
    assert_ne!(name(1, "a"), name(1, "b"));
}

#[test]
fn refused_configuration_names_the_field_to_use() {
    for (key, value) in [
        ("spark.master", "k8s://x"),
        ("spark.kubernetes.driver.master", "https://x"),
        ("spark.kubernetes.container.image", "i"),
        ("spark.kubernetes.driver.container.image", "i"),
        ("spark.kubernetes.executor.container.image", "i"),
        ("spark.kubernetes.authenticate.driver.serviceAccountName", "s"),
        ("spark.kubernetes.authenticate.executor.serviceAccountName", "s"),
        ("spark.kubernetes.authenticate.oauthToken", "t"),
        ("spark.kubernetes.authenticate.driver.oauthToken", "t"),
        ("spark.kubernetes.authenticate.executor.oauthTokenFile", "t"),
        ("spark.kubernetes.authenticate.submission.caCertFile", "t"),
        ("spark.kubernetes.namespace", "elsewhere"),
        ("spark.kubernetes.driver.podTemplateFile", "/etc/passwd"),
        ("spark.kubernetes.executor.podTemplateFile", "/etc/passwd"),
        ("spark.kerberos.keytab", "/etc/keytab"),
    ] {
        let error = refused(&[("sparkConf", json!({key: value}))]);
        assert_eq!(error.code(), "RefusedSparkConf", "{key}");
        assert!(
            error
                .to_string()
                .contains(&format!("sparkConf key \"{key}\" is not allowed: ")),
            "{error}"
        );
    }
    assert!(planned(&with(&[("sparkConf", json!({"spark.kubernetes.namespace": "jobs"}))])).is_ok());
}

#[test]
fn contradictions_and_impossible_values_are_errors_with_the_place() {
    type Row<'a> = (&'a [(&'a str, Value)], &'a str, &'a str);
    let table: &[Row<'_>] = &[
        (&[("mode", json!("client"))], "spec.mode", "cluster"),
        (
            &[("mainApplicationFile", Value::Null)],
            "spec.mainApplicationFile",
            "missing",
        ),
        (
            &[
                ("nodeSelector", json!({"a": "b"})),
                ("driver.nodeSelector", json!({"a": "b"})),
            ],
            "spec.nodeSelector",
            "one or the other",
        ),
        (
            &[("driverIngressOptions", json!([{"servicePort": 1}, {"servicePort": 1}]))],
            "spec.driverIngressOptions",
            "twice",
        ),
        (
            &[("driverIngressOptions", json!([{}]))],
            "spec.driverIngressOptions",
            "servicePort",
        ),
        (
            &[("driverIngressOptions", json!([{"servicePort": 70000}]))],
            "spec.driverIngressOptions.servicePort",
            "65535",
        ),
        (
            &[("driver.memoryLimit", json!("1g"))],
            "spec.driver.memoryLimit",
            "raise it",
        ),
        (
            &[("driver.memoryLimit", json!("lots"))],
            "spec.driver.memoryLimit",
            "lots",
        ),
        (
            &[("executor.memoryLimit", json!("1g"))],
            "spec.executor.memoryLimit",
            "raise it",
        ),
        (
            &[("executor.gpu", json!({"name": "", "quantity": 1}))],
            "spec.executor.gpu",
            "quantity",
        ),
        (
            &[("driver.gpu", json!({"name": "g", "quantity": 0}))],
            "spec.driver.gpu",
            "quantity",
        ),
        (
            &[("driver.volumeMounts", json!([{"name": "x", "mountPath": "/x"}]))],
            "spec.driver.volumeMounts",
            "`x` is not in spec.volumes",
        ),
        (
            &[(
                "executor.volumeMounts",
                json!([{"name": "spark-local-dir-1", "mountPath": "/x"}]),
            )],
            "spec.executor.volumeMounts",
            "spec.volumes",
        ),
        (
            &[
                ("volumes", json!([{"name": "spark-local-dir-1", "configMap": {}}])),
                (
                    "executor.volumeMounts",
                    json!([{"name": "spark-local-dir-1", "mountPath": "/x"}]),
                ),
            ],
            "spec.volumes",
            "emptyDir",
        ),
        (
            &[("batchSchedulerOptions", json!({"queue": "q"}))],
            "spec.batchSchedulerOptions",
            "spec.batchScheduler",
        ),
        (
            &[("executor.instances", json!(-1))],
            "spec.executor.instances",
            "negative",
        ),
        (
            &[("image", json!("team/etl:1")), ("sparkVersion", json!("four"))],
            "spec.sparkVersion",
            "major.minor",
        ),
    ];
    for (values, place, words) in table {
        let error = refused(values);
        assert_eq!(error.code(), "InvalidField", "{place}: {error}");
        assert!(
            error.to_string().starts_with(place) && error.to_string().contains(words),
            "{place}: {error}"
        );
    }
    let mut app = application(&base());
    app.metadata.name = Some("Pi_Job".to_owned());
    let error = plan_application(&app, 1, &settings()).unwrap_err().to_string();
    assert!(error.contains("metadata.name") && error.contains("`pi-job`"), "{error}");
    assert_eq!(refused(&[("driver.memory", json!("lots"))]).code(), "InvalidValue");
}

#[test]
fn without_anything_to_put_in_there_is_no_template() {
    let spec = with(&[("image", json!("team/etl:1"))]);
    let request = request_from_application(&application(&spec), 1, &settings()).unwrap();
    assert_eq!(
        (request.files.driver_template, request.files.executor_template),
        (None, None)
    );
    assert!(!request.conf.keys().any(|key| key.contains("podTemplate")));
}

#[test]
fn published_images_run_restricted_unless_the_author_speaks_of_security() {
    let context = |values: &[(&str, Value)], profile: SecurityProfile| {
        let settings = Settings {
            security: profile,
            ..settings()
        };
        let plan = plan_application(&application(&with(values)), 1, &settings).unwrap();
        container(&plan.submission.driver_pod, names::DRIVER_CONTAINER)["securityContext"].clone()
    };
    // A version that forbids nothing of its own accord.
    let other = ("image", json!("team/etl:1"));
    let old = ("sparkVersion", json!("4.1.4"));
    let restricted = context(&[], SecurityProfile::KnownImages);
    assert_eq!(
        restricted,
        json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": true, "runAsUser": 185,
               "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(
        context(&[other.clone(), old.clone()], SecurityProfile::KnownImages),
        Value::Null
    );
    assert_eq!(context(&[other, old], SecurityProfile::All), restricted);
    assert_eq!(context(&[], SecurityProfile::Off), Value::Null);
    let own = context(
        &[("driver.securityContext", json!({"runAsUser": 1000}))],
        SecurityProfile::All,
    );
    assert_eq!(own, json!({"runAsUser": 1000}));
    assert_eq!(
        context(
            &[("driver.podSecurityContext", json!({"runAsUser": 1000}))],
            SecurityProfile::All
        ),
        Value::Null
    );
    let template = json!({"spec": {"containers": [{"name": "x", "securityContext": {"privileged": true}}]}});
    assert_eq!(
        context(&[("driver.template", template)], SecurityProfile::All),
        json!({"privileged": true})
    );
}

#[test]
fn typed_fields_win_over_the_template_and_the_rest_of_it_stays() {
    let template = json!({
        "metadata": {"annotations": {"from": "template"}},
        "spec": {
            "priorityClassName": "low", "runtimeClassName": "gvisor",
            "tolerations": [{"key": "t"}],
            "containers": [{"name": "side", "image": "old"}, {"name": "spark-kubernetes-driver", "env": [{"name": "A", "value": "template"}, {"name": "B", "value": "template"}]}],
        },
    });
    let spec = with(&[
        ("driver.template", template),
        ("driver.priorityClassName", json!("high")),
        ("driver.tolerations", json!([{"key": "f"}])),
        ("driver.env", json!([{"name": "A", "value": "field"}])),
        ("driver.sidecars", json!([{"name": "side", "image": "new"}])),
    ]);
    let observed = observed(&spec);
    let pod = &observed["driver"];
    assert_eq!(pod["spec"]["priorityClassName"], "high");
    assert_eq!(pod["spec"]["runtimeClassName"], "gvisor");
    assert_eq!(pod["spec"]["tolerations"], json!([{"key": "t"}, {"key": "f"}]));
    assert_eq!(pod["metadata"]["annotations"]["from"], "template");
    assert_eq!([&observed["env"]["A"], &observed["env"]["B"]], ["field", "template"]);
    assert_eq!(pod["spec"]["containers"][0], json!({"name": "side", "image": "new"}));
    assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 2);
}

#[test]
fn an_ingress_with_a_path_tells_spark_and_rewrites() {
    let ingress = IngressSettings {
        url_format: "https://spark.example.com:8443/{{ $appNamespace }}/{{$appName}}".to_owned(),
        class_name: Some("nginx".to_owned()),
        ..IngressSettings::default()
    };
    let settings = Settings {
        ui_ingress: Some(ingress),
        ..settings()
    };
    let app = application(&base());
    let plan = plan_application(&app, 1, &settings).unwrap();
    assert_eq!(plan.submission.properties["spark.ui.proxyBase"], "/jobs/pi");
    let ingress = &by_kind(&plan.beside)["Ingress"];
    assert_eq!(ingress["metadata"]["name"], "pi-ui-ingress");
    assert_eq!(
        ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/rewrite-target"],
        "/$2"
    );
    assert_eq!(ingress["spec"]["ingressClassName"], "nginx");
    assert_eq!(ingress["spec"]["rules"][0]["host"], "spark.example.com");
    assert_eq!(
        ingress["spec"]["rules"][0]["http"]["paths"][0]["path"],
        "/jobs/pi(/|$)(.*)"
    );
    assert_eq!(
        ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"],
        json!({"service": {"name": "pi-ui-svc", "port": {"number": 4040}}})
    );
    let way_in = (
        "pi-ui-ingress".to_owned(),
        "https://spark.example.com/jobs/pi".to_owned(),
    );
    assert_eq!(plan.ui.unwrap().way_in, Some(way_in));
    let broken = IngressSettings {
        url_format: "{{$unknown}}.example.com".to_owned(),
        ..IngressSettings::default()
    };
    let error = plan_application(
        &app,
        1,
        &Settings {
            ui_ingress: Some(broken),
            ..settings
        },
    )
    .unwrap_err();
    assert!(error.to_string().contains("{{$appName}}"), "{error}");
}

#[test]
fn the_proxy_user_is_the_user() {
    for version in ["3.5.9", "4.1.4", "4.3.0"] {
        let spec = with(&[("proxyUser", json!("bob")), ("sparkVersion", json!(version))]);
        let plan = plan_application(&application(&spec), 1, &settings()).unwrap();
        let driver = container(&plan.submission.driver_pod, names::DRIVER_CONTAINER);
        let env = driver["env"].as_array().unwrap();
        let user = env.iter().find(|variable| variable["name"] == "SPARK_USER").unwrap();
        assert_eq!(user["value"], "bob", "{version}");
    }
}

#[test]
fn settings_show() {
    let settings = Settings {
        cpu_limits: true,
        rpc_authentication: true,
        default_service_account: Some("spark-operator-spark".to_owned()),
        file_upload_path: Some("s3a://b/up".to_owned()),
        ui_service: false,
        driver_disruption_budget: true,
        ..settings()
    };
    let plan = plan_application(&application(&with(&[("executor.cores", json!(3))])), 1, &settings).unwrap();
    let driver = container(&plan.submission.driver_pod, names::DRIVER_CONTAINER);
    assert_eq!(driver["resources"]["limits"]["cpu"], "1");
    assert_eq!(plan.submission.properties["spark.kubernetes.executor.limit.cores"], "3");
    assert_eq!(plan.submission.properties["spark.authenticate"], "true");
    assert_eq!(
        plan.submission.properties["spark.kubernetes.file.upload.path"],
        "s3a://b/up"
    );
    assert_eq!(
        plan.submission.driver_pod["spec"]["serviceAccountName"],
        "spark-operator-spark"
    );
    assert_eq!(
        by_kind(&plan.beside).keys().collect::<Vec<_>>(),
        ["PodDisruptionBudget"]
    );
    let off = with(&[("sparkConf", json!({"spark.authenticate": "false"}))]);
    let plan = plan_application(&application(&off), 1, &settings).unwrap();
    assert_eq!(plan.submission.properties["spark.authenticate"], "false");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
    #[test]
    fn no_ingress_format_panics(format in "\\PC{0,40}|(\\{|\\}|\\$|appName|/|:|a| ){0,14}") {
        let ingress = IngressSettings { url_format: format, ..IngressSettings::default() };
        let _ = plan_application(&application(&base()), 1, &Settings { ui_ingress: Some(ingress), ..settings() });
    }
}

#[test]
fn the_object_store_at_hand_is_for_applications_that_name_none_of_their_own() {
    let mut settings = settings();
    settings.object_store = Some(ObjectStoreSettings {
        endpoint: "http://127.64.0.1:9000".to_owned(),
        region: "us-east-1".to_owned(),
        secret: "stoke-object-store".to_owned(),
    });
    settings.default_conf = BTreeMap::from([("spark.jars.ivy".to_owned(), "/packages".to_owned())]);
    let request =
        |values: &[(&str, Value)]| request_from_application(&application(&with(values)), 1, &settings).unwrap();
    let first_source = |template: &Option<crate::PodTemplate>| {
        template
            .as_ref()
            .map(|template| template.pod["spec"]["containers"][0]["envFrom"][0].clone())
    };

    let plain = request(&[("driver", json!({"envFrom": [{"secretRef": {"name": "mine"}}]}))]);
    assert_eq!(plain.conf["spark.hadoop.fs.s3a.endpoint"], "http://127.64.0.1:9000");
    assert_eq!(plain.conf["spark.hadoop.fs.s3a.path.style.access"], "true");
    assert_eq!(plain.conf["spark.jars.ivy"], "/packages");
    let ours = json!({"secretRef": {"name": "stoke-object-store"}});
    assert_eq!(first_source(&plain.files.driver_template), Some(ours.clone()));
    assert_eq!(first_source(&plain.files.executor_template), Some(ours.clone()));
    let driver = plain.files.driver_template.unwrap().pod;
    assert_eq!(
        driver["spec"]["containers"][0]["envFrom"][1]["secretRef"]["name"],
        "mine"
    );

    let key = json!({"name": "aws", "key": "id"});
    for own in [
        ("hadoopConf", json!({"fs.s3a.endpoint": "https://s3.example.com"})),
        ("sparkConf", json!({"spark.hadoop.fs.s3a.access.key": "k"})),
        (
            "sparkConf",
            json!({"spark.kubernetes.driver.secretKeyRef.AWS_ACCESS_KEY_ID": "aws:id"}),
        ),
        ("driver", json!({"env": [{"name": "AWS_ACCESS_KEY_ID", "value": "k"}]})),
        ("driver", json!({"envVars": {"AWS_PROFILE": "p"}})),
        ("executor", json!({"envSecretKeyRefs": {"AWS_SECRET_ACCESS_KEY": key}})),
    ] {
        let request = request(std::slice::from_ref(&own));
        let endpoint = request.conf.get("spark.hadoop.fs.s3a.path.style.access");
        assert_eq!(endpoint, None, "{own:?}");
        assert_ne!(
            first_source(&request.files.driver_template),
            Some(ours.clone()),
            "{own:?}"
        );
    }
    let kept = request(&[(
        "sparkConf",
        json!({"spark.jars.ivy": "/elsewhere", "spark.hadoop.fs.s3a.path.style.access": "false"}),
    )]);
    assert_eq!(kept.conf["spark.jars.ivy"], "/elsewhere");
    assert_eq!(kept.conf["spark.hadoop.fs.s3a.path.style.access"], "false");
    assert_eq!(kept.conf["spark.hadoop.fs.s3a.endpoint"], "http://127.64.0.1:9000");
}

#[test]
fn event_logs_are_written_by_applications_that_say_nothing_of_them() {
    let mut settings = settings();
    settings.event_log = Some("file:///logs".to_owned());
    let cases = [
        (json!({}), [Some("true"), Some("file:///logs"), None]),
        (json!({"spark.eventLog.enabled": "false"}), [Some("false"), None, None]),
        (
            json!({"spark.eventLog.dir": "s3a://b/p"}),
            [None, Some("s3a://b/p"), None],
        ),
        (json!({"spark.eventLog.compress": "true"}), [None, None, Some("true")]),
    ];
    for (conf, expected) in cases {
        let application = application(&with(&[("sparkConf", conf.clone())]));
        let request = request_from_application(&application, 1, &settings).unwrap();
        let of = |key: &str| request.conf.get(key).map(String::as_str);
        let found = [
            of("spark.eventLog.enabled"),
            of("spark.eventLog.dir"),
            of("spark.eventLog.compress"),
        ];
        assert_eq!(found, expected, "{conf}");
    }
}

/// An observed application serves its metrics and leaves its last words; what the manifest says stays, and without the setting nothing changes.
#[test]
fn an_observed_application_is_scraped_with_no_change_to_its_manifest() {
    let observed = Settings {
        observe: true,
        ..settings()
    };
    let plan = |spec: Value, settings: &Settings| plan_application(&application(&spec), 1, settings).unwrap();
    let conf = |plan: &ApplicationPlan| {
        let map = plan.submission.pre_resources.iter().chain(&plan.submission.resources);
        map.filter_map(|resource| resource.object["data"]["spark.properties"].as_str().map(str::to_owned))
            .collect::<String>()
    };
    let plain = plan(base(), &settings());
    assert!(!conf(&plain).contains("prometheus"), "{}", conf(&plain));
    let seen = plan(base(), &observed);
    for line in [
        "spark.ui.prometheus.enabled=true",
        "spark.metrics.namespace=spark",
        "spark.metrics.conf.driver.sink.prometheusServlet.path=/metrics/prometheus",
        "spark.metrics.conf.driver.source.jvm.class=org.apache.spark.metrics.source.JvmSource",
    ] {
        assert!(conf(&seen).contains(line), "{line}: {}", conf(&seen));
    }
    let container = |plan: &ApplicationPlan| plan.submission.driver_pod["spec"]["containers"][0].clone();
    assert_eq!(container(&seen)["terminationMessagePolicy"], "FallbackToLogsOnError");
    assert!(container(&plain)["terminationMessagePolicy"].is_null());
    // The port that monitors select by its name is the one the UI serves on.
    let ports = container(&seen)["ports"].as_array().cloned().unwrap_or_default();
    assert!(
        ports
            .iter()
            .any(|port| port["name"] == "spark-ui" && port["containerPort"] == 4040),
        "{ports:?}"
    );
    let own = with(&[(
        "sparkConf",
        json!({"spark.metrics.namespace": "mine", "spark.ui.prometheus.enabled": "false"}),
    )]);
    let own = conf(&plan(own, &observed));
    assert!(own.contains("spark.metrics.namespace=mine") && own.contains("spark.ui.prometheus.enabled=false"));
    let hidden = conf(&plan(
        with(&[("sparkConf", json!({"spark.ui.enabled": "false"}))]),
        &observed,
    ));
    assert!(!hidden.contains("prometheus"), "{hidden}");
}
