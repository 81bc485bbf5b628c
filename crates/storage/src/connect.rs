//! Places by their address: S3, Google Cloud Storage, Azure Blob Storage, directories.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectStore, Result as StoreResult, RetryConfig};
use tokio::runtime::Handle;

use crate::https::Stores;
use crate::{Access, Address, Cloud, Objects, Place, StorageError, Verb};

/// Times a request is sent again, within this time: who asks for a file has a time limit of its own.
const AGAIN: (usize, Duration) = (1, Duration::from_secs(10));

/// Opens a place to write to: a directory is made when it is not there.
///
/// # Errors
/// Variables that contradict each other, a URL that names no account where the variables do not either, a directory that cannot be made.
pub fn open(address: &Address, access: &Access) -> Result<Place, StorageError> {
    let shown = address.to_string();
    match address {
        Address::Local(directory) => {
            std::fs::create_dir_all(directory).map_err(|cause| StorageError::new(Verb::Open, shown.clone(), cause))?;
            let store = LocalFileSystem::new_with_prefix(directory);
            let store = store.map_err(|cause| StorageError::new(Verb::Open, shown.clone(), cause))?;
            Ok(Place::over(Arc::new(store), Path::default(), shown).in_directory(directory))
        }
        Address::Bucket {
            cloud, bucket, path, ..
        } => {
            let store = store(*cloud, bucket, access);
            let store = store.map_err(|cause| StorageError::new(Verb::Open, shown.clone(), cause))?;
            Ok(Place::over(store, Path::from(path.as_str()), shown))
        }
    }
}

/// What is at an address, to be read by threads.
#[derive(Clone, Debug)]
pub enum Files {
    /// A file or directory of this machine.
    Local(PathBuf),
    /// What a store holds.
    Objects(Objects),
}

/// Opens what is at an address to read it. Nothing is made, and nothing is asked for yet.
///
/// # Errors
/// As [`open`], but for directories.
pub fn open_files(address: &Address, access: &Access, runtime: Handle) -> Result<Files, StorageError> {
    match address {
        Address::Local(path) => Ok(Files::Local(path.clone())),
        Address::Bucket { .. } => Ok(Files::Objects(open(address, access)?.on(runtime))),
    }
}

fn store(cloud: Cloud, bucket: &str, access: &Access) -> StoreResult<Arc<dyn ObjectStore>> {
    let retry = RetryConfig {
        max_retries: AGAIN.0,
        retry_timeout: AGAIN.1,
        backoff: BackoffConfig::default(),
    };
    Ok(match cloud {
        Cloud::Aws => {
            let builder = AmazonS3Builder::new()
                .with_http_connector(Stores)
                .with_retry(retry)
                .with_bucket_name(bucket);
            let builder = settings::<AmazonS3ConfigKey>(cloud, access)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            Arc::new(builder.build()?)
        }
        Cloud::Google => {
            let builder = GoogleCloudStorageBuilder::new()
                .with_http_connector(Stores)
                .with_retry(retry)
                .with_bucket_name(bucket);
            let builder = settings::<GoogleConfigKey>(cloud, access)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            Arc::new(builder.build()?)
        }
        Cloud::Azure => {
            let builder = MicrosoftAzureBuilder::new()
                .with_http_connector(Stores)
                .with_retry(retry);
            let builder = settings::<AzureConfigKey>(cloud, access)
                .fold(builder, |builder, (key, value)| builder.with_config(key, value));
            // `container@account.dfs.core.windows.net`, as Hadoop writes it, or `container` alone with the account in a variable.
            Arc::new(builder.with_url(format!("abfss://{bucket}")).build()?)
        }
    })
}

/// The variables of a cloud that its client knows.
fn settings<K: FromStr>(cloud: Cloud, access: &Access) -> impl Iterator<Item = (K, String)> {
    let known = |(name, value): (&str, &str)| Some((name.to_ascii_lowercase().parse().ok()?, value.to_owned()));
    access.of(cloud).filter_map(known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn accounts_are_in_the_url_or_in_a_variable() {
        let key = ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5");
        let account = ("AZURE_STORAGE_ACCOUNT_NAME", "acme");
        for (url, variables, path) in [
            (
                "abfss://logs@acme.dfs.core.windows.net/spark/events",
                vec![key],
                Some("spark/events"),
            ),
            (
                "wasbs://logs@acme.blob.core.windows.net/spark",
                vec![key],
                Some("spark"),
            ),
            ("abfs://logs/spark", vec![key, account], Some("spark")),
            ("abfs://logs/spark", vec![key], None),
            ("abfss://logs@acme.example.com/spark", vec![key], None),
            (
                "gs://logs/spark",
                vec![("GOOGLE_SKIP_SIGNATURE", "true")],
                Some("spark"),
            ),
            ("gs://logs", vec![("GOOGLE_SERVICE_ACCOUNT", "/none.json")], None),
            ("s3a://logs/spark", vec![], Some("spark")),
        ] {
            let access: Access = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            let address = Address::parse(url).unwrap();
            let opened = open(&address, &access);
            let found = opened.as_ref().ok().map(|place| place.prefix.as_ref());
            assert_eq!(found, path, "{url}: {opened:?}");
            if let Err(error) = opened {
                assert_eq!((error.code(), error.place()), ("stoke::storage::open", url));
            }
        }
    }

    #[test]
    fn a_directory_is_made_to_be_written_to() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("a/b");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let place = open(&Address::Local(directory.clone()), &Access::default()).unwrap();
        runtime.block_on(place.write("c/d", b"x".to_vec())).unwrap();
        assert_eq!(std::fs::read(directory.join("c/d")).unwrap(), b"x");
        let listed = runtime.block_on(place.list("c")).unwrap();
        assert_eq!(
            listed.iter().map(|entry| entry.path.as_str()).collect::<Vec<_>>(),
            ["d"]
        );
        // A file is in the way.
        let error = open(&Address::Local(directory.join("c/d/e")), &Access::default()).unwrap_err();
        assert_eq!(error.code(), "stoke::storage::open");
    }

    #[test]
    fn a_file_of_a_directory_is_replaced_by_one_at_a_time() {
        let root = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        let place = open(&Address::Local(root.path().to_path_buf()), &Access::default()).unwrap();
        let add = |place: Place, letter: u8| async move {
            let made = |before: Option<bytes::Bytes>| -> Result<Vec<u8>, StorageError> {
                Ok([before.unwrap_or_default().as_ref(), &[letter]].concat())
            };
            place.other("a").update("b/log", made).await.unwrap();
        };
        runtime.block_on(async {
            let all: Vec<_> = (b'a'..=b'p')
                .map(|letter| tokio::spawn(add(place.clone(), letter)))
                .collect();
            for one in all {
                one.await.unwrap();
            }
        });
        let mut content = std::fs::read(root.path().join("a/b/log")).unwrap();
        content.sort_unstable();
        assert_eq!(content, b"abcdefghijklmnop");
    }

    #[test]
    fn nothing_shows_credentials() {
        let access = Access::s3("http://127.0.0.1:9000", "us-east-1", "access", "very-secret");
        let place = open(&Address::parse("s3://logs/spark").unwrap(), &access).unwrap();
        let shown = format!("{place:?} {access:?}");
        assert!(
            !shown.contains("very-secret") && shown.contains("s3://logs/spark"),
            "{shown}"
        );
    }
}
