use crate::gates::found;
use crate::gates::manifest::look;

const APP: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {name: a, namespace: data}\nspec:\n  type: Python\n  mode: cluster\n  sparkVersion: 4.1.4\n  image: spark:4.1.4\n  mainApplicationFile: local:///a.py\n  executor: {cores: 1, instances: 1}\n  driver:\n    cores: 1\n";

/// Code and severity of what is found in an application with a text at its end, beside other files.
fn codes(app: &str, beside: &[(&str, &str)]) -> Vec<String> {
    let text = if app.starts_with("apiVersion") {
        app.to_owned()
    } else {
        format!("{APP}{app}")
    };
    let files: Vec<(&str, &str)> = beside.iter().copied().chain([("app.yaml", text.as_str())]).collect();
    let all = found(&files, look).into_iter();
    all.map(|one| format!("{} {}", one.severity, one.code)).collect()
}

fn object(kind: &str, name: &str) -> String {
    let api_version = match kind {
        "PriorityClass" => "scheduling.k8s.io/v1",
        "Role" | "ClusterRole" => "rbac.authorization.k8s.io/v1",
        _ => "v1",
    };
    let more = match kind {
        "PriorityClass" => "value: 1\n",
        "PersistentVolumeClaim" => "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n",
        "ConfigMap" => "data: {one: a, two: b}\n",
        "Secret" => "stringData: {one: a, two: b}\n",
        "Role" | "ClusterRole" => "rules: []\n",
        _ => "",
    };
    let namespace = if matches!(kind, "PriorityClass" | "ClusterRole") {
        ""
    } else {
        ", namespace: data"
    };
    format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: {name}{namespace}}}\n{more}")
}

/// Every way to name an object: the kind and the text, with `NAME` for the name.
const WAYS: [(&str, &str); 21] = [
    ("ConfigMap", "    envFrom: [{configMapRef: {name: NAME}}]\n"),
    (
        "ConfigMap",
        "    env: [{name: A, valueFrom: {configMapKeyRef: {name: NAME, key: one}}}]\n",
    ),
    ("ConfigMap", "    configMaps: [{name: NAME, path: /c}]\n"),
    ("ConfigMap", "  sparkConfigMap: NAME\n"),
    ("ConfigMap", "  hadoopConfigMap: NAME\n"),
    (
        "ConfigMap",
        "  volumes: [{name: v, configMap: {name: NAME, items: [{key: one, path: x}]}}]\n",
    ),
    (
        "ConfigMap",
        "  volumes: [{name: v, projected: {sources: [{configMap: {name: NAME}}]}}]\n",
    ),
    (
        "ConfigMap",
        "    template: {spec: {containers: [{name: c, envFrom: [{configMapRef: {name: NAME}}]}]}}\n",
    ),
    (
        "ConfigMap",
        "  sparkConf: {spark.kubernetes.hadoop.configMapName: NAME}\n",
    ),
    ("Secret", "    envFrom: [{secretRef: {name: NAME}}]\n"),
    ("Secret", "    secrets: [{name: NAME, path: /s, secretType: Generic}]\n"),
    ("Secret", "    envSecretKeyRefs: {A: {name: NAME, key: one}}\n"),
    ("Secret", "  volumes: [{name: v, secret: {secretName: NAME}}]\n"),
    (
        "Secret",
        "  sparkConf: {spark.kubernetes.driver.secrets.NAME: /etc/s}\n",
    ),
    (
        "Secret",
        "  sparkConf: {spark.kubernetes.executor.secretKeyRef.A: 'NAME:one'}\n",
    ),
    (
        "PersistentVolumeClaim",
        "  volumes: [{name: v, persistentVolumeClaim: {claimName: NAME}}]\n",
    ),
    (
        "PersistentVolumeClaim",
        "  sparkConf: {spark.kubernetes.driver.volumes.persistentVolumeClaim.d.options.claimName: NAME}\n",
    ),
    ("ServiceAccount", "    serviceAccount: NAME\n"),
    ("ServiceAccount", "    template: {spec: {serviceAccountName: NAME}}\n"),
    ("PriorityClass", "    priorityClassName: NAME\n"),
    (
        "PriorityClass",
        "  batchScheduler: volcano\n  batchSchedulerOptions: {priorityClassName: NAME}\n",
    ),
];

#[test]
fn every_way_to_name_an_object_is_followed() {
    for (kind, way) in WAYS {
        let here = object(kind, "shared-settings");
        let code = if kind == "ServiceAccount" {
            "missing-service-account"
        } else {
            "missing-object"
        };
        let of = |name: &str| codes(&way.replace("NAME", name), &[("o.yaml", &here)]);
        assert_eq!(of("shared-settings"), [""; 0], "{way}");
        assert_eq!(of("shared-setings"), [format!("error {code}")], "{way}");
        // Secrets are often put there by hand.
        let another = (kind != "Secret").then(|| format!("warning {code}"));
        assert_eq!(of("quite-another"), another.into_iter().collect::<Vec<_>>(), "{way}");
        // Where the job defines none of the kind, nothing is known.
        assert_eq!(codes(&way.replace("NAME", "shared-setings"), &[]), [""; 0], "{way}");
        // Pods cannot use objects of another namespace.
        let elsewhere = here.replace("namespace: data", "namespace: other");
        if kind != "PriorityClass" {
            assert_eq!(
                codes(&way.replace("NAME", "shared-setings"), &[("o.yaml", &elsewhere)]),
                [""; 0],
                "{way}"
            );
        }
        // Without a namespace it goes where the application goes.
        let anywhere = here.replace(", namespace: data", "");
        assert_eq!(
            codes(&way.replace("NAME", "shared-setings"), &[("o.yaml", &anywhere)]),
            [format!("error {code}")],
            "{way}"
        );
    }
}

#[test]
fn keys_are_those_of_the_object() {
    for (kind, way) in [
        (
            "ConfigMap",
            "    env: [{name: A, valueFrom: {configMapKeyRef: {name: o, key: KEY}}}]\n",
        ),
        (
            "ConfigMap",
            "  volumes: [{name: v, configMap: {name: o, items: [{key: KEY, path: x}]}}]\n",
        ),
        (
            "ConfigMap",
            "  volumes: [{name: v, projected: {sources: [{configMap: {name: o, items: [{key: KEY, path: x}]}}]}}]\n",
        ),
        (
            "Secret",
            "    env: [{name: A, valueFrom: {secretKeyRef: {name: o, key: KEY}}}]\n",
        ),
        ("Secret", "    envSecretKeyRefs: {A: {name: o, key: KEY}}\n"),
        (
            "Secret",
            "  volumes: [{name: v, secret: {secretName: o, items: [{key: KEY, path: x}]}}]\n",
        ),
        (
            "Secret",
            "  sparkConf: {spark.kubernetes.driver.secretKeyRef.A: 'o:KEY'}\n",
        ),
    ] {
        let here = object(kind, "o");
        let of = |key: &str, here: &str| codes(&way.replace("KEY", key), &[("o.yaml", here)]);
        assert_eq!(of("two", &here), [""; 0], "{way}");
        assert_eq!(of("too", &here), ["error missing-key"], "{way}");
        // What has no keys is filled by someone; variants in other files have keys of their own.
        let empty = here.replace("one: a, two: b", "");
        assert_eq!(of("too", &empty), [""; 0], "{way}");
        let more = format!(
            "{}---\n{}",
            here.replace("one: a, two: b", "too: c"),
            here.replace("namespace: data", "namespace: x")
        );
        assert_eq!(
            codes(
                &way.replace("KEY", "too"),
                &[("dev/o.yaml", &here), ("prod/o.yaml", &more)]
            ),
            [""; 0],
            "{way}"
        );
        let optional = way.replace("ame: o,", "ame: o, optional: true,");
        if optional != way && !way.contains("envSecretKeyRefs") {
            assert_eq!(
                codes(&optional.replace("KEY", "too"), &[("o.yaml", &here)]),
                [""; 0],
                "{optional}"
            );
        }
    }
}

#[test]
fn what_something_else_may_make_is_left_alone() {
    let here = object("ConfigMap", "shared-settings");
    let here = here.as_str();
    let beside: [(&str, &str); 9] = [
        (
            "Makefile",
            "x:\n\tkubectl create configmap shared-setings --from-file=a\n",
        ),
        ("README.md", "Create `shared-setings` first."),
        ("main.tf", "name = \"shared-setings\"\n"),
        (
            "c.yaml",
            "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x, args: [sh, -c, kubectl create configmap shared-setings]}]}}}\n",
        ),
        (
            "e.yaml",
            "apiVersion: example.com/v1\nkind: Maker\nmetadata: {name: m}\nspec: {target: shared-setings}\n",
        ),
        (
            "e.yaml",
            "apiVersion: example.com/v1\nkind: Maker\nmetadata: {name: shared-setings}\n",
        ),
        (
            "e.yaml",
            "apiVersion: example.com/v1\nkind: Cluster\nmetadata: {name: shared}\n",
        ),
        (
            "kustomization.yaml",
            "configMapGenerator: [{name: shared-setings, literals: [a=b]}]\n",
        ),
        ("deploy.sh", "kubectl create configmap shared-setings."),
    ];
    let way = "    envFrom: [{configMapRef: {name: shared-setings}}]\n";
    assert_eq!(codes(way, &[("o.yaml", here)]), ["error missing-object"]);
    for maker in beside {
        assert_eq!(codes(way, &[("o.yaml", here), maker]), [""; 0], "{maker:?}");
    }
    for name in ["'${CONFIG}'", "'<config>'", "kube-root-ca.crt"] {
        let way = format!("    envFrom: [{{configMapRef: {{name: {name}}}}}]\n");
        assert_eq!(codes(&way, &[("o.yaml", here)]), [""; 0], "{name}");
    }
    // Credentials of registries are put there with the cluster.
    assert_eq!(
        codes(
            "  imagePullSecrets: [regcred]\n",
            &[("o.yaml", &object("Secret", "database"))]
        ),
        [""; 0]
    );
    assert_eq!(
        codes(
            "  imagePullSecrets: [regcrd]\n",
            &[("o.yaml", &object("Secret", "regcred"))]
        ),
        ["error missing-object"]
    );
}

#[test]
fn bindings_and_ingresses_name_objects_too() {
    let binding = |account: &str, role: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: b, namespace: data}}\nsubjects: [{{kind: ServiceAccount, name: {account}, namespace: data}}]\nroleRef: {{apiGroup: rbac.authorization.k8s.io, {role}}}\n"
        )
    };
    let (account, role) = (object("ServiceAccount", "spark"), object("Role", "driver"));
    let beside = [("a.yaml", account.as_str()), ("r.yaml", role.as_str())];
    for (name, role, expected) in [
        ("spark", "kind: Role, name: driver", vec![]),
        ("spark", "kind: ClusterRole, name: edit", vec![]),
        ("spark", "kind: Role, name: drivr", vec!["error missing-object"]),
        (
            "sprk",
            "kind: Role, name: driver",
            vec!["error missing-service-account"],
        ),
        ("default", "kind: Role, name: driver", vec![]),
    ] {
        assert_eq!(codes(&binding(name, role), &beside), expected, "{name} {role}");
    }
    let ingress = |service: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i, namespace: data}}\nspec: {{rules: [{{http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {service}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        )
    };
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: history, namespace: data}\nspec: {ports: [{port: 80}]}\n";
    assert_eq!(codes(&ingress("history"), &[("s.yaml", service)]), [""; 0]);
    assert_eq!(
        codes(&ingress("histori"), &[("s.yaml", service)]),
        ["error missing-object"]
    );
}

#[test]
fn a_kustomizations_namespace_and_names_are_its_own() {
    let way = "    envFrom: [{configMapRef: {name: settings}}]\n    env: [{name: A, valueFrom: {configMapKeyRef: {name: settings, key: KEY}}}]\n";
    let generator = "namespace: prod\nconfigMapGenerator: [{name: settings, literals: [one=a], files: [two.txt]}]\n";
    for (key, expected) in [
        ("one", vec![]),
        ("two.txt", vec![]),
        ("three", vec!["error missing-key"]),
    ] {
        assert_eq!(
            codes(&way.replace("KEY", key), &[("kustomization.yaml", generator)]),
            expected,
            "{key}"
        );
    }
    // It puts everything into one namespace, whatever is written.
    let here = object("ConfigMap", "settings").replace("namespace: data", "namespace: other");
    assert_eq!(
        codes(
            &way.replace("KEY", "one"),
            &[
                ("o.yaml", &here),
                ("kustomization.yaml", "namespace: x\nresources: []\n")
            ]
        ),
        [""; 0]
    );
}
