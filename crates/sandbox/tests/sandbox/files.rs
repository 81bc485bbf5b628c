//! What a container sees: mounts, the machine, the tree of an image.

use super::*;

pub fn mounts_are_as_asked_for() {
    let bench = Bench::new();
    for directory in ["home/jars", "volume", "config"] {
        std::fs::create_dir_all(bench.path(directory)).unwrap();
    }
    std::fs::write(bench.path("home/jars/a.jar"), "jar").unwrap();
    std::fs::write(bench.path("config/key"), "value").unwrap();
    let mut spec = bench.shell(
        "cat /opt/spark/jars/a.jar /opt/spark/conf/key /etc/motd-of-stoke; echo; \
         touch /opt/spark/new 2>&1; touch /opt/spark/jars/new 2>&1; touch /opt/spark/conf/new 2>&1; touch /usr/new 2>&1; \
         echo written > /data/file && touch /opt/spark/work-dir/w && echo writable; df /cache | tail -1 | awk '{print $2}'",
    );
    spec.mounts.extend([
        Mount::bind(bench.path("home"), "/opt/spark", true),
        Mount::bind(bench.path("config"), "/opt/spark/conf", true),
        Mount::bind(bench.path("volume"), "/data", false),
        Mount::tmpfs("/opt/spark/work-dir", Some(1 << 20)),
        Mount::tmpfs("/cache", Some(2 << 20)),
        Mount::file("/etc/motd-of-stoke", "file"),
    ]);
    let (code, output) = bench.run(&spec);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("F jarvaluefile\n"), "{output}");
    assert_eq!(output.matches("Read-only file system").count(), 4, "{output}");
    assert!(
        output.contains("F writable\n") && output.contains("F 2048\n"),
        "{output}"
    );
    assert_eq!(std::fs::read_to_string(bench.path("volume/file")).unwrap(), "written\n");
    assert!(
        !bench.path("home/conf").exists() && !bench.path("home/work-dir").exists(),
        "the source was changed"
    );

    let bench = Bench::new();
    let mut spec = bench.shell("touch /x 2>&1; touch /tmp/x 2>&1; touch /data/x && echo volume");
    spec.read_only_root = true;
    spec.mounts.push(Mount::tmpfs("/data", None));
    let (_, output) = bench.run(&spec);
    assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
    assert!(output.contains("volume"));
}

/// Started by the test below where `/lib` has a loader of musl: says what a container sees there.
pub fn look() {
    let bench = Bench::new();
    let (code, output) = bench.run(&bench.shell(
        "ls /lib | grep -c musl; test -e /lib/ld-musl-x86_64.so.1; echo seen $?; ls -d /lib/$(uname -m)-linux-gnu/libc.so.6 /lib/ld-linux* 2>/dev/null | head -1; touch /usr/lib/x 2>&1",
    ));
    println!("outside {}", Path::new("/lib/ld-musl-x86_64.so.1").exists());
    println!("{code} {output}");
}

/// In a mount namespace of its own, so that nothing is installed on this machine.
pub fn a_loader_of_musl_is_not_seen() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("planted")).unwrap();
    std::fs::write(bench.path("planted/ld-musl-x86_64.so.1"), "").unwrap();
    let script = "mount -t overlay -o lowerdir=\"$1\":/usr/lib overlay /usr/lib && exec \"$2\" look";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(bench.path("planted"))
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_merged = Path::new("/lib")
        .canonicalize()
        .is_ok_and(|path| path == Path::new("/usr/lib"));
    if !is_merged || !told.starts_with("outside true") {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !is_merged || why.contains("mount") || why.contains("unshare"),
            "{told}{why}"
        );
        println!("SKIPPED: /lib cannot be changed for one process: {why}");
        return;
    }
    for expected in [" F 0\n", " F seen 1\n", " F /lib/", "Read-only file system"] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

/// A tree as an image has it; programs are the machine's.
fn image_tree(bench: &Bench) -> PathBuf {
    let tree = bench.path("tree");
    std::fs::create_dir_all(tree.join("opt/app/old")).unwrap();
    std::fs::create_dir_all(tree.join("etc")).unwrap();
    std::fs::write(tree.join("opt/app/code"), "code of the image\n").unwrap();
    std::fs::write(tree.join("opt/app/old/file"), "old\n").unwrap();
    std::fs::write(tree.join("etc/hostname"), "of the image\n").unwrap();
    tree
}

pub fn a_tree_of_an_image_is_the_root() {
    let script = "cat /opt/app/code /etc/hostname; cd /opt/app; echo changed > code; rm -r old; mkdir old; ls -A old | wc -l; \
                  echo new > /top; cat code /top; ls -d /tmp /run 2>&1 | wc -l";
    let kept = |bench: &Bench| {
        std::fs::create_dir_all(bench.path("changes"))
            .map(|()| bench.path("changes"))
            .unwrap()
    };
    type Make = fn(&Bench, PathBuf) -> Root;
    let overlay: [Make; 2] = [
        |bench, lower| Root::Overlay {
            lower,
            changes: Changes::Directory(bench.path("changes")),
        },
        |_, lower| Root::Overlay {
            lower,
            changes: Changes::Memory { size: 8 << 20 },
        },
    ];
    for make in overlay {
        let bench = Bench::new();
        let tree = image_tree(&bench);
        let changes = kept(&bench);
        let mut spec = bench.shell(script);
        spec.working_directory = "/opt/app".into();
        spec.root = make(&bench, tree.clone());
        spec.mounts.push(Mount::file("/etc/hostname", "of the pod\n"));
        let (code, output) = bench.run(&spec);
        let lines: Vec<&str> = output.lines().map(|line| line.rsplit_once(" F ").unwrap().1).collect();
        assert_eq!(code, 0, "{output}");
        assert_eq!(
            lines[..5],
            ["code of the image", "of the pod", "0", "changed", "new"],
            "{output}"
        );
        // Neither is in the tree, and nothing but the mounts brings them.
        assert!(!tree.join("tmp").exists() && !tree.join("top").exists());
        assert_eq!(
            std::fs::read_to_string(tree.join("opt/app/code")).unwrap(),
            "code of the image\n"
        );
        assert_eq!(
            std::fs::read_to_string(tree.join("etc/hostname")).unwrap(),
            "of the image\n"
        );
        assert!(tree.join("opt/app/old/file").exists());
        remove_tree(&changes).unwrap();
    }
    // The tree itself, and read-only.
    let bench = Bench::new();
    let tree = image_tree(&bench);
    let mut spec = bench.shell("echo changed > /opt/app/code && cat /opt/app/code");
    spec.root = Root::Directory(tree.clone());
    assert_eq!(bench.run(&spec).0, 0, "{}", bench.output());
    assert_eq!(std::fs::read_to_string(tree.join("opt/app/code")).unwrap(), "changed\n");
    for root in [
        Root::Directory(tree.clone()),
        Root::Overlay {
            lower: tree.clone(),
            changes: Changes::Memory { size: 8 << 20 },
        },
    ] {
        let bench = Bench::new();
        let mut spec = bench.shell("touch /opt/app/x 2>&1; touch /x 2>&1; touch /data/x && echo volume");
        spec.root = root;
        spec.read_only_root = true;
        spec.mounts.push(Mount::tmpfs("/data", None));
        let (_, output) = bench.run(&spec);
        assert_eq!(output.matches("Read-only file system").count(), 2, "{output}");
        assert!(output.contains("volume"), "{output}");
    }
}

pub fn links_of_an_image_lead_nowhere_else() {
    let bench = Bench::new();
    let tree = image_tree(&bench);
    let outside = bench.path("outside");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(tree.join("run")).unwrap();
    let link = |to: &Path, at: &str| std::os::unix::fs::symlink(to, tree.join(at)).unwrap();
    link(
        Path::new("/old").join(outside.strip_prefix("/").unwrap()).as_path(),
        "escape",
    );
    link(Path::new("../../../../run"), "etc/run");
    let mut spec = bench.shell("cat /run/secrets/key /escape/made/file");
    spec.root = Root::Overlay {
        lower: tree.clone(),
        changes: Changes::Memory { size: 8 << 20 },
    };
    spec.mounts.extend([
        Mount::file("/escape/made/file", "inside\n"),
        Mount::file("/etc/run/secrets/key", "key\n"),
    ]);
    let (code, output) = bench.run(&spec);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("F key") && output.contains("F inside"), "{output}");
    assert_eq!(
        std::fs::read_dir(&outside).unwrap().count(),
        0,
        "a mount point was made outside of the image"
    );
    std::os::unix::fs::symlink(&outside, tree.join("proc")).unwrap();
    let error = Launcher::default().start(&spec, |_| {}).err().unwrap();
    assert!(
        error.to_string().contains("/proc of the image is not a directory"),
        "{error}"
    );
}
