//! Classes, addresses and sizes in a configuration that nothing can be: a class that is none of its product's, an address whose scheme has one slash, a
//! volume of a size that is not a quantity, a time zone that does not exist.
//!
//! Of a product only the classes that its guides tell to write are known; another of its classes is left alone, unless it is a slip away from one of those
//! or has the name of one of them in another package of the product.

use stoke_model::manifest::is_slip;
use stoke_model::quantity::Quantity;

use super::{Conf, ERROR, Mistake, Rule, mistake};

pub(super) const RULES: [Rule; 5] = [
    ("conf-class-unknown", ERROR, class_unknown),
    ("conf-rapids-shim", ERROR, rapids_shim),
    ("conf-address", ERROR, address),
    ("conf-volume-size", ERROR, volume_size),
    ("conf-time-zone", ERROR, time_zone),
];

/// Products: the packages that are theirs, and their classes that are written into a configuration (each product's guide). Spark's own are told by what
/// they must be.
const PRODUCTS: [(&str, &[&str], &[&str]); 8] = [
    (
        "Iceberg",
        &["org.apache.iceberg."],
        &[
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
            "org.apache.iceberg.spark.SparkCatalog",
            "org.apache.iceberg.spark.SparkSessionCatalog",
            "org.apache.iceberg.aws.glue.GlueCatalog",
            "org.apache.iceberg.aws.dynamodb.DynamoDbCatalog",
            "org.apache.iceberg.aws.s3.S3FileIO",
            "org.apache.iceberg.gcp.gcs.GCSFileIO",
            "org.apache.iceberg.azure.adlsv2.ADLSFileIO",
            "org.apache.iceberg.hadoop.HadoopFileIO",
            "org.apache.iceberg.hadoop.HadoopCatalog",
            "org.apache.iceberg.hive.HiveCatalog",
            "org.apache.iceberg.jdbc.JdbcCatalog",
            "org.apache.iceberg.nessie.NessieCatalog",
            "org.apache.iceberg.rest.RESTCatalog",
        ],
    ),
    (
        "Delta Lake",
        &["io.delta.", "org.apache.spark.sql.delta."],
        &[
            "io.delta.sql.DeltaSparkSessionExtension",
            "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "io.delta.storage.S3SingleDriverLogStore",
            "io.delta.storage.S3DynamoDBLogStore",
            "io.delta.storage.GCSLogStore",
            "io.delta.storage.AzureLogStore",
            "io.delta.storage.HDFSLogStore",
            "org.apache.spark.sql.delta.storage.S3SingleDriverLogStore",
            "org.apache.spark.sql.delta.storage.AzureLogStore",
            "org.apache.spark.sql.delta.storage.HDFSLogStore",
        ],
    ),
    (
        "Hudi",
        &["org.apache.hudi.", "org.apache.spark.sql.hudi."],
        &[
            "org.apache.spark.sql.hudi.HoodieSparkSessionExtension",
            "org.apache.spark.sql.hudi.catalog.HoodieCatalog",
            "org.apache.spark.HoodieSparkKryoRegistrar",
        ],
    ),
    (
        "Paimon",
        &["org.apache.paimon."],
        &[
            "org.apache.paimon.spark.SparkCatalog",
            "org.apache.paimon.spark.SparkGenericCatalog",
            "org.apache.paimon.spark.extensions.PaimonSparkSessionExtensions",
        ],
    ),
    (
        "Celeborn",
        &["org.apache.spark.shuffle.celeborn."],
        &[
            "org.apache.spark.shuffle.celeborn.SparkShuffleManager",
            "org.apache.spark.shuffle.celeborn.CelebornShuffleDataIO",
        ],
    ),
    (
        "Hadoop",
        &["org.apache.hadoop.fs."],
        &[
            "org.apache.hadoop.fs.s3a.S3AFileSystem",
            "org.apache.hadoop.fs.s3a.S3A",
            "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
            "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider",
            "org.apache.hadoop.fs.s3a.auth.AssumedRoleCredentialProvider",
            "org.apache.hadoop.fs.s3a.auth.IAMInstanceCredentialsProvider",
            "org.apache.hadoop.fs.azurebfs.AzureBlobFileSystem",
            "org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem",
            "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
            "org.apache.hadoop.fs.azurebfs.oauth2.MsiTokenProvider",
            "org.apache.hadoop.fs.azurebfs.oauth2.WorkloadIdentityTokenProvider",
            "org.apache.hadoop.fs.gs.GoogleHadoopFileSystem",
        ],
    ),
    (
        "the AWS SDK",
        &["com.amazonaws.auth.", "software.amazon.awssdk.auth.credentials."],
        &[
            "com.amazonaws.auth.AWSStaticCredentialsProvider",
            "com.amazonaws.auth.AnonymousAWSCredentials",
            "com.amazonaws.auth.ContainerCredentialsProvider",
            "com.amazonaws.auth.DefaultAWSCredentialsProviderChain",
            "com.amazonaws.auth.EC2ContainerCredentialsProviderWrapper",
            "com.amazonaws.auth.EnvironmentVariableCredentialsProvider",
            "com.amazonaws.auth.InstanceProfileCredentialsProvider",
            "com.amazonaws.auth.SystemPropertiesCredentialsProvider",
            "com.amazonaws.auth.WebIdentityTokenCredentialsProvider",
            "com.amazonaws.auth.profile.ProfileCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.AnonymousCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.ContainerCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.InstanceProfileCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.ProfileCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.SystemPropertyCredentialsProvider",
            "software.amazon.awssdk.auth.credentials.WebIdentityTokenFileCredentialsProvider",
        ],
    ),
    (
        "Google's connector",
        &["com.google.cloud.hadoop.fs."],
        &[
            "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
            "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
        ],
    ),
];
/// Schemes of stores whose addresses name a bucket or a host after two slashes.
const STORES: [&str; 11] = [
    "s3a", "s3", "s3n", "gs", "abfs", "abfss", "wasb", "wasbs", "oss", "cosn", "obs",
];

/// The class that one of a product's was meant to be.
fn meant(class: &str) -> Option<(&'static str, &'static str)> {
    let simple = |class: &'_ str| class.rsplit('.').next().map(str::len).unwrap_or_default();
    let name = &class[class.len() - simple(class)..];
    PRODUCTS.iter().find_map(|(product, packages, classes)| {
        if !packages.iter().any(|package| class.starts_with(package)) || classes.contains(&class) {
            return None;
        }
        let is_meant = |known: &&&str| {
            let known_name = &known[known.len() - simple(known)..];
            // Shaded and inner classes, and those of tests, have the name of another on purpose.
            is_slip(class, known) || (name == known_name && name.len() >= 12)
        };
        classes.iter().find(is_meant).map(|known| (*product, *known))
    })
}

fn class_unknown(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let classes = value
            .split(',')
            .map(str::trim)
            .filter(|one| one.contains('.') && !one.contains(['/', ' ', '$']));
        let (class, (product, known)) = classes.filter_map(|class| Some((class, meant(class)?))).next()?;
        mistake(
            key.to_owned(),
            format!("{product} has no class `{class}`: it is not found when it is looked for"),
            format!("write {known}"),
        )
    })
}

/// RapidsShuffleManager of one release of Spark refuses to start in another (RapidsPluginUtils.fixupConfigsOnDriver).
fn rapids_shim(conf: &Conf) -> Option<Mistake> {
    let key = "spark.shuffle.manager";
    let value = conf.get(key)?;
    let shim = value
        .strip_prefix("com.nvidia.spark.rapids.spark")?
        .strip_suffix(".RapidsShuffleManager")?;
    let version = conf.version.as_deref()?;
    let wanted: String = version.split('.').take(3).collect();
    // Builds of vendors have letters behind the number.
    if shim == wanted || !shim.bytes().all(|byte| byte.is_ascii_digit()) || version.split('.').count() != 3 {
        return None;
    }
    mistake(
        key,
        format!(
            "this shuffle manager is for the Spark with the number {shim}, and the job has {version}: it refuses to start"
        ),
        format!("write com.nvidia.spark.rapids.spark{wanted}.RapidsShuffleManager"),
    )
}

/// `s3a:/bucket/path` has no bucket (Hadoop's Path).
fn address(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let one = value.split(',').map(str::trim).find(|one| {
            let Some((scheme, rest)) = one.split_once(":/") else {
                return false;
            };
            STORES.contains(&scheme) && !rest.starts_with('/')
        })?;
        let (scheme, rest) = one.split_once(":/")?;
        mistake(
            key.to_owned(),
            format!("`{one}` has one slash after its scheme, and so names no bucket"),
            format!("write {scheme}://{rest}"),
        )
    })
}

/// Sizes of volumes that Spark asks for are quantities of Kubernetes.
fn volume_size(conf: &Conf) -> Option<Mistake> {
    conf.iter().find_map(|(key, value)| {
        let is_size =
            key.starts_with("spark.kubernetes.") && key.contains(".volumes.") && key.ends_with(".options.sizeLimit");
        if !is_size || value.contains(['$', '{']) {
            return None;
        }
        let wrong = value.parse::<Quantity>().err()?;
        mistake(
            key.to_owned(),
            format!("{wrong}: no pod comes of it"),
            "write it like 500Mi or 100Gi",
        )
    })
}

/// Zones are those of `java.time.ZoneId`, with the short names that Spark hands it.
fn time_zone(conf: &Conf) -> Option<Mistake> {
    const SHORT: [&str; 28] = [
        "ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT", "CST", "CTT", "EAT", "ECT", "EST", "HST", "IET",
        "IST", "JST", "MIT", "MST", "NET", "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST",
    ];
    let key = "spark.sql.session.timeZone";
    let value = conf.get(key)?;
    let offset = |text: &str| {
        let digits = text.strip_prefix(['+', '-']);
        digits.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'))
    };
    let of_utc = ["UTC", "GMT", "UT"]
        .iter()
        .filter_map(|begin| value.strip_prefix(begin))
        .any(|rest| rest.is_empty() || offset(rest));
    let known =
        value == "Z" || offset(value) || of_utc || SHORT.contains(&value) || jiff::tz::TimeZone::get(value).is_ok();
    if known || value.is_empty() || value.contains(['$', '{']) {
        return None;
    }
    mistake(
        key,
        format!("there is no time zone `{value}`: every conversion of a timestamp fails"),
        "write an IANA name such as Europe/Berlin, UTC, or an offset such as +01:00",
    )
}

#[cfg(test)]
mod tests {
    use crate::configuration::{contradictions, of_document};

    fn said(image: &str, conf: &[(&str, &str)]) -> Vec<String> {
        let pairs: String = conf
            .iter()
            .map(|(key, value)| format!("    {key}: \"{value}\"\n"))
            .collect();
        let text = format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata: {{name: a}}\nspec:\n  sparkVersion: 3.5.3\n  image: {image}\n  sparkConf:\n    spark.app.name: x\n{pairs}"
        );
        let (documents, _) = stoke_model::manifest::check("a.yaml", &text);
        let found = contradictions(&of_document(&documents[0]).unwrap()).into_iter();
        found.map(|one| one.code.to_string()).collect()
    }

    #[test]
    fn every_class_that_guides_name_is_known_and_each_slip_of_it_told() {
        for (_, _, classes) in super::PRODUCTS {
            for class in classes {
                assert_eq!(super::meant(class), None, "{class}");
                if class.ends_with("S3A") || class.ends_with("GoogleHadoopFS") {
                    continue;
                }
                // A letter left out in the middle of its name.
                let name = class.rfind('.').unwrap() + 3;
                let at = name + class[name..].find(|one: char| one.is_ascii_lowercase()).unwrap();
                let slip = format!("{}{}", &class[..at], &class[at + 1..]);
                let of_package = super::PRODUCTS
                    .iter()
                    .any(|(_, packages, _)| packages.iter().any(|one| slip.starts_with(one)));
                if of_package && slip != **class && !classes.contains(&slip.as_str()) {
                    assert_eq!(super::meant(&slip).map(|(_, known)| known), Some(*class), "{slip}");
                }
            }
        }
        for (class, wrong) in [
            ("io.delta.sql.catalog.DeltaCatalog", true),
            ("org.apache.hudi.HoodieSparkSessionExtension", true),
            ("org.apache.paimon.SparkCatalog", true),
            ("org.apache.iceberg.aws.s3.S3FileIOAwsClientFactory", false),
            ("com.acme.DeltaCatalog", false),
            ("org.apache.iceberg.spark.extensions.IcebergSparkSessionExtension", true),
        ] {
            let found = said("acme/spark:1", &[("spark.some.key", class)]);
            assert_eq!(
                found.contains(&"conf-class-unknown".to_owned()),
                wrong,
                "{class}: {found:?}"
            );
        }
    }

    #[test]
    fn shims_addresses_sizes_and_zones() {
        let zone = "spark.sql.session.timeZone";
        let size = "spark.kubernetes.executor.volumes.persistentVolumeClaim.d.options.sizeLimit";
        for (image, key, value, expected) in [
            (
                "a/b",
                "spark.shuffle.manager",
                "com.nvidia.spark.rapids.spark353.RapidsShuffleManager",
                None,
            ),
            (
                "a/b",
                "spark.shuffle.manager",
                "com.nvidia.spark.rapids.spark341.RapidsShuffleManager",
                Some("conf-rapids-shim"),
            ),
            (
                "a/b",
                "spark.shuffle.manager",
                "com.nvidia.spark.rapids.spark332db.RapidsShuffleManager",
                None,
            ),
            ("a/b", "spark.eventLog.dir", "s3a://logs/x", None),
            ("a/b", "spark.eventLog.dir", "s3a:/logs/x", Some("conf-address")),
            ("a/b", "spark.eventLog.dir", "file:/tmp/x", None),
            ("a/b", "spark.eventLog.dir", "hdfs:/logs", None),
            ("a/b", size, "100Gi", None),
            ("a/b", size, "100GB", Some("conf-volume-size")),
            ("a/b", size, "${SIZE}", None),
            ("a/b", zone, "Europe/Berlin", None),
            ("a/b", zone, "UTC+01:00", None),
            ("a/b", zone, "+01:00", None),
            ("a/b", zone, "PST", None),
            ("a/b", zone, "UTCC", Some("conf-time-zone")),
            ("a/b", zone, "Europe/Berlinn", Some("conf-time-zone")),
        ] {
            let found = said(image, &[(key, value)]);
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{image} {key} {value}");
        }
    }
}
