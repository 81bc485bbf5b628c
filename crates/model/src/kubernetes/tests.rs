use super::*;
use crate::manifest;

/// Codes, lines and suggestions of a manifest for a release.
fn said(text: &str, release: &str) -> Vec<(String, usize, String)> {
    let (documents, _) = manifest::check("a.yaml", text);
    let found = check(&documents[0], release.parse().unwrap()).expect("a kind that is known");
    let line = |complaint: Diagnostic| {
        (
            complaint.code.to_string(),
            complaint.line,
            complaint.fix_text().to_owned(),
        )
    };
    found.into_iter().map(line).collect()
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: c\n    image: x\n";

#[test]
fn releases_are_written_as_clusters_tell_them() {
    for text in ["1.34", "v1.34", "1.34.2", "v1.34.4-eks-0a1b", "1.34+", " 1.34 "] {
        assert_eq!(text.parse::<Release>().unwrap(), Release(34), "{text}");
    }
    for text in ["", "34", "2.0", "1.", "1.x", "1.34x", "v1"] {
        assert!(matches!(text.parse::<Release>(), Err(BadRelease::Form(_))), "{text}");
    }
    for text in ["1.3", "1.999", "1.38"] {
        let error = text.parse::<Release>().unwrap_err();
        assert!(error.to_string().contains("1.15 to 1.37"), "{error}");
    }
}

#[test]
fn the_embedded_cluster_serves_the_default_release() {
    // The types of the embedded cluster are of this release (feature of k8s-openapi in the workspace).
    assert_eq!(Release::DEFAULT.to_string(), "1.34");
}

#[test]
fn what_was_removed_names_what_stands_in_its_place() {
    let cases = [
        ("batch/v1beta1", "CronJob", "1.25", "kubernetes-removed-api", "batch/v1"),
        (
            "policy/v1beta1",
            "PodSecurityPolicy",
            "1.25",
            "kubernetes-removed-api",
            "remove it",
        ),
        (
            "policy/v1beta1",
            "PodDisruptionBudget",
            "1.25",
            "kubernetes-removed-api",
            "policy/v1",
        ),
        (
            "extensions/v1beta1",
            "Ingress",
            "1.22",
            "kubernetes-removed-api",
            "networking.k8s.io/v1",
        ),
        (
            "extensions/v1beta1",
            "Deployment",
            "1.18",
            "kubernetes-removed-api",
            "apps/v1",
        ),
        (
            "networking.k8s.io/v1beta1",
            "Ingress",
            "1.22",
            "kubernetes-removed-api",
            "networking.k8s.io/v1",
        ),
        (
            "autoscaling/v2beta2",
            "HorizontalPodAutoscaler",
            "1.26",
            "kubernetes-removed-api",
            "autoscaling/v2",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchema",
            "1.32",
            "kubernetes-removed-api",
            "flowcontrol.apiserver.k8s.io/v1",
        ),
        (
            "rbac.authorization.k8s.io/v1beta1",
            "Role",
            "1.22",
            "kubernetes-removed-api",
            "rbac.authorization.k8s.io/v1",
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "1.22",
            "kubernetes-newer-api",
            "1.23 or later",
        ),
        ("batch/v1", "CronJob", "1.20", "kubernetes-newer-api", "batch/v1beta1"),
        (
            "apps/v1",
            "Deploymnt",
            "1.34",
            "kubernetes-no-such-kind",
            "did you mean `Deployment`",
        ),
        ("v1", "Deployment", "1.34", "kubernetes-no-such-kind", "write `apps/v1`"),
        (
            "apps/v2",
            "Deployment",
            "1.34",
            "kubernetes-no-such-kind",
            "write `apps/v1`",
        ),
        (
            "batch/v3",
            "Nothing",
            "1.34",
            "kubernetes-no-such-kind",
            "no API version `batch/v3`",
        ),
        (
            "external-secrets.io/v1beta1",
            "ExternalSecret",
            "1.34",
            "retired-api",
            "external-secrets.io/v1",
        ),
        (
            "cert-manager.io/v1alpha2",
            "Certificate",
            "1.34",
            "retired-api",
            "cert-manager.io/v1",
        ),
    ];
    for (api_version, kind, release, code, help) in cases {
        let text = format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\n");
        let found = said(&text, release);
        assert_eq!(found.len(), 1, "{api_version} {kind}: {found:?}");
        assert_eq!(found[0].0, code, "{api_version} {kind}");
        assert!(found[0].2.contains(help), "{api_version} {kind}: {}", found[0].2);
    }
}

#[test]
fn the_last_release_with_an_api_has_it() {
    let cron = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: a}\nspec: {schedule: '* * * * *', jobTemplate: {spec: {template: {spec: {containers: [{name: a}]}}}}}\n";
    assert_eq!(said(cron, "1.24"), []);
}

#[test]
fn other_peoples_kinds_are_not_judged() {
    let (documents, _) = manifest::check(
        "a.yaml",
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\n",
    );
    assert_eq!(check(&documents[0], Release::DEFAULT), None);
    let (documents, _) = manifest::check(
        "a.yaml",
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n",
    );
    assert_eq!(check(&documents[0], Release::DEFAULT), None);
}

#[test]
fn fields_are_checked_where_they_stand() {
    assert_eq!(said(POD, "1.34"), []);
    let cases = [
        ("    imagePulPolicy: Always\n", "unknown-field", 8, "imagePullPolicy"),
        ("    imagePullPolicy: Sometimes\n", "bad-value", 8, "write one of"),
        ("    env: {A: b}\n", "wrong-type", 8, ""),
        (
            "    ports: [{containerPort: '80'}]\n",
            "wrong-type",
            8,
            "remove the quotes",
        ),
        ("    ports: [{name: a}]\n", "missing-field", 8, "add `containerPort`"),
        ("    resources: {limits: {memory: 1 GiB}}\n", "", 8, ""),
        ("  restartPolicy: Allways\n", "bad-value", 8, "write `Always`"),
        ("  hostNetwork: 'true'\n", "wrong-type", 8, "remove the quotes"),
        ("  nodeSelector: {a: 1}\n", "wrong-type", 8, "quote it"),
    ];
    for (line, code, at, help) in cases {
        let found = said(&format!("{POD}{line}"), "1.34");
        assert_eq!(found.len(), 1, "{line}: {found:?}");
        assert!(code.is_empty() || found[0].0 == code, "{line}: {found:?}");
        assert_eq!(found[0].1, at, "{line}");
        assert!(found[0].2.contains(help), "{line}: {found:?}");
    }
    // What stands for a field that is not there.
    for line in [
        "    imagePullPolicy: \"\"\n",
        "    env:\n",
        "  nodeSelector: null\n",
        "    ports: [{containerPort: 80, protocol: TCP}]\n",
    ] {
        assert_eq!(said(&format!("{POD}{line}"), "1.34"), [], "{line}");
    }
}

#[test]
fn a_field_of_another_release_says_which() {
    let hosts = format!("{POD}  hostUsers: false\n");
    assert_eq!(said(&hosts, "1.25"), []);
    let found = said(&hosts, "1.24");
    assert_eq!((found[0].0.as_str(), found[0].1), ("kubernetes-newer-field", 8));
    assert!(found[0].2.contains("1.25 or later"), "{found:?}");
    let resize = format!("{POD}    resizePolicy: []\n");
    assert_eq!(said(&resize, "1.26")[0].0, "kubernetes-newer-field");
    let ephemeral = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, clusterName: b}\n";
    assert_eq!(said(ephemeral, "1.20"), []);
    assert_eq!(said(ephemeral, "1.30")[0].0, "kubernetes-removed-field");
}

#[test]
fn an_alpha_api_is_told_of() {
    let text = "apiVersion: storage.k8s.io/v1alpha1\nkind: VolumeAttributesClass\nmetadata: {name: a}\ndriverName: x\n";
    assert_eq!(said(text, "1.30")[0].0, "kubernetes-alpha-api");
}

#[test]
fn every_type_of_the_table_is_there() {
    let releases = (Release::FIRST.minor()..=Release::NEWEST.minor()).map(Release);
    for release in releases {
        for (api_version, kind) in [
            ("v1", "Pod"),
            ("apps/v1", "Deployment"),
            ("v1", "Service"),
            ("v1", "ConfigMap"),
        ] {
            let schema = schema(api_version, kind, release).expect("always there");
            assert!(
                schema["properties"]["metadata"]["properties"]["labels"].is_object(),
                "{release} {kind}"
            );
        }
        assert_eq!(schema("v1", "Nothing", release), None);
    }
    assert!(groups().any(|group| group == "apps") && groups().any(str::is_empty));
}
