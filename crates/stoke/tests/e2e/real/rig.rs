//! The real Kubernetes of `scripts/real-kubernetes`, with our image in it.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

use libtest_mimic::Failed;

use crate::behaviours::ground::Given;
use crate::common::{expect_code, repository, target_directory, text};

/// Our image there.
pub const IMAGE: &str = "docker.io/library/stoke:0.1.0";
/// The same program under the name of another version.
pub const NEXT_IMAGE: &str = "docker.io/library/stoke:next";
/// Spark of applications.
pub const SPARK: &str = "4.1.4";

/// Why the tier does not run here.
pub fn needs() -> Result<(), String> {
    if std::env::var("STOKE_TESTS").as_deref() != Ok("real") {
        return Err("STOKE_TESTS=real runs it, on a machine where you are root".into());
    }
    if std::env::var_os("STOKE_TEST_CONTEXT").is_some() {
        return Err("the cluster is this machine's own; STOKE_TEST_CONTEXT runs `behaviour` on yours".into());
    }
    let root = Command::new("id").arg("-u").output();
    match root {
        Ok(output) if output.stdout == b"0\n" => Ok(()),
        _ => Err("a kubelet needs root".into()),
    }
}

/// The rig, up.
#[derive(Clone)]
pub struct Rig {
    pub given: Given,
}

static UP: OnceLock<Result<Rig, String>> = OnceLock::new();

impl Rig {
    /// Builds what is missing, starts it, and brings in Spark's and our own image. Once.
    pub fn get() -> Result<Rig, Failed> {
        let rig = UP.get_or_init(|| Rig::start().map_err(|failed| failed.message().unwrap_or("?").to_owned()));
        rig.clone().map_err(Failed::from)
    }

    fn start() -> Result<Rig, Failed> {
        let up = run(&["up"])?;
        let text = text(&up);
        let kubeconfig = text
            .split_whitespace()
            .find_map(|word| word.strip_prefix("KUBECONFIG="))
            .ok_or("the rig names no kubeconfig")?;
        let rig = Rig {
            given: Given {
                context: "real".into(),
                kubeconfig: Some(kubeconfig.into()),
            },
        };
        let home = PathBuf::from(kubeconfig);
        let home = home.parent().and_then(|conf| conf.parent()).ok_or("no home")?;
        if !home.join(format!("images/spark-{SPARK}.tar")).exists() {
            run(&["spark-image", SPARK])?;
        }
        for name in [IMAGE, NEXT_IMAGE] {
            let tag = name.rsplit(':').next().unwrap_or_default();
            let archive = target_directory().join(format!("operator-image-{tag}.tar"));
            let script = repository().join("scripts/operator-image");
            let made = Command::new(&script)
                .arg(&archive)
                .args([name, env!("CARGO_BIN_EXE_stoke")])
                .output()?;
            expect_code(&made, 0)?;
            let checked = Command::new(&script).arg("--check").arg(&archive).output()?;
            expect_code(&checked, 0)?;
            if crate::common::text(&checked).trim() != "nothing is missing" {
                return Err(crate::common::text(&checked).into());
            }
            run(&["load", &archive.to_string_lossy()])?;
        }
        Ok(rig)
    }

    /// `kubectl`; it must succeed.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, Failed> {
        let output = self.given.kubectl().args(arguments).output()?;
        expect_code(&output, 0)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends one program of the cluster with SIGKILL.
    pub fn kill(&self, programs: &[&str]) -> Result<(), Failed> {
        run(&[&["kill"], programs].concat()).map(drop)
    }

    /// Starts what does not run.
    pub fn up(&self) -> Result<(), Failed> {
        run(&["up"]).map(drop)
    }

    /// Loses the packets between a pod and the API server, or lets them through again.
    pub fn cut(&self, address: &str, lost: bool) -> Result<(), Failed> {
        run(&[if lost { "cut" } else { "mend" }, address]).map(drop)
    }
}

fn run(arguments: &[&str]) -> Result<Output, Failed> {
    let script = repository().join("scripts/real-kubernetes/real-kubernetes");
    let output = Command::new(script).args(arguments).output()?;
    expect_code(&output, 0)?;
    Ok(output)
}
