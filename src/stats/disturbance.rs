//! What others did to the machine while blocks ran, in words (STATISTICS "Trust"). None of it makes a comparison wrong, since
//! those are within blocks; it says why intervals are wide, and what would make them narrower.
use super::{Warning, quartiles};
use crate::trial::{Conditions, GpuReading};

/// Shares of a block's time below this are the ordinary life of a machine.
const STEAL: f64 = 0.01;
const STALL: f64 = 0.10;
/// A load of one for each processor is our own.
const LOAD: f64 = 1.25;
/// Of the median clock.
const SLOW: f64 = 0.90;

/// Everything that the conditions of a phase's blocks show.
pub fn disturbances(blocks: &[Conditions]) -> Vec<Warning> {
    let mut found = vec![];
    let mut warn = |what: &str, detail: String| {
        found.push(Warning {
            what: what.into(),
            detail,
        });
    };
    let of = |fact: fn(&Conditions) -> Option<f64>| -> Vec<f64> {
        blocks.iter().filter_map(fact).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let steal = mean(&of(|c| c.steal));
    if steal > STEAL {
        warn(
            "steal",
            format!(
                "the hypervisor gave {:.0} % of the processors' time to other machines",
                100.0 * steal
            ),
        );
    }
    let stall = mean(&of(|c| c.stall));
    if stall > STALL {
        warn(
            "pressure",
            format!(
                "in {:.0} % of the time some task waited for a processor: something else was running",
                100.0 * stall
            ),
        );
    }
    let load = of(|c| c.load);
    if !load.is_empty() && quartiles(&load).1 > LOAD {
        warn(
            "load",
            format!(
                "the load average was {:.1} for each processor: something else was running",
                quartiles(&load).1
            ),
        );
    }
    let clocks = of(|c| c.megahertz);
    if !clocks.is_empty() {
        let median = quartiles(&clocks).1;
        let slow = clocks.iter().filter(|mhz| **mhz < SLOW * median).count();
        if slow > 0 {
            warn(
                "frequency",
                format!(
                    "{slow} of {} blocks ended at a clock under 90 % of the median of {median:.0} MHz",
                    clocks.len()
                ),
            );
        }
    }
    let throttled: u64 = blocks.iter().filter_map(|c| c.throttled).sum();
    if throttled > 0 {
        warn(
            "throttled",
            format!("the processor slowed itself down for its heat {throttled} times"),
        );
    }
    let gpus: Vec<_> = blocks.iter().filter_map(|c| c.gpu).collect();
    let count = |is: fn(&GpuReading) -> bool| gpus.iter().filter(|gpu| is(gpu)).count();
    for (slowed, why) in [
        (count(|gpu| gpu.is_hot), "heat"),
        (count(|gpu| gpu.is_capped), "power limit"),
    ] {
        if slowed > 0 {
            warn(
                "gpu_throttled",
                format!(
                    "the GPU slowed itself down for its {why} at the end of {slowed} of {} blocks",
                    gpus.len()
                ),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(blocks: &[Conditions]) -> Vec<String> {
        disturbances(blocks).into_iter().map(|w| w.what).collect()
    }

    #[test]
    fn a_quiet_machine_and_a_silent_one_are_not_warned_of() {
        let quiet = Conditions {
            steal: Some(0.001),
            stall: Some(0.02),
            load: Some(1.0),
            megahertz: Some(3000.0),
            throttled: Some(0),
            gpu: Some(GpuReading::default()),
        };
        assert!(names(&vec![quiet; 20]).is_empty());
        assert!(names(&vec![Conditions::default(); 20]).is_empty());
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn every_disturbance_has_its_warning() {
        let mut blocks = vec![
            Conditions {
                steal: Some(0.2),
                stall: Some(0.5),
                load: Some(2.0),
                megahertz: Some(3000.0),
                throttled: Some(0),
                gpu: None,
            };
            20
        ];
        blocks[7].megahertz = Some(1200.0);
        blocks[8].throttled = Some(3);
        assert_eq!(
            names(&blocks),
            ["steal", "pressure", "load", "frequency", "throttled"]
        );
        for (i, is_hot) in [(3, true), (4, true), (5, false)] {
            blocks[i].gpu = Some(GpuReading {
                is_hot,
                is_capped: !is_hot,
                ..GpuReading::default()
            });
        }
        let of_gpu = disturbances(&blocks)[5..].to_vec();
        assert!(of_gpu[0].detail.contains("heat") && of_gpu[0].detail.contains("2 of 3"));
        assert!(of_gpu[1].detail.contains("power limit") && of_gpu[1].detail.contains("1 of 3"));
        let said = disturbances(&blocks);
        assert!(said[0].detail.contains("20 %") && said[3].detail.contains("1 of 20"));
    }
}
