//! The machine, as far as the kernel tells: everything optional is absent where it is not known, never guessed.
#![allow(
    clippy::disallowed_methods,
    reason = "reads /proc, /sys and the wall clock"
)]
use super::{Calibration, Environment, StoreError, git, write_whole};
use crate::value::Bytes;
use std::path::Path;

impl Environment {
    /// Probes this machine and the repository that `plan_folder` is in. `devices`: as `phasetune devices` names them.
    pub fn probe(plan_folder: &Path, devices: Vec<String>) -> Environment {
        let cpuinfo = read("/proc/cpuinfo");
        let field = |name: &str| {
            cpuinfo
                .lines()
                .find(|line| line.starts_with(name))
                .and_then(|line| line.split(':').nth(1))
                .map(|value| value.trim().to_owned())
        };
        let os = read("/etc/os-release")
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))
            .map_or_else(
                || std::env::consts::OS.to_owned(),
                |name| name.trim_matches('"').to_owned(),
            );
        let wanted = [
            "avx",
            "avx2",
            "fma",
            "f16c",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512_bf16",
            "avx512_fp16",
            "asimd",
            "sve",
        ];
        let flags = field("flags")
            .or_else(|| field("Features"))
            .unwrap_or_default();
        let features = flags
            .split_whitespace()
            .filter(|f| wanted.contains(f))
            .map(str::to_owned)
            .collect();
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
        let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
        let memory = read("/proc/meminfo")
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))
            .and_then(|rest| {
                rest.trim()
                    .trim_end_matches("kB")
                    .trim()
                    .parse::<u64>()
                    .ok()
            });
        Environment {
            started_at: now(),
            host: host(),
            os,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            cpu: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores,
            caches: caches(),
            memory: Bytes(memory.unwrap_or(0) * 1024),
            governor: (!governor.trim().is_empty()).then(|| governor.trim().to_owned()),
            features,
            devices,
            toolchain: option_env!("RUSTC_VERSION").map(str::to_owned),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            load_average: read("/proc/loadavg")
                .split_whitespace()
                .next()
                .and_then(|x| x.parse().ok()),
            git: git::probe(plan_folder),
            imported: None,
        }
    }

    /// What a calibration belongs to: it says nothing about another machine, or another kernel on this one.
    pub fn fingerprint(&self) -> String {
        format!(
            "{} | {} | {} cores | Linux {}",
            self.host, self.cpu, self.cores, self.kernel
        )
    }
}

impl Calibration {
    /// The calibration of this machine for this plan, if there is one.
    pub fn load(results: &Path, name: &str, fingerprint: &str) -> Option<Calibration> {
        let text = std::fs::read_to_string(results.join(name).join("calibration.json")).ok()?;
        let calibration: Calibration = serde_json::from_str(&text).ok()?;
        (calibration.fingerprint == fingerprint).then_some(calibration)
    }

    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, results: &Path, name: &str) -> Result<(), StoreError> {
        let folder = results.join(name);
        std::fs::create_dir_all(&folder).map_err(StoreError::io(format!(
            "the folder {} cannot be made",
            folder.display()
        )))?;
        let text = serde_json::to_string_pretty(self).expect("plain data");
        write_whole(&folder.join("calibration.json"), text.as_bytes())
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

pub(super) fn host() -> String {
    let name = read("/proc/sys/kernel/hostname").trim().to_owned();
    if name.is_empty() {
        "unknown".into()
    } else {
        name
    }
}

/// `2026-11-21T02:15:30Z`.
pub(super) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// `20261121T021530Z`: sorts by time, and every file system takes it.
pub(super) fn compact_time() -> String {
    jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

fn caches() -> Vec<(String, u64)> {
    let mut found = vec![];
    for index in 0..8 {
        let folder = format!("/sys/devices/system/cpu/cpu0/cache/index{index}");
        let kind = read(&format!("{folder}/type"));
        let level = read(&format!("{folder}/level"));
        let size = read(&format!("{folder}/size"));
        let kib = size.trim().trim_end_matches('K').parse::<u64>();
        if let (Ok(kib), false) = (kib, kind.trim() == "Instruction") {
            let suffix = if kind.trim() == "Data" { "d" } else { "" };
            found.push((format!("L{}{suffix}", level.trim()), kib * 1024));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_told_of_as_far_as_it_is_known() {
        let environment = Environment::probe(Path::new("/"), vec!["cpu".into()]);
        assert!(environment.cores >= 1 && environment.memory.0 > 0);
        assert!(
            [
                &environment.host,
                &environment.os,
                &environment.kernel,
                &environment.cpu
            ]
            .iter()
            .all(|text| !text.is_empty())
        );
        assert_eq!(environment.started_at.len(), "2026-11-21T02:15:30Z".len());
        assert_eq!(environment.git, None);
    }

    #[test]
    fn a_calibration_belongs_to_its_machine() {
        let results = tempfile::tempdir().unwrap();
        let calibration = Calibration {
            fingerprint: "here".into(),
            half_width: 1.0 / 3.0,
            ..Calibration::default()
        };
        assert_eq!(Calibration::load(results.path(), "t", "here"), None);
        calibration.save(results.path(), "t").unwrap();
        assert_eq!(
            Calibration::load(results.path(), "t", "here"),
            Some(calibration)
        );
        assert_eq!(Calibration::load(results.path(), "t", "there"), None);
    }
}
