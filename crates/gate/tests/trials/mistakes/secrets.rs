//! Secrets in files. The values are put together by the compiler, so that no scanner takes this file for one that holds a secret.

use stoke_gate::Gate;

use super::{APP, Mistake, PROPERTIES, PYTHON, Row, SQL, rows};

const IN_APP: &[Row] = &[
    (
        "      value: prod",
        concat!("      value: prod\n    - name: DB_PASS", "WORD\n      value: hunter22"),
        "secret-plain-value",
        "hunter22",
    ),
    (
        "      value: prod",
        concat!("      value: prod\n    - name: API_TO", "KEN\n      value: abcd1234"),
        "secret-plain-value",
        "abcd1234",
    ),
    (
        "    spark.sql.adaptive.enabled: \"true\"",
        concat!("    spark.hadoop.fs.s3a.secret.", "key: abcdefghijkl"),
        "secret-plain-value",
        "",
    ),
    (
        "--date",
        concat!("--token=gh", "p_aB3dE5gH7jK9aB3dE5gH7jK9aB3dE5gH7jK9"),
        "secret-github-token",
        "",
    ),
    (
        "--date",
        concat!("--url=postgresql://app:", "hunter22@db/sales"),
        "secret-in-url",
        "",
    ),
];

const IN_PROPERTIES: &[Row] = &[
    (
        "",
        concat!("spark.hadoop.fs.s3a.secret.", "key abcdefghijkl\n"),
        "secret-plain-value",
        "abcdefghijkl",
    ),
    (
        "",
        concat!("spark.hadoop.fs.s3a.access.key AK", "IAQWERTYUIOPASDFGH\n"),
        "secret-aws-key",
        "IAQWERTY",
    ),
    (
        "",
        concat!("spark.hadoop.fs.azure.account.", "key abcdefghijkl\n"),
        "secret-plain-value",
        "abcdefghijkl",
    ),
    (
        "",
        concat!("spark.ssl.keyStorePass", "word abcdefghijkl\n"),
        "secret-plain-value",
        "abcdefghijkl",
    ),
];

const IN_PYTHON: &[Row] = &[
    (
        "day = \"2026-01-01\"",
        concat!("day = \"2026-01-01\"\npass", "word = \"hunter22\""),
        "secret-plain-value",
        "hunter22",
    ),
    (
        "spark.stop()",
        concat!("frame.write.option(\"pass", "word\", \"hunter22\")\nspark.stop()"),
        "secret-plain-value",
        "hunter22",
    ),
    (
        "spark.stop()",
        concat!(
            "connect(url=\"jdbc:mysql://db/x?user=a&pass",
            "word=hunter22\")\nspark.stop()"
        ),
        "secret-in-url",
        "hunter22",
    ),
    (
        "spark.stop()",
        concat!("key = 'AI", "zaaB3dE5gH7jK9aB3dE5gH7jK9aB3dE5gH7jK'\nspark.stop()"),
        "secret-google-key",
        "key =",
    ),
    (
        "spark.stop()",
        concat!("token = 'dapi", "0a1b2c3d4e5f0a1b2c3d4e5f0a1b2c3d'\nspark.stop()"),
        "secret-databricks-token",
        "token =",
    ),
    (
        "spark.stop()",
        concat!("hook = 'xox", "b-1234567890-abcdefghij'\nspark.stop()"),
        "secret-slack-token",
        "hook =",
    ),
    (
        "spark.stop()",
        concat!(
            "aws_secret_access_",
            "key = 'aB3dE5gH7jK9aB3dE5gH7jK9aB3dE5gH7jK9aB3d'\nspark.stop()"
        ),
        "secret-aws-key",
        "aws_",
    ),
];

const IN_SQL: &[Row] = &[(
    "-- Sales of a day",
    concat!("-- Sales of a day, gl", "pat-aB3dE5gH7jK9aB3dE5gH"),
    "secret-gitlab-token",
    "",
)];

/// All of them.
pub fn all() -> Vec<Mistake> {
    let mut all = rows(Gate::Secrets, APP, IN_APP);
    all.extend(rows(Gate::Secrets, PROPERTIES, IN_PROPERTIES));
    all.extend(rows(Gate::Secrets, PYTHON, IN_PYTHON));
    all.extend(rows(Gate::Secrets, SQL, IN_SQL));
    let key = ("notes.txt", "How to deploy\n");
    all.extend(rows(
        Gate::Secrets,
        key,
        &[(
            "",
            concat!("-----BEGIN ", "PRIVATE KEY-----\n"),
            "secret-private-key",
            "PRIVATE",
        )],
    ));
    let account = (
        "account.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: sales}\nstringData:\n  user: ${USER}\n",
    );
    all.extend(rows(
        Gate::Secrets,
        account,
        &[("  user: ${USER}", "  user: somebody", "secret-in-manifest", "")],
    ));
    all
}
