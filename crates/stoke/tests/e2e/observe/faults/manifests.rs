//! Objects of the faults.

use libtest_mimic::Failed;

use super::stage::Stage;

/// What the applications run.
pub const SCRIPTS: &str = include_str!("scripts.yaml");

const APPLICATION: &str = "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\n";

/// What differs between the applications of faults.
#[derive(Clone, Copy)]
pub struct App {
    pub name: &'static str,
    pub script: &'static str,
    /// Pairs of the Spark configuration.
    pub conf: &'static str,
    /// Cores that the driver's and each executor's container asks for.
    pub requests: [&'static str; 2],
    pub executors: u8,
}

impl App {
    pub const fn new(name: &'static str, script: &'static str) -> Self {
        App {
            name,
            script,
            conf: "",
            requests: ["100m", "100m"],
            executors: 1,
        }
    }

    /// As a manifest.
    pub fn manifest(&self) -> String {
        format!(
            "{APPLICATION}metadata: {{name: {}, labels: {{team: data}}}}\nspec:\n{}",
            self.name,
            self.spec()
        )
    }

    fn spec(&self) -> String {
        let [driver, executor] = self.requests;
        format!(
            "  type: Python\n  mode: cluster\n  image: apache/spark:4.1.4\n  sparkVersion: 4.1.4\n  mainApplicationFile: local:///scripts/{}\n  \
             restartPolicy: {{type: Never}}\n  sparkConf: {{spark.executor.maxNumFailures: \"1000\", spark.task.maxFailures: \"100\", {}}}\n  \
             driver: {{cores: 1, coreRequest: \"{driver}\", memory: 512m, serviceAccount: spark-operator-spark, configMaps: [{{name: scripts, path: /scripts}}]}}\n  \
             executor: {{instances: {}, cores: 1, coreRequest: \"{executor}\", memory: 512m}}\n",
            self.script, self.conf, self.executors
        )
    }

    /// As the template of a schedule of the same name.
    pub fn schedule(&self, cron: &str) -> String {
        let template = self.spec().replace("\n  ", "\n    ");
        format!(
            "apiVersion: sparkoperator.k8s.io/v1beta2\nkind: ScheduledSparkApplication\nmetadata: {{name: {}, labels: {{team: data}}}}\nspec:\n  \
             schedule: \"{cron}\"\n  concurrencyPolicy: Forbid\n  failedRunHistoryLimit: 1\n  template:\n    {}",
            self.name,
            template.trim_start()
        )
    }
}

/// A time that does not come: such a schedule's runs are begun by hand.
pub const BY_HAND: &str = "0 0 1 1 *";

/// Begins a run of a schedule now; each mark begins one.
pub fn trigger(stage: &Stage, name: &str, mark: &str) -> Result<(), Failed> {
    let object = format!("scheduledsparkapplication/{name}");
    let annotation = format!("stoke.dev/trigger={mark}");
    stage.kubectl(&["annotate", "--overwrite", &object, &annotation])
}
