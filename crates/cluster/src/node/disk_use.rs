//! What a pod keeps on disk, against the limits it has: `emptyDir.sizeLimit` and `limits.ephemeral-storage`.
//!
//! In: a pod's limits and directories. Out: the kubelet's sentence when one is exceeded. Pods without such limits cost nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use stoke_model::quantity::Quantity;

use super::volumes::shared_memory;

/// How often it is looked at, as by a kubelet.
const PERIOD: Duration = Duration::from_secs(10);

/// The limits of one pod, each with the directories it holds for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskUse(Vec<Limit>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Limit {
    bytes: u64,
    directories: Vec<PathBuf>,
    sentence: String,
}

impl DiskUse {
    /// The limits of `pod`, whose files are in `directory`; none when it has none.
    pub(crate) fn of(pod: &Pod, directory: &Path) -> Option<DiskUse> {
        let spec = pod.spec.as_ref()?;
        let read = |text: &str| {
            text.parse::<Quantity>()
                .ok()
                .map(|quantity| quantity.bytes())
                .filter(|bytes| *bytes > 0)
        };
        let mut limits = Vec::new();
        let mut volumes = Vec::new();
        for volume in spec.volumes.iter().flatten() {
            let Some(source) = &volume.empty_dir else { continue };
            let memory = source.medium.as_deref() == Some("Memory");
            let on_disk = directory.join("volumes/empty-dir").join(&volume.name);
            let place = shared_memory(directory)
                .filter(|_| memory)
                .map_or(on_disk, |shared| shared.join(&volume.name));
            if !memory {
                volumes.push(place.clone());
            }
            if let Some((limit, bytes)) = source
                .size_limit
                .as_ref()
                .and_then(|limit| Some((limit, read(&limit.0)?)))
            {
                limits.push(Limit {
                    bytes,
                    directories: vec![place],
                    sentence: format!(
                        "Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\". ",
                        volume.name, limit.0
                    ),
                });
            }
        }
        let (mut total, mut all_limited) = (0, true);
        for container in &spec.containers {
            let limit = container
                .resources
                .as_ref()
                .and_then(|resources| resources.limits.as_ref()?.get("ephemeral-storage"));
            let Some((limit, bytes)) = limit.and_then(|limit| Some((limit, read(&limit.0)?))) else {
                all_limited = false;
                continue;
            };
            total += bytes;
            limits.push(Limit {
                bytes,
                directories: vec![directory.join("containers").join(&container.name)],
                sentence: format!(
                    "Container {} exceeded its local ephemeral storage limit \"{}\". ",
                    container.name, limit.0
                ),
            });
        }
        if all_limited && total > 0 {
            volumes.push(directory.join("containers"));
            limits.push(Limit {
                bytes: total,
                directories: volumes,
                sentence: format!(
                    "Pod ephemeral local storage usage exceeds the total limit of containers {}. ",
                    Quantity::from_bytes(total)
                ),
            });
        }
        (!limits.is_empty()).then_some(DiskUse(limits))
    }

    /// Waits until a limit is exceeded; says which.
    pub(crate) async fn watch(self) -> String {
        loop {
            let limits = self.clone();
            let looked = tokio::task::spawn_blocking(move || limits.exceeded());
            if let Ok(Some(sentence)) = looked.await {
                return sentence;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn exceeded(&self) -> Option<String> {
        let over = |limit: &&Limit| limit.directories.iter().map(|path| size(path)).sum::<u64>() > limit.bytes;
        self.0.iter().find(over).map(|limit| limit.sentence.clone())
    }
}

/// The bytes that files below a directory take on disk.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            size(&entry.path())
        } else {
            metadata.blocks() * 512
        })
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn limits_are_the_pods_and_exceeded_in_the_kubelets_words() {
        let directory = tempfile::tempdir().unwrap();
        let limits = |spec: serde_json::Value| {
            let pod: Pod = serde_json::from_value(json!({"spec": spec})).unwrap();
            DiskUse::of(&pod, directory.path())
        };
        assert_eq!(
            limits(json!({"containers": [{"name": "c"}], "volumes": [{"name": "v", "emptyDir": {}}]})),
            None
        );
        let volume = limits(
            json!({"containers": [{"name": "c"}], "volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}]}),
        )
        .unwrap();
        let path = directory.path().join("volumes/empty-dir/v/deep");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("small"), vec![1; 1 << 19]).unwrap();
        assert_eq!(volume.exceeded(), None);
        std::fs::write(path.join("large"), vec![1; 1 << 20]).unwrap();
        assert_eq!(
            volume.exceeded().as_deref(),
            Some("Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ")
        );
        let limited = json!({"name": "c", "resources": {"limits": {"ephemeral-storage": "1Mi"}}});
        let whole = limits(json!({"containers": [limited], "volumes": [{"name": "v", "emptyDir": {}}]})).unwrap();
        assert_eq!(
            whole.exceeded().as_deref(),
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ")
        );
        let own = directory.path().join("containers/c/0/scratch/0");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join("file"), vec![1; 3 << 19]).unwrap();
        assert_eq!(
            whole.exceeded().as_deref(),
            Some("Container c exceeded its local ephemeral storage limit \"1Mi\". ")
        );
        let shown = [1 << 30, 3 << 20, 1500].map(|bytes| Quantity::from_bytes(bytes).to_string());
        assert_eq!(shown, ["1Gi", "3Mi", "1500"]);
    }
}
