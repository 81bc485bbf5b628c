//! What policies need in a cluster: rights to read ConfigMaps of the operator's namespace, to tell what is wrong with them, and to read the Namespaces of applications.

/// What the operator may do in its own namespace, where ConfigMaps hold policies.
pub const POLICY_RULES: [(&str, &[&str], &[&str]); 2] = [
    ("", &["configmaps"], &["list", "watch"]),
    ("", &["events"], &["create"]),
];

/// What it may do in the namespaces of applications: policies see the Namespace. A Role in a namespace is enough to read that one.
pub const POLICY_JOB_RULES: [(&str, &[&str], &[&str]); 1] = [("", &["namespaces"], &["get"])];

/// Where policies come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policies {
    /// ConfigMaps of the operator's namespace with the label `stoke.dev/policy: "true"`.
    pub config_maps: bool,
    /// Names of the starter pack.
    pub packs: Vec<String>,
    /// Directories in the operator's container.
    pub directories: Vec<String>,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            config_maps: true,
            packs: Vec::new(),
            directories: Vec::new(),
        }
    }
}

impl Policies {
    /// True when there may be any.
    #[must_use]
    pub fn any(&self) -> bool {
        self.config_maps || !self.packs.is_empty() || !self.directories.is_empty()
    }

    /// Arguments of the operator in this namespace.
    pub(super) fn arguments(&self, namespace: &str) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.config_maps {
            arguments.push(format!("--policy-namespace={namespace}"));
        }
        if !self.packs.is_empty() {
            arguments.push(format!("--policy-pack={}", self.packs.join(",")));
        }
        let directories = self.directories.iter();
        arguments.extend(directories.map(|directory| format!("--policies={directory}")));
        arguments
    }
}
