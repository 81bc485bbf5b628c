//! The restricted security context of Spark's own containers.

use serde_json::{Value, json};

/// Which Spark containers get a restricted security context when the application gives none.
///
/// Restricted means: not root, no privilege escalation, no capabilities, the runtime's default seccomp profile; what Kubernetes' Pod Security
/// Standard `restricted` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecurityProfile {
    /// Those of the published Spark images (`apache/spark`, `spark`), which run Spark as user 185 anyway. Others may need their own user, so they are left alone.
    #[default]
    KnownImages,
    /// All of them, as user 185.
    All,
    /// None.
    Off,
}

/// The user Spark runs as in the published images.
pub const SPARK_UID: i64 = 185;

impl SecurityProfile {
    /// The security context of a Spark container of `image` for which the author gave none; none when it is to be left alone.
    #[must_use]
    pub fn context(self, image: &str) -> Option<Value> {
        let applies = match self {
            Self::KnownImages => is_published_image(image),
            Self::All => true,
            Self::Off => false,
        };
        applies.then(|| {
            json!({
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": true,
                "runAsUser": SPARK_UID,
                "seccompProfile": {"type": "RuntimeDefault"},
            })
        })
    }
}

/// Images of the Spark project and the Docker Official Image, from any registry that mirrors them under their own name.
fn is_published_image(image: &str) -> bool {
    let untagged = image.split('@').next().unwrap_or_default();
    let (path, name) = untagged.rsplit_once('/').unwrap_or(("", untagged));
    let name = name.split(':').next().unwrap_or_default();
    let owner = path.rsplit('/').next().unwrap_or_default();
    match owner {
        "apache" => matches!(name, "spark" | "spark-py" | "spark-r"),
        "" | "library" => name == "spark",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_that_run_as_185_are_restricted_unasked() {
        for (image, known) in [
            ("apache/spark:4.1.4", true),
            ("docker.io/apache/spark-py:v3.4.0@sha256:ab", true),
            ("spark:3.5.9-python3", true),
            ("docker.io/library/spark", true),
            ("mirror.example.com:5000/apache/spark:4.1.4", true),
            ("team/spark:4.1.4", false),
            ("apache/sparkle:1", false),
            ("etl:1", false),
            ("", false),
        ] {
            assert_eq!(SecurityProfile::KnownImages.context(image).is_some(), known, "{image}");
            assert!(SecurityProfile::All.context(image).is_some());
            assert_eq!(SecurityProfile::Off.context(image), None);
        }
    }
}
