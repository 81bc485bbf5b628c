//! Mistakes in manifests.

use stoke_gate::Gate;

use super::{APP, JVM, Mistake, OBJECTS, Row, SCHEDULE, rows};

const IN_APP: &[Row] = &[
    ("  mode: cluster", "  mod: cluster", "unknown-field", ""),
    (
        "    cores: 1\n    memory: 1g",
        "    core: 1\n    memory: 1g",
        "unknown-field",
        "",
    ),
    (
        "    memory: 1g\n    service",
        "    memry: 1g\n    service",
        "unknown-field",
        "",
    ),
    (
        "    serviceAccount: spark",
        "    serviceAcount: spark",
        "unknown-field",
        "",
    ),
    ("  imagePullPolicy:", "  imagePulPolicy:", "unknown-field", ""),
    (
        "    onFailureRetries: 3",
        "    onFailureRetries: 3\n    onFailureRetrys: 3",
        "unknown-field",
        "Retrys",
    ),
    ("  sparkConf:", "  sparkConfig:", "unknown-field", ""),
    (
        "      mountPath: /scratch",
        "      mountpath: /scratch\n      mountPath: /scratch",
        "unknown-field",
        "",
    ),
    (
        "  restartPolicy:\n",
        "  spark.executor.memory: 2g\n  restartPolicy:\n",
        "unknown-field",
        "",
    ),
    ("  type: Python", "  type: Pyhton", "bad-value", ""),
    (
        "  imagePullPolicy: IfNotPresent",
        "  imagePullPolicy: Sometimes",
        "bad-value",
        "",
    ),
    ("    type: OnFailure", "    type: Sometimes", "bad-value", ""),
    ("    instances: 2", "    instances: \"2\"", "wrong-type", ""),
    ("    instances: 2", "    instances: two", "wrong-type", ""),
    ("    instances: 2", "    instances: -1", "out-of-range", ""),
    ("    cores: 2", "    cores: 0", "out-of-range", ""),
    (
        "  arguments: [\"--date\", \"2026-01-01\"]",
        "  arguments: --date",
        "wrong-type",
        "",
    ),
    (
        "    spark.sql.shuffle.partitions: \"200\"",
        "    spark.sql.shuffle.partitions: 200",
        "wrong-type",
        "",
    ),
    (
        "    spark.sql.adaptive.enabled: \"true\"",
        "    spark.sql.adaptive.enabled: true",
        "wrong-type",
        "",
    ),
    ("      value: prod", "      value: yes", "wrong-type", ""),
    ("    team: sales", "    team: 7", "wrong-type", ""),
    ("  sparkVersion: 4.1.4\n", "", "missing-field", "spec:"),
    (
        "  mainApplicationFile: local:///opt/app/main.py\n",
        "",
        "missing-main-file",
        "  type: Python",
    ),
    ("  name: daily-sales", "  name: Daily_Sales", "bad-name", ""),
    (
        "  name: daily-sales",
        "  name: a-name-that-is-much-longer-than-any-label-of-kubernetes-may-ever-be",
        "bad-name",
        "",
    ),
    ("    memory: 2g", "    memory: 2 gigabytes", "bad-memory", ""),
    ("    memory: 2g", "    memory: 2gg", "bad-memory", ""),
    ("    memory: 2g", "    memory: 100m", "too-little-memory", ""),
    (
        "    - name: scratch\n      mountPath",
        "    - name: scrach\n      mountPath",
        "unknown-volume",
        "",
    ),
    (
        "  name: daily-sales",
        "  name: daily-sales\n  name: other",
        "duplicate-key",
        "other",
    ),
    (
        "    team: sales",
        "    team: sales\n    team: other",
        "duplicate-key",
        "other",
    ),
    ("  mode: cluster", "  mode: client", "client-mode", ""),
    ("main.py", "main.jar", "wrong-language", ""),
    ("kind: SparkApplication", "kind: SparkAplication", "wrong-kind", ""),
    (
        "apiVersion: sparkoperator.k8s.io/v1beta2",
        "apiVersion: sparkoperator.k8s.io/v1beta1",
        "wrong-api-version",
        "",
    ),
    (
        "apiVersion: sparkoperator.k8s.io/v1beta2",
        "apiVersion: spark.apache.org/v1",
        "wrong-api-version",
        "",
    ),
    ("  mode: cluster", "  mode: [cluster", "yaml-syntax", "  sparkVersion"),
    (
        "  labels:\n",
        "  annotations:\n    stoke.dev/start-timout: 5m\n  labels:\n",
        "unknown-annotation",
        "timout",
    ),
    (
        "  labels:\n",
        "  annotations:\n    stoke.dev/start-timeout: soon\n  labels:\n",
        "bad-annotation",
        "soon",
    ),
    (
        "    emptyDir: {}",
        "    emptyDir: {sizeLimit: lots}",
        "bad-quantity",
        "",
    ),
];

/// Mistakes that only other files show, or an API server.
const BESIDE_OTHERS: &[Row] = &[
    (
        "    serviceAccount: spark",
        "    serviceAccount: spak",
        "missing-service-account",
        "",
    ),
    (
        "    emptyDir: {}",
        "    persistentVolumeClaim: {claimName: dataa}",
        "missing-object",
        "",
    ),
    (
        "    emptyDir: {}",
        "    configMap: {name: job-setings}",
        "missing-object",
        "",
    ),
    (
        "    emptyDir: {}",
        "    configMap: {name: job-settings, items: [{key: app.cnf, path: app.conf}]}",
        "missing-key",
        "",
    ),
    (
        "      value: prod",
        "      valueFrom: {secretKeyRef: {name: database, key: pasword}}",
        "missing-key",
        "",
    ),
    (
        "    emptyDir: {}",
        "    hostPath: {path: /scratch, type: Dir}",
        "bad-value",
        "",
    ),
    (
        "    serviceAccount: spark",
        "    tolerations: [{key: a, operator: Exists, effect: NoScheduling}]\n    serviceAccount: spark",
        "bad-value",
        "",
    ),
    (
        "  image: registry.example.com/spark:4.1.4",
        "  image: registry.example.com/Spark:4.1.4",
        "bad-image",
        "",
    ),
    (
        "  image: registry.example.com/spark:4.1.4",
        "  image: apache/spark:3.5.3",
        "image-version",
        "",
    ),
    (
        "    serviceAccount: spark",
        "    ports: [{name: extra_port, containerPort: 9000}]\n    serviceAccount: spark",
        "bad-name",
        "",
    ),
];

/// What stands beside those.
const OTHERS: (&str, &str) = (
    "others.yaml",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: job-settings, namespace: sales}\ndata: {app.conf: a}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: database, namespace: sales}\nstringData: {password: '${PASSWORD}'}\n",
);

const IN_JVM: &[Row] = &[
    (
        "  mainClass: com.example.Main\n",
        "",
        "missing-main-class",
        "  mainApplicationFile",
    ),
    ("    minExecutors: 1", "    minExecutors: 8", "min-above-max", ""),
    (
        "    initialExecutors: 2",
        "    initialExecutors: 9",
        "initial-above-max",
        "",
    ),
    (
        "    enabled: true",
        "    enabled: false",
        "no-effect",
        "  dynamicAllocation:",
    ),
    ("main.jar", "main.py", "wrong-language", ""),
];

const IN_SCHEDULE: &[Row] = &[
    (
        "  concurrencyPolicy: Forbid",
        "  concurrencyPolicy: Forbidden",
        "bad-value",
        "",
    ),
    (
        "  successfulRunHistoryLimit: 3",
        "  succesfulRunHistoryLimit: 3",
        "unknown-field",
        "",
    ),
    (
        "    image: apache/spark:4.1.4\n",
        "    images: apache/spark:4.1.4\n    image: apache/spark:4.1.4\n",
        "unknown-field",
        "",
    ),
    (
        "  schedule: \"0 3 * * *\"",
        "  shedule: \"0 3 * * *\"\n  schedule: \"0 3 * * *\"",
        "unknown-field",
        "",
    ),
];

const IN_OBJECTS: &[Row] = &[
    (
        "apiVersion: batch/v1\n",
        "apiVersion: batch/v1beta1\n",
        "kubernetes-removed-api",
        "",
    ),
    (
        "apiVersion: networking.k8s.io/v1\n",
        "apiVersion: extensions/v1beta1\n",
        "kubernetes-removed-api",
        "",
    ),
    (
        "apiVersion: rbac.authorization.k8s.io/v1\n",
        "apiVersion: rbac.authorization.k8s.io/v1beta1\n",
        "kubernetes-removed-api",
        "",
    ),
    (
        "apiVersion: batch/v1\n",
        "apiVersion: batch/v2\n",
        "kubernetes-no-such-kind",
        "",
    ),
    ("kind: CronJob", "kind: CronJobs", "kubernetes-no-such-kind", ""),
    (
        "kind: NetworkPolicy",
        "kind: NetworkPolicies",
        "kubernetes-no-such-kind",
        "",
    ),
    (
        "          restartPolicy: Never",
        "          restartPolicy: Nevr",
        "bad-value",
        "",
    ),
    (
        "  concurrencyPolicy: Forbid",
        "  concurrencyPolicy: Forbids",
        "bad-value",
        "",
    ),
    (
        "            - containerPort: 8080",
        "            - containerPort: \"8080\"",
        "wrong-type",
        "",
    ),
    (
        "            - containerPort: 8080",
        "            - port: 8080\n              containerPort: 8080",
        "unknown-field",
        "",
    ),
    (
        "            image: registry.example.com/clean:1.0",
        "            images: registry.example.com/clean:1.0",
        "unknown-field",
        "",
    ),
    (
        "  jobTemplate:",
        "  jobTemplat: {}\n  jobTemplate:",
        "unknown-field",
        "",
    ),
    (
        "  verbs: [create, get, list, watch, delete]",
        "  verb: [create]\n  verbs: [get]",
        "unknown-field",
        "",
    ),
    (
        "  verbs: [create, get, list, watch, delete]\n",
        "",
        "missing-field",
        "- apiGroups",
    ),
    (
        "  podSelector: {}",
        "  podSelectors: {}\n  podSelector: {}",
        "unknown-field",
        "",
    ),
    (
        "  accessModes: [ReadWriteOnce]",
        "  accessModes: ReadWriteOnce",
        "wrong-type",
        "",
    ),
    (
        "  accessModes: [ReadWriteOnce]",
        "  accessModes: [ReadWriteOne]",
        "bad-value",
        "",
    ),
    (
        "    requests: {storage: 10Gi}",
        "    requests: {storage: 10 GB}",
        "bad-quantity",
        "",
    ),
    (
        "              limits: {memory: 256Mi}",
        "              limits: {memory: 256mb}",
        "bad-quantity",
        "",
    ),
    (
        "  name: data\n",
        "  name: data\n  nmespace: x\n",
        "unknown-field",
        "nmespace",
    ),
    ("  policyTypes: [Ingress]", "  policyTypes: [Inngress]", "bad-value", ""),
    (
        "          restartPolicy: Never",
        "          restartPolicy: Always",
        "bad-value",
        "",
    ),
    (
        "  schedule: \"0 4 * * *\"",
        "  schedule: \"0 4 * * * *\"",
        "bad-schedule",
        "",
    ),
    (
        "            - containerPort: 8080",
        "            - containerPort: 80800",
        "out-of-range",
        "",
    ),
    (
        "            ports:\n",
        "            volumeMounts: [{name: tmp, mountPath: /tmp}]\n            ports:\n",
        "unknown-volume",
        "",
    ),
];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Manifest, APP, IN_APP);
    all.extend(rows(Gate::Manifest, JVM, IN_JVM));
    all.extend(rows(Gate::Manifest, SCHEDULE, IN_SCHEDULE));
    all.extend(rows(Gate::Manifest, OBJECTS, IN_OBJECTS));
    let beside = rows(Gate::Manifest, APP, BESIDE_OTHERS).into_iter();
    all.extend(beside.map(|mistake| Mistake {
        beside: &[OBJECTS, OTHERS],
        ..mistake
    }));
    let template = (
        "chart/templates/app.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n",
    );
    all.extend(rows(
        Gate::Manifest,
        template,
        &[("  name: a", "  name: {{ .Release.Name }}", "manifest-template", "-")],
    ));
    all.push(Mistake {
        gate: Gate::Manifest,
        beside: &[OBJECTS],
        base: (
            "more.yaml",
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: other, namespace: sales}\n",
        ),
        find: "other",
        by: "spark",
        code: "defined-twice",
        at: "",
    });
    let secrets = (
        "external.yaml",
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}\n",
    );
    all.extend(rows(
        Gate::Manifest,
        secrets,
        &[(
            "external-secrets.io/v1\n",
            "external-secrets.io/v1beta1\n",
            "retired-api",
            "",
        )],
    ));
    all
}
