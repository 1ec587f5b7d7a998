//! Where a worker measures: the class of hardware that its figures belong to, and what it was bound to, read back.
use crate::device::Device;
use crate::trial::Place;

/// Of this process, on this machine.
pub fn place(device: &Device) -> Place {
    let status = read("/proc/self/status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches(':').trim().to_owned())
    };
    let processor = processor(&read("/proc/cpuinfo"));
    Place {
        node: read("/proc/sys/kernel/hostname").trim().to_owned(),
        platform: match device {
            Device::Host => processor,
            Device::Gpu(gpu) => format!("{}; {processor}", gpu.about()),
        },
        cpus: field("Cpus_allowed_list"),
        memory_nodes: field("Mems_allowed_list"),
    }
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// "AMD EPYC 7763, 128 processors": those of the machine, whatever the worker may use of them.
fn processor(cpuinfo: &str) -> String {
    let values = |name: &'static str| {
        let lines = cpuinfo.lines().filter(move |line| line.starts_with(name));
        lines.filter_map(|line| line.split_once(':').map(|(_, value)| value.trim()))
    };
    let model = values("model name")
        .next()
        .unwrap_or(std::env::consts::ARCH);
    format!("{model}, {} processors", values("processor").count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_of_hardware_is_its_model_and_size() {
        let text = "processor\t: 0\nmodel name\t: A B @ 2 GHz\ncpu MHz\t: 1\n\nprocessor\t: 1\nmodel name\t: A B @ 2 GHz\n";
        assert_eq!(processor(text), "A B @ 2 GHz, 2 processors");
        let here = place(&Device::Host);
        assert!(
            here.platform.ends_with("processors") && here.cpus.is_some(),
            "{here:?}"
        );
    }
}
