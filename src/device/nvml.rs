//! What NVIDIA's management library says of a GPU: energy, clocks, heat, and why it slows itself down. Without the library, or
//! where a GPU does not tell, there is nothing to say.
use crate::trial::GpuReading;
use nvml_wrapper::Nvml;
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};

#[derive(Debug)]
pub(super) struct Meter {
    nvml: Nvml,
    /// `00000000:17:00.0`; NVML counts devices in an order of its own.
    bus: String,
}

impl Meter {
    pub(super) fn open(bus: String) -> Option<Meter> {
        let nvml = Nvml::init().ok()?;
        nvml.device_by_pci_bus_id(bus.as_str()).ok()?;
        Some(Meter { nvml, bus })
    }

    pub(super) fn read(&self) -> Option<GpuReading> {
        let device = self.nvml.device_by_pci_bus_id(self.bus.as_str()).ok()?;
        let reasons = device
            .current_throttle_reasons()
            .unwrap_or(ThrottleReasons::empty());
        let any = |of: ThrottleReasons| reasons.intersects(of);
        Some(GpuReading {
            joules: (device.total_energy_consumption().ok()).map(|mj| mj as f64 / 1e3),
            watts: device.power_usage().ok().map(|mw| f64::from(mw) / 1e3),
            megahertz: device.clock_info(Clock::SM).ok().map(f64::from),
            celsius: (device.temperature(TemperatureSensor::Gpu).ok()).map(f64::from),
            utilization: (device.utilization_rates().ok()).map(|u| f64::from(u.gpu) / 100.0),
            is_hot: any(ThrottleReasons::SW_THERMAL_SLOWDOWN
                | ThrottleReasons::HW_THERMAL_SLOWDOWN
                | ThrottleReasons::HW_SLOWDOWN),
            is_capped: any(ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN),
        })
    }
}
