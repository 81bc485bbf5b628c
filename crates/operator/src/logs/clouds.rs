//! Object stores by their URL: S3, Google Cloud Storage, Azure Blob Storage. All are reached through [`Connector`].

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, Result, RetryConfig};

use super::http::Connector;

/// Whose store it is.
#[derive(Clone, Copy)]
enum Cloud {
    Aws,
    Google,
    Azure,
}

/// What Spark's connectors (hadoop-aws, the GCS connector, hadoop-azure) call them.
const SCHEMES: [(&str, Cloud); 6] = [
    ("s3://", Cloud::Aws),
    ("s3a://", Cloud::Aws),
    ("gs://", Cloud::Google),
    ("abfs://", Cloud::Azure),
    ("abfss://", Cloud::Azure),
    ("wasbs://", Cloud::Azure),
];

/// The store at this URL and the path in it; `None` if that is not the URL of a bucket. `variables` are those of the environment: of each cloud those
/// count that begin with its name (`AWS_`, `GOOGLE_`, `AZURE_`), as its own programs read them.
///
/// # Errors
/// Variables that contradict each other, or a URL that names no account where the variables do not either.
pub(super) fn open(url: &str, variables: &[(String, String)]) -> Option<Result<(Arc<dyn ObjectStore>, Path)>> {
    let (scheme, cloud) = SCHEMES.iter().find(|(scheme, _)| url.starts_with(scheme))?;
    let (bucket, prefix) = url[scheme.len()..]
        .split_once('/')
        .unwrap_or((&url[scheme.len()..], ""));
    if bucket.is_empty() || bucket.starts_with('@') {
        return None;
    }
    Some(store(*cloud, bucket, variables).map(|store| (store, Path::from(prefix))))
}

fn store(cloud: Cloud, bucket: &str, variables: &[(String, String)]) -> Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        max_retries: 1,
        retry_timeout: Duration::from_secs(10),
        backoff: BackoffConfig::default(),
    };
    Ok(match cloud {
        Cloud::Aws => {
            let builder = AmazonS3Builder::new()
                .with_http_connector(Connector)
                .with_retry(retry)
                .with_bucket_name(bucket);
            let builder = settings::<AmazonS3ConfigKey>("AWS_", variables)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            Arc::new(builder.build()?)
        }
        Cloud::Google => {
            let builder = GoogleCloudStorageBuilder::new()
                .with_http_connector(Connector)
                .with_retry(retry)
                .with_bucket_name(bucket);
            let builder = settings::<GoogleConfigKey>("GOOGLE_", variables)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            Arc::new(builder.build()?)
        }
        Cloud::Azure => {
            let builder = MicrosoftAzureBuilder::new()
                .with_http_connector(Connector)
                .with_retry(retry);
            let builder = settings::<AzureConfigKey>("AZURE_", variables)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            // `container@account.dfs.core.windows.net`, as Hadoop writes it, or `container` alone with the account in a variable.
            Arc::new(builder.with_url(format!("abfss://{bucket}")).build()?)
        }
    })
}

/// The variables of a cloud that its client knows.
fn settings<K: FromStr>(prefix: &str, variables: &[(String, String)]) -> impl Iterator<Item = (K, String)> {
    variables.iter().filter_map(move |(name, value)| {
        let known = name.starts_with(prefix).then(|| name.to_ascii_lowercase().parse())?;
        Some((known.ok()?, value.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_in_the_url_or_in_a_variable() {
        let key = ("AZURE_STORAGE_ACCOUNT_KEY".to_owned(), "a2V5".to_owned());
        let account = ("AZURE_STORAGE_ACCOUNT_NAME".to_owned(), "acme".to_owned());
        for (url, variables, opens, path) in [
            (
                "abfss://logs@acme.dfs.core.windows.net/spark/events",
                vec![key.clone()],
                true,
                "spark/events",
            ),
            (
                "wasbs://logs@acme.blob.core.windows.net/spark",
                vec![key.clone()],
                true,
                "spark",
            ),
            ("abfs://logs/spark", vec![key.clone(), account], true, "spark"),
            ("abfs://logs/spark", vec![key.clone()], false, ""),
            ("abfss://logs@acme.example.com/spark", vec![key], false, ""),
            (
                "gs://logs/spark",
                vec![("GOOGLE_SKIP_SIGNATURE".to_owned(), "true".to_owned())],
                true,
                "spark",
            ),
            (
                "gs://logs",
                vec![("GOOGLE_SERVICE_ACCOUNT".to_owned(), "/none.json".to_owned())],
                false,
                "",
            ),
        ] {
            let opened = open(url, &variables).unwrap();
            assert_eq!(opened.is_ok(), opens, "{url}: {:?}", opened.err());
            if let Ok((_, found)) = opened {
                assert_eq!(found, Path::from(path), "{url}");
            }
        }
        for url in [
            "hdfs://name/logs",
            "abfs://@acme.dfs.core.windows.net/logs",
            "gs:///logs",
            "/logs",
        ] {
            assert!(open(url, &[]).is_none(), "{url}");
        }
    }
}
