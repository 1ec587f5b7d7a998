//! Remapping on a GPU.
use super::remapper::Remapper;
use super::scene::Scene;
use super::settings::Settings;
use crate::device::Gpu;
use crate::trial::Ending;
use crate::workload::written::unsupported;
use std::sync::Arc;

pub(super) fn compile(_gpu: &dyn Gpu, _scene: &Scene, _settings: &Settings) {}

pub(super) fn prepare(
    _gpu: &Arc<dyn Gpu>,
    _scene: &Arc<Scene>,
    _settings: &Settings,
    _slots: usize,
) -> Result<Box<dyn Remapper>, Ending> {
    Err(unsupported("no kernel yet"))
}
