//! Nodes: what they have, what of it is kept back for the system, and how executors fit into the rest.

use serde::Serialize;

use super::SizeError;
use stoke_model::units::people::{amount, bytes, counted, short};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Who runs the nodes, and so by which formula resources are kept back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Google's. Also taken where nothing is known: its formula keeps back the most of the three on usual nodes.
    #[default]
    Gke,
    /// Amazon's.
    Eks,
    /// Azure's.
    Aks,
}

/// A node's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeShape {
    /// As it was asked for: `n2-standard-16`, `16x64Gi`.
    pub name: String,
    pub cores: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Whose it is.
    pub provider: Provider,
}

/// Pods a node may have where the provider's formula asks for it: Kubernetes' own default, and EKS's advice for nodes of up to 30 cores.
const MAX_PODS: u64 = 110;
/// EKS's advice for larger nodes.
const MAX_PODS_LARGE: u64 = 250;
/// Memory below which the kubelet evicts pods, on all three.
const EVICTION: u64 = 100 * MIB;
/// Millicores that pods of the cluster's own (network, logs, metrics) take of each node. Ours; the option says otherwise.
pub const DAEMONSET_CPU: u64 = 250;
/// Bytes that they take. Ours.
pub const DAEMONSET_MEMORY: u64 = 512 * MIB;

/// What is kept back of a node, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reserve {
    /// Millicores of the kubelet and the system.
    pub system_cpu: u64,
    /// Bytes of the kubelet and the system, the eviction threshold among them.
    pub system_memory: u64,
    /// Millicores of pods that run on every node.
    pub daemonset_cpu: u64,
    /// Bytes of pods that run on every node.
    pub daemonset_memory: u64,
    pub formula: &'static str,
    /// Where the formula is documented.
    pub source: &'static str,
}

impl NodeShape {
    /// Reads a shape: `16x64Gi` (cores and memory), with `@eks`, `@gke` or `@aks` behind it where another formula than GKE's is wanted; or
    /// the name of a machine of a family whose names tell its size: `n2-standard-16`, `m6i.4xlarge`, `Standard_D16s_v5`.
    ///
    /// # Errors
    /// A text of no such form, and a node without cores or memory.
    pub fn parse(text: &str) -> Result<NodeShape, SizeError> {
        let text = text.trim();
        let (size, provider) = match text.rsplit_once('@') {
            None => (text, None),
            Some((size, "gke")) => (size, Some(Provider::Gke)),
            Some((size, "eks")) => (size, Some(Provider::Eks)),
            Some((size, "aks")) => (size, Some(Provider::Aks)),
            Some(_) => return Err(SizeError::Shape(text.to_owned())),
        };
        let (cores, memory, own) = plain(size)
            .or_else(|| google(size))
            .or_else(|| amazon(size))
            .or_else(|| azure(size))
            .ok_or_else(|| SizeError::Shape(text.to_owned()))?;
        if cores == 0 || memory == 0 {
            return Err(SizeError::EmptyNode(text.to_owned()));
        }
        Ok(NodeShape {
            name: size.to_owned(),
            cores,
            memory,
            provider: provider.unwrap_or(own),
        })
    }

    /// What is kept back of it.
    pub fn reserve(&self, daemonset_cpu: u64, daemonset_memory: u64) -> Reserve {
        let (system_cpu, memory, formula, source) = match self.provider {
            Provider::Gke => (
                tiered_cpu(self.cores),
                tiered_memory(self.memory) + EVICTION,
                "cpu: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % above; memory: 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112, 2 % above, and 100 MiB for eviction",
                "https://cloud.google.com/kubernetes-engine/docs/concepts/plan-node-sizes",
            ),
            Provider::Eks => {
                let pods = if self.cores > 30 { MAX_PODS_LARGE } else { MAX_PODS };
                (
                    tiered_cpu(self.cores),
                    (255 + 11 * pods) * MIB + EVICTION,
                    "cpu: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % above; memory: 255 MiB and 11 MiB for each pod a node may have (110, above 30 cores 250), and 100 MiB for eviction",
                    "https://github.com/awslabs/amazon-eks-ami (kube-reserved of the bootstrap)",
                )
            }
            Provider::Aks => (
                aks_cpu(self.cores),
                (20_000_000 * MAX_PODS + 50_000_000).min(self.memory / 4) + EVICTION,
                "cpu: 60, 100, 140, 180, 260, 420, 740 millicores at 1, 2, 4, 8, 16, 32, 64 cores; memory: 20 MB for each pod a node may have (110) and 50 MB, at most a quarter, and 100 MiB for eviction",
                "https://learn.microsoft.com/azure/aks/node-resource-reservations",
            ),
        };
        Reserve {
            system_cpu,
            system_memory: memory,
            daemonset_cpu,
            daemonset_memory,
            formula,
            source,
        }
    }
}

/// Executors on a node, and what is left over.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packing {
    pub node: NodeShape,
    /// What is kept back.
    pub reserve: Reserve,
    /// Millicores for pods of ours.
    pub allocatable_cpu: u64,
    /// Bytes for pods of ours.
    pub allocatable_memory: u64,
    /// Executors on one node.
    pub executors: u32,
    /// Millicores left.
    pub left_cpu: u64,
    /// Bytes left.
    pub left_memory: u64,
    /// Nodes for all executors.
    pub nodes: u32,
}

impl Packing {
    /// The packing as lines for people.
    pub fn lines(&self) -> Vec<String> {
        let cpu = |milli: u64| amount(&short(milli as f64 / 1000.0), "core");
        vec![
            format!(
                "node {}: {}, {}",
                self.node.name,
                counted(self.node.cores, "core"),
                bytes(self.node.memory)
            ),
            format!(
                "  kept back        {}, {}  (kubelet, system, eviction)",
                cpu(self.reserve.system_cpu),
                bytes(self.reserve.system_memory)
            ),
            format!(
                "  daemonsets       {}, {}",
                cpu(self.reserve.daemonset_cpu),
                bytes(self.reserve.daemonset_memory)
            ),
            format!(
                "  for executors    {}, {}",
                cpu(self.allocatable_cpu),
                bytes(self.allocatable_memory)
            ),
            format!(
                "  executors        {} on each node, {}",
                self.executors,
                counted(self.nodes, "node")
            ),
            format!(
                "  left over        {}, {} on each node",
                cpu(self.left_cpu),
                bytes(self.left_memory)
            ),
        ]
    }
}

/// Fits executors into a node: how many of `cpu` millicores and `memory` bytes, on nodes for `executors` of them.
///
/// # Errors
/// When not one fits.
pub fn pack(node: &NodeShape, reserve: Reserve, cpu: u64, memory: u64, executors: u32) -> Result<Packing, SizeError> {
    let allocatable_cpu = (u64::from(node.cores) * 1000).saturating_sub(reserve.system_cpu + reserve.daemonset_cpu);
    let allocatable_memory = node
        .memory
        .saturating_sub(reserve.system_memory + reserve.daemonset_memory);
    let fit = (allocatable_cpu / cpu.max(1)).min(allocatable_memory / memory.max(1));
    if fit == 0 {
        return Err(SizeError::NodeTooSmall {
            node: node.name.clone(),
            cores: amount(&short(allocatable_cpu as f64 / 1000.0), "core"),
            memory: bytes(allocatable_memory),
            wanted_cores: amount(&short(cpu as f64 / 1000.0), "core"),
            wanted_memory: bytes(memory),
        });
    }
    Ok(Packing {
        node: node.clone(),
        reserve,
        allocatable_cpu,
        allocatable_memory,
        executors: fit as u32,
        left_cpu: allocatable_cpu - fit * cpu,
        left_memory: allocatable_memory - fit * memory,
        nodes: executors.div_ceil(fit as u32),
    })
}

/// Millicores kept back by GKE's and EKS's formula.
fn tiered_cpu(cores: u32) -> u64 {
    let cores = f64::from(cores);
    let tiers = [(1.0, 60.0), (1.0, 10.0), (2.0, 5.0), (f64::MAX, 2.5)];
    let (mut rest, mut kept) = (cores, 0.0);
    for (width, milli) in tiers {
        let part = f64::min(rest, width);
        kept += part * milli;
        rest -= part;
    }
    f64::ceil(kept) as u64
}

/// Bytes kept back by GKE's formula.
fn tiered_memory(memory: u64) -> u64 {
    if memory < GIB {
        return 255 * MIB;
    }
    let (mut rest, mut kept) = (memory, 0);
    for (width, percent) in [
        (4 * GIB, 25),
        (4 * GIB, 20),
        (8 * GIB, 10),
        (112 * GIB, 6),
        (u64::MAX, 2),
    ] {
        let part = rest.min(width);
        kept += part / 100 * percent;
        rest -= part;
    }
    kept
}

/// Millicores kept back by AKS's table; between two of its rows by a straight line, above it by the last slope.
fn aks_cpu(cores: u32) -> u64 {
    const TABLE: [(u32, u64); 7] = [(1, 60), (2, 100), (4, 140), (8, 180), (16, 260), (32, 420), (64, 740)];
    let above = TABLE
        .iter()
        .position(|(size, _)| *size >= cores)
        .unwrap_or(TABLE.len() - 1)
        .max(1);
    let ((low, from), (high, to)) = (TABLE[above - 1], TABLE[above]);
    from + (to - from) * u64::from(cores.saturating_sub(low)) / u64::from(high - low)
}

fn plain(text: &str) -> Option<(u32, u64, Provider)> {
    let (cores, memory) = text.split_once('x')?;
    let memory: stoke_model::quantity::Quantity = memory.parse().ok()?;
    Some((cores.parse().ok()?, memory.bytes(), Provider::default()))
}

/// Machines of Google whose last part is the number of cores: memory for each core is the family's.
fn google(text: &str) -> Option<(u32, u64, Provider)> {
    let mut parts = text.split('-');
    let (series, kind, cores) = (parts.next()?, parts.next()?, parts.next()?);
    let known = ["n1", "n2", "n2d", "n4", "e2", "c3", "c3d", "c4", "t2d"].contains(&series);
    // In halves of a GiB for each core.
    let halves = match (series, kind) {
        ("n1", "standard") => 7.5,
        ("n1", "highmem") => 13.0,
        ("n1", "highcpu") => 1.8,
        ("c3" | "c3d" | "c4" | "n4", "highcpu") => 4.0,
        (_, "standard") => 8.0,
        (_, "highmem") => 16.0,
        (_, "highcpu") => 2.0,
        _ => return None,
    };
    let cores: u32 = cores.parse().ok()?;
    (known && parts.next().is_none()).then_some((
        cores,
        (f64::from(cores) * halves * 512.0) as u64 * MIB,
        Provider::Gke,
    ))
}

/// Machines of Amazon of the families m, c and r: 4, 2 and 8 GiB for each core.
fn amazon(text: &str) -> Option<(u32, u64, Provider)> {
    let (family, size) = text.split_once('.')?;
    let each = match family.as_bytes() {
        [b'm', digit, ..] if digit.is_ascii_digit() => 4,
        [b'c', digit, ..] if digit.is_ascii_digit() => 2,
        [b'r', digit, ..] if digit.is_ascii_digit() => 8,
        _ => return None,
    };
    let cores = match size {
        "large" => 2,
        "xlarge" => 4,
        _ => size.strip_suffix("xlarge")?.parse::<u32>().ok()?.checked_mul(4)?,
    };
    Some((cores, u64::from(cores) * each * GIB, Provider::Eks))
}

/// Machines of Azure of the families D, E and F: 4, 8 and 2 GiB for each core.
fn azure(text: &str) -> Option<(u32, u64, Provider)> {
    let name = text.strip_prefix("Standard_")?;
    let each = match name.as_bytes().first()? {
        b'D' => 4,
        b'E' => 8,
        b'F' => 2,
        _ => return None,
    };
    let digits: String = name.chars().skip(1).take_while(char::is_ascii_digit).collect();
    let cores: u32 = digits.parse().ok()?;
    Some((cores, u64::from(cores) * each * GIB, Provider::Aks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_read() {
        for (text, cores, gib, provider) in [
            ("16x64Gi", 16, 64, Provider::Gke),
            ("16x64Gi@eks", 16, 64, Provider::Eks),
            ("n2-standard-16", 16, 64, Provider::Gke),
            ("e2-highmem-8", 8, 64, Provider::Gke),
            ("m6i.4xlarge", 16, 64, Provider::Eks),
            ("r5.large", 2, 16, Provider::Eks),
            ("c7g.xlarge", 4, 8, Provider::Eks),
            ("Standard_D16s_v5", 16, 64, Provider::Aks),
            ("Standard_E8ds_v5", 8, 64, Provider::Aks),
        ] {
            let shape = NodeShape::parse(text).expect(text);
            assert_eq!(
                (shape.cores, shape.memory, shape.provider),
                (cores, gib * GIB, provider),
                "{text}"
            );
        }
        for text in [
            "",
            "16",
            "16x",
            "axb",
            "-1x4Gi",
            "z9.large",
            "n2-standard",
            "Standard_D",
            "16x64Gi@moon",
            "0x64Gi",
            "16x0",
            "m5.99999999999xlarge",
        ] {
            assert!(NodeShape::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_kept_back_is_what_the_providers_document() {
        // GKE's page: 4 cores keep 80 millicores, 15 GiB keep 2.5 GiB.
        assert_eq!(tiered_cpu(4), 80);
        assert_eq!(tiered_cpu(16), 110);
        assert_eq!(tiered_memory(16 * GIB) / MIB, 2662);
        // AKS's page: 8 cores keep 180; 4 GB keep a quarter at most.
        assert_eq!((aks_cpu(8), aks_cpu(1), aks_cpu(12), aks_cpu(96)), (180, 60, 220, 1060));
        let small = NodeShape::parse("2x4Gi@aks").expect("a shape").reserve(0, 0);
        assert_eq!(small.system_memory, GIB + EVICTION);
        // EKS: 255 MiB and 11 MiB for each of 110 pods.
        let usual = NodeShape::parse("m5.2xlarge").expect("a shape").reserve(0, 0);
        assert_eq!(usual.system_memory, 1465 * MIB + EVICTION);
    }

    #[test]
    fn executors_fit_by_cores_and_by_memory() {
        let node = NodeShape::parse("16x64Gi").expect("a shape");
        let reserve = node.reserve(DAEMONSET_CPU, DAEMONSET_MEMORY);
        let by_cores = pack(&node, reserve.clone(), 5_000, GIB, 7).expect("fits");
        assert_eq!((by_cores.executors, by_cores.nodes), (3, 3));
        let by_memory = pack(&node, reserve.clone(), 1_000, 30 * GIB, 7).expect("fits");
        assert_eq!((by_memory.executors, by_memory.nodes), (1, 7));
        assert!(pack(&node, reserve.clone(), 17_000, GIB, 1).is_err());
        assert!(pack(&node, reserve, 1_000, 64 * GIB, 1).is_err());
    }
}
