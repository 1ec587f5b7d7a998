//! A throw-away cluster of three virtual nodes on 127.0.0.1, by the scripts beside this file.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) struct Cluster {
    /// Short, since sockets are in it.
    folder: tempfile::TempDir,
}

const NEEDED: [&str; 5] = ["slurmctld", "slurmd", "sbatch", "squeue", "munged"];

/// What of Slurm is not on this machine.
pub(crate) fn missing() -> Vec<&'static str> {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let is_there =
        |name: &str| std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    NEEDED.into_iter().filter(|name| !is_there(name)).collect()
}

impl Cluster {
    pub(crate) fn start() -> Cluster {
        let folder = tempfile::Builder::new()
            .prefix("pt")
            .tempdir_in("/tmp")
            .unwrap();
        let cluster = Cluster { folder };
        cluster.revive();
        cluster
    }

    /// Starts what does not live.
    pub(crate) fn revive(&self) {
        let output = self.script("start-test-cluster.sh", &[]);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the cluster does not start: {complaint}"
        );
    }

    /// As a power failure would.
    pub(crate) fn lose(&self, node: &str) {
        let output = self.script("stop-test-cluster.sh", &[node]);
        assert!(output.status.success());
    }

    pub(crate) fn stop_controller(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("slurmctld.pid")).unwrap();
        assert!(
            Command::new("kill")
                .arg(pid.trim())
                .status()
                .unwrap()
                .success()
        );
        let proc = PathBuf::from("/proc").join(pid.trim());
        wait_until(Duration::from_secs(20), "slurmctld ends", || {
            !std::fs::read(proc.join("cmdline")).is_ok_and(|words| !words.is_empty())
        });
    }

    /// For the programs that are to see this cluster and no other.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.path().join("etc/slurm.conf")
    }

    /// Tasks that wait or run, with their states.
    pub(crate) fn queue(&self) -> String {
        let mut command = Command::new("squeue");
        command.args(["--noheader", "--array", "--format=%j %K %T %N %r"]);
        let output = command
            .env("SLURM_CONF", self.configuration())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn script(&self, name: &str, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/slurm")
            .join(name);
        let mut command = Command::new("sh");
        command.arg(script).arg(self.folder.path()).args(arguments);
        command.output().unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.script("stop-test-cluster.sh", &[]);
    }
}

/// # Panics
/// When it does not come true in time.
pub(crate) fn wait_until(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < limit,
            "it is not so after {limit:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
