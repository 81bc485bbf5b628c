//! The real Kubernetes of `scripts/real-kubernetes`, with our image in it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use libtest_mimic::Failed;
use stoke_objectstore::{Config, ObjectStore};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::behaviours::ground::Given;
use crate::common::{expect_code, repository, text};

/// Our image there.
pub const IMAGE: &str = "docker.io/library/stoke:0.1.0";
/// The same program under the name of another version.
pub const NEXT_IMAGE: &str = "docker.io/library/stoke:next";
/// Spark of applications.
pub const SPARK: &str = "4.1.4";

/// Why the tier does not run here.
pub fn needs() -> Result<(), String> {
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
        rig.spark_image(SPARK)?;
        for name in [IMAGE, NEXT_IMAGE] {
            let tag = name.rsplit(':').next().unwrap_or_default();
            let archive = stoke_testkit::target_directory().join(format!("operator-image-{tag}.tar"));
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

    /// Makes the image of this Spark, once.
    pub fn spark_image(&self, version: &str) -> Result<(), Failed> {
        let home = self
            .given
            .kubeconfig
            .as_deref()
            .and_then(|file| file.parent()?.parent());
        let archive = home.ok_or("no home")?.join(format!("images/spark-{version}.tar"));
        if archive.exists() {
            return Ok(());
        }
        run(&["spark-image", version]).map(drop)
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

    /// Starts the kubelet again, for which a disk is full that has less than this free.
    pub fn kubelet_that_needs(&self, free: &str) -> Result<(), Failed> {
        self.kill(&["kubelet"])?;
        let up = Command::new(script())
            .arg("up")
            .env("NODEFS_AVAILABLE", free)
            .output()?;
        expect_code(&up, 0)
    }

    /// Loses the packets between a pod and the API server, or lets them through again.
    pub fn cut(&self, address: &str, lost: bool) -> Result<(), Failed> {
        run(&[if lost { "cut" } else { "restore" }, address]).map(drop)
    }
}

/// Our object store at the node's address, where pods reach it.
pub struct S3 {
    store: Option<ObjectStore>,
    runtime: Runtime,
    port: u16,
}

/// The node, as pods see it.
const NODE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

impl S3 {
    pub fn start(directory: &Path) -> Result<S3, Failed> {
        let runtime = Runtime::new()?;
        let config = Config::new(directory.join("store"), Ipv4Addr::LOCALHOST);
        let store = runtime.block_on(ObjectStore::start(Config {
            port: Some(0),
            ..config
        }))?;
        let to = store.address();
        // The store itself listens on loopback only.
        let listener = runtime.block_on(TcpListener::bind((NODE, 0)))?;
        let port = listener.local_addr()?.port();
        runtime.spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(to).await?;
                    copy_bidirectional(&mut from, &mut to).await
                });
            }
        });
        Ok(S3 {
            store: Some(store),
            runtime,
            port,
        })
    }

    /// How programs find it.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let credentials = self.store.as_ref().map(ObjectStore::credentials);
        let (id, secret) = credentials
            .map(|known| (known.access_key_id.clone(), known.secret_access_key.clone()))
            .unwrap_or_default();
        vec![
            ("AWS_ENDPOINT_URL", format!("http://{NODE}:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            self.runtime.block_on(store.stop());
        }
    }
}

fn script() -> PathBuf {
    repository().join("scripts/real-kubernetes/real-kubernetes")
}

fn run(arguments: &[&str]) -> Result<Output, Failed> {
    let output = Command::new(script()).args(arguments).output()?;
    expect_code(&output, 0)?;
    Ok(output)
}
