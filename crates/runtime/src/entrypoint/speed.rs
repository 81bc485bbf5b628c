//! JVM flags that make a process start faster and change nothing of what it computes, nor how fast it runs once it is warm.
//!
//! They stand in front of all other options, so that the user's own win.

use super::options;
use super::{CPU_LIMIT, MEMORY_LIMIT, Situation};
use crate::image::STOKE;
use crate::launch::{Archive, Facts};

/// Below this much memory, or with one processor, a JVM chooses the serial collector by itself (`is_server_class_machine` of HotSpot: two
/// processors and 2 GB, less 256 MB).
const SERVER_CLASS_MEMORY: u64 = 1792 << 20;

/// HotSpot's thresholds for the optimising compiler, ten times as high as by default (5000, 600, 15000, 40000).
///
/// A process that lives some seconds otherwise spends a third of its processor time on optimising code that it soon does not need any
/// more. Code that is hot for long passes these thresholds within fractions of a second and is then optimised as always: a job of 50 s is not slower
/// for it (`benches/compiler-thresholds.py`).
const PATIENT_OPTIMISER: [&str; 4] = [
    "-XX:Tier4InvocationThreshold=50000",
    "-XX:Tier4MinInvocationThreshold=6000",
    "-XX:Tier4CompileThreshold=150000",
    "-XX:Tier4BackEdgeThreshold=400000",
];

/// The flags for a process. `archive` is the one its class path fits; `options` are all other options it will have.
pub fn flags(situation: &Situation, archive: Option<Archive>, options: &[&str]) -> Vec<String> {
    let mut flags = limits(situation);
    let ambient = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"]
        .iter()
        .filter_map(|name| situation.variable(name))
        .flat_map(str::split_whitespace);
    let all: Vec<&str> = options.iter().copied().chain(ambient).collect();
    if !all.iter().any(|option| {
        ["-XX:Tier", "-XX:+Tiered", "-XX:-Tiered", "-Xint", "-Xcomp"]
            .iter()
            .any(|start| option.starts_with(start))
    }) {
        flags.extend(PATIENT_OPTIMISER.map(str::to_owned));
    }
    if !options::choose_collector(all.iter().copied()) && !is_server_class(situation) {
        flags.push("-XX:+UseSerialGC".into());
    }
    if let Some(archive) =
        archive.filter(|archive| situation.archives.contains(archive) && !options::choose_archive(all.iter().copied()))
    {
        // Should the archive not fit after all, the JVM starts without it, and the log stays the user's.
        flags.extend([
            format!("-XX:SharedArchiveFile={STOKE}/launch/{}", archive.file()),
            "-Xshare:auto".into(),
            "-Xlog:cds=off".into(),
        ]);
    }
    flags
}

/// What a JVM in a real container would read from its control group: processors and memory.
fn limits(situation: &Situation) -> Vec<String> {
    let cpus = limit(situation, CPU_LIMIT).map(|millis| {
        format!(
            "-XX:ActiveProcessorCount={}",
            millis.div_ceil(1000).clamp(1, u64::from(situation.machine_cpus.max(1)))
        )
    });
    let memory =
        limit(situation, MEMORY_LIMIT).map(|bytes| format!("-XX:MaxRAM={}", bytes.min(situation.machine_memory)));
    cpus.into_iter().chain(memory).collect()
}

fn limit(situation: &Situation, name: &str) -> Option<u64> {
    situation.variable(name)?.parse().ok().filter(|&value| value > 0)
}

fn is_server_class(situation: &Situation) -> bool {
    let cpus = limit(situation, CPU_LIMIT).map_or(u64::from(situation.machine_cpus), |millis| millis.div_ceil(1000));
    let memory = limit(situation, MEMORY_LIMIT).unwrap_or(situation.machine_memory);
    cpus >= 2 && memory >= SERVER_CLASS_MEMORY
}

/// The options without the modules that this Java does not have: with them it would refuse to start. Spark adds the incubating vector module
/// only as an accelerator.
pub fn supported(options: &[String], facts: &Facts) -> Vec<String> {
    let there = |option: &&String| match option.strip_prefix("--add-modules=") {
        Some(module) => {
            facts.java_modules.is_empty()
                || module.contains(',')
                || module == "ALL-SYSTEM"
                || facts.java_modules.iter().any(|name| name == module)
        }
        None => true,
    };
    options.iter().filter(there).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn situation(cpu: &str, memory: &str) -> Situation {
        Situation {
            archives: vec![Archive::Driver],
            environment: [(CPU_LIMIT, cpu), (MEMORY_LIMIT, memory)]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            machine_cpus: 8,
            machine_memory: 16 << 30,
            ..Situation::default()
        }
    }

    fn flags_of(cpu: &str, memory: &str, archive: Option<Archive>, options: &[&str]) -> String {
        flags(&situation(cpu, memory), archive, options)
            .into_iter()
            .filter(|flag| !flag.contains("Tier4"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn the_collector_is_the_one_a_container_of_that_size_would_get() {
        assert_eq!(flags_of("", "", None, &[]), "");
        assert_eq!(
            flags_of("1000", "4294967296", None, &[]),
            "-XX:ActiveProcessorCount=1 -XX:MaxRAM=4294967296 -XX:+UseSerialGC"
        );
        assert_eq!(
            flags_of("1001", "4294967296", None, &[]),
            "-XX:ActiveProcessorCount=2 -XX:MaxRAM=4294967296"
        );
        assert_eq!(
            flags_of("", "1476395008", None, &[]),
            "-XX:MaxRAM=1476395008 -XX:+UseSerialGC"
        );
        assert_eq!(
            flags_of("", "1476395008", None, &["-XX:+UseG1GC"]),
            "-XX:MaxRAM=1476395008"
        );
        assert_eq!(flags_of("99000", "", None, &[]), "-XX:ActiveProcessorCount=8");
    }

    #[test]
    fn the_optimiser_is_patient_unless_the_user_speaks_of_compilation() {
        let patient = |options: &[&str]| flags(&situation("", ""), None, options).len() == PATIENT_OPTIMISER.len();
        assert!(patient(&["-Xmx1g", "-XX:+UseG1GC"]));
        for option in [
            "-XX:TieredStopAtLevel=1",
            "-XX:-TieredCompilation",
            "-XX:Tier3DelayOn=5",
            "-Xint",
        ] {
            assert!(!patient(&[option]), "{option}");
        }
    }

    #[test]
    fn the_archive_is_used_when_it_is_there_and_the_user_says_nothing() {
        let archive = "-XX:SharedArchiveFile=/opt/stoke/launch/driver.jsa -Xshare:auto -Xlog:cds=off";
        assert_eq!(flags_of("", "", Some(Archive::Driver), &["-Xmx1g"]), archive);
        assert_eq!(flags_of("", "", Some(Archive::Driver), &["-Xshare:off"]), "");
        assert_eq!(flags_of("", "", Some(Archive::Executor), &[]), "");
        let mut ambient = situation("", "");
        ambient
            .environment
            .insert("JAVA_TOOL_OPTIONS".into(), "-Da=b -XX:SharedArchiveFile=/x".into());
        assert_eq!(flags(&ambient, Some(Archive::Driver), &["-Xint"]), Vec::<String>::new());
    }
}
