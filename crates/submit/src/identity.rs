//! The values Spark draws at random, passed in so that planning twice gives the same objects.

use sha2::{Digest, Sha256};

/// Every value that `spark-submit` draws at random. Equal identities give equal submissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `spark-` and 32 hexadecimal digits: `spark.app.id`, label `spark-app-selector`.
    pub application_id: String,
    /// 16 hexadecimal digits that end the resource name prefix (`pi-<uid>-driver`).
    pub resource_uid: String,
    /// 16 hexadecimal digits in `spark-drv-<uid>-conf-map`.
    pub config_map_uid: String,
    /// 16 hexadecimal digits in `spark-<uid>-driver-svc`, used when the name made from the prefix is longer than 63 characters.
    pub service_uid: String,
    /// UUID in the default local directory, `/var/data/spark-<uuid>`.
    pub local_dir_uuid: String,
    /// What the identifiers of upload directories derive from; see [`Identity::upload_id`].
    pub upload_seed: String,
}

impl Identity {
    /// The identity of attempt `attempt` (1, 2, …) of the application with Kubernetes UID `app_uid`: the same every time, different for every attempt.
    ///
    /// ```
    /// let identity = stoke_submit::Identity::derive("9b2e…", 1);
    /// assert_eq!(identity, stoke_submit::Identity::derive("9b2e…", 1));
    /// assert_ne!(identity.application_id, stoke_submit::Identity::derive("9b2e…", 2).application_id);
    /// assert_eq!(identity.resource_uid.len(), 16);
    /// ```
    #[must_use]
    pub fn derive(app_uid: &str, attempt: u32) -> Self {
        let draw = |purpose: &str| hex(&format!("stoke/{app_uid}/{attempt}/{purpose}"));
        let uid = |purpose: &str| draw(purpose)[..16].to_owned();
        Self {
            application_id: format!("spark-{}", &draw("application")[..32]),
            resource_uid: uid("resource"),
            config_map_uid: uid("config-map"),
            service_uid: uid("service"),
            local_dir_uuid: uuid(&draw("local-dir")),
            upload_seed: draw("upload"),
        }
    }

    /// UUID of the upload directory (`spark-upload-<uuid>`) of the file `uri`.
    #[must_use]
    pub fn upload_id(&self, uri: &str) -> String {
        uuid(&hex(&format!("{}/{uri}", self.upload_seed)))
    }
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The first 32 of `hex` digits in the shape of a random (version 4) UUID.
fn uuid(hex: &str) -> String {
    let variant = ["8", "9", "a", "b"][usize::from(hex.as_bytes()[16]) % 4];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}
