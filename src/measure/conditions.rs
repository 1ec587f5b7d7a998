//! What the operating system says about the machine while a block runs: whether others took the processors, and how fast these
//! were clocked. Read outside of every timed sample.
use super::nanoseconds_since;
use crate::device::Device;
use crate::trial::{Conditions, GpuReading};
use std::time::Instant;

/// Counters at the start of a block; [`Reading::end`] says what happened since.
#[derive(Debug)]
pub(super) struct Reading {
    at: Instant,
    times: Option<Times>,
    stalled_us: Option<f64>,
    throttled: Option<u64>,
    gpu: Option<GpuReading>,
}

/// Ticks of all processors since the machine started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    all: u64,
    stolen: u64,
}

impl Reading {
    pub(super) fn start(device: &Device) -> Reading {
        Reading {
            at: Instant::now(),
            times: read("/proc/stat").and_then(|text| times(&text)),
            stalled_us: read("/proc/pressure/cpu").and_then(|text| stalled_us(&text)),
            throttled: throttled(),
            gpu: match device {
                Device::Host => None,
                Device::Gpu(gpu) => gpu.reading(),
            },
        }
    }

    pub(super) fn end(self, device: &Device) -> Conditions {
        let now = Reading::start(device);
        let elapsed_us = (nanoseconds_since(self.at) / 1e3).max(1.0);
        let times = self.times.zip(now.times);
        let throttled = self.throttled.zip(now.throttled);
        Conditions {
            // Counted in ticks of 10 ms: a block shorter than one has no share.
            steal: times.and_then(|(before, after)| {
                let all = after.all.saturating_sub(before.all);
                let stolen = after.stolen.saturating_sub(before.stolen);
                (all > 0).then(|| stolen as f64 / all as f64)
            }),
            stall: self
                .stalled_us
                .zip(now.stalled_us)
                .map(|(before, after)| ((after - before) / elapsed_us).clamp(0.0, 1.0)),
            load: read("/proc/loadavg").and_then(|text| load(&text, processors())),
            megahertz: megahertz(),
            throttled: throttled.map(|(before, after)| after.saturating_sub(before)),
            gpu: now.gpu.map(|after| GpuReading {
                joules: (self.gpu.and_then(|before| before.joules).zip(after.joules))
                    .map(|(before, after)| after - before),
                ..after
            }),
        }
    }
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The first line of /proc/stat: user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
fn times(text: &str) -> Option<Times> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map_while(|n| n.parse().ok())
        .collect();
    (ticks.len() == 8).then(|| Times {
        all: ticks.iter().sum(),
        stolen: ticks[7],
    })
}

/// Microseconds in which some task waited for a processor: the `total` of the line `some`.
fn stalled_us(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

/// The load average of the last minute, for each processor.
fn load(text: &str, processors: usize) -> Option<f64> {
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(load / processors as f64)
}

/// Mean clock of the processors, where the kernel scales it.
fn megahertz() -> Option<f64> {
    let clocks: Vec<f64> = (0..processors())
        .map_while(|i| {
            let file = format!("/sys/devices/system/cpu/cpu{i}/cpufreq/scaling_cur_freq");
            read(&file)?.trim().parse::<f64>().ok()
        })
        .collect();
    (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64 / 1e3)
}

/// Times that a core or package was slowed down for its heat, since the machine started.
fn throttled() -> Option<u64> {
    let counts: Vec<u64> = (0..processors())
        .flat_map(|i| ["core", "package"].map(|what| (i, what)))
        .map_while(|(i, what)| {
            let folder = format!("/sys/devices/system/cpu/cpu{i}/thermal_throttle");
            read(&format!("{folder}/{what}_throttle_count"))?
                .trim()
                .parse()
                .ok()
        })
        .collect();
    (!counts.is_empty()).then(|| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        let stat = "cpu  834104 51518 110943 2728072 5196 0 664 332 7 9\ncpu0 1 2 3\n";
        assert_eq!(
            times(stat),
            Some(Times {
                all: 834_104 + 51_518 + 110_943 + 2_728_072 + 5196 + 664 + 332,
                stolen: 332
            })
        );
        assert_eq!(times("cpu  1 2 3\n"), None);
        assert_eq!(times("intr 1"), None);
        let pressure = "some avg10=0.78 avg60=0.30 avg300=0.71 total=1694030700\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(stalled_us(pressure), Some(1_694_030_700.0));
        assert_eq!(stalled_us(""), None);
        assert_eq!(load("3.00 1.00 0.71 2/317 28028\n", 2), Some(1.5));
        assert_eq!(load("", 2), None);
    }

    #[test]
    fn a_reading_of_this_machine_is_within_its_bounds() {
        let reading = Reading::start(&Device::Host);
        std::thread::sleep(std::time::Duration::from_millis(30));
        let conditions = reading.end(&Device::Host);
        for share in [conditions.steal, conditions.stall].into_iter().flatten() {
            assert!((0.0..=1.0).contains(&share), "{conditions:?}");
        }
        assert!(conditions.load.is_none_or(|l| l >= 0.0));
    }
}
