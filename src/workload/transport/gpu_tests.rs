//! The GPU's kernels against the definition in double precision: WGSL on the first adapter of this machine (CI: Mesa's lavapipe),
//! CUDA emulated, and on a GPU where there is one.
use super::tests::{exact, metric, rel_l2, run_on, transport};
use super::*;
use crate::device;
use crate::device::emulated::Emulated;
use crate::plan::DeviceChoice;

/// The devices of this machine, by language.
fn devices() -> Vec<(&'static str, Device)> {
    let mut all = vec![];
    match device::open(DeviceChoice::Wgpu(0)) {
        Ok(gpu) => all.push(("wgsl", gpu)),
        Err(why) => assert!(std::env::var_os("PHASETUNE_NEEDS_GPU").is_none(), "{why}"),
    }
    all.extend(Emulated::open().map(|gpu| ("emulated cuda", Device::Gpu(gpu))));
    all.extend(
        device::open(DeviceChoice::Cuda(0))
            .ok()
            .map(|gpu| ("cuda", gpu)),
    );
    all
}

/// Close to the definition, and nothing lost.
fn agree(device: &(&str, Device), workload: &Transport, wanted: &Array, form: &str) -> Array {
    let (name, device) = device;
    let (output, metrics) =
        run_on(device, workload, form, wanted).unwrap_or_else(|e| panic!("{name}: {form}: {e:?}"));
    let error = rel_l2(&output, wanted);
    assert!(error <= 1e-5, "{name}: {form}: {error}");
    for what in ["mass_error", "energy_error"] {
        let lost = metric(&metrics, what);
        assert!(lost <= 1e-6, "{name}: {form}: {what} {lost}");
    }
    output
}

#[test]
fn every_form_agrees_with_the_definition_and_conserves_on_gpus() {
    let workload = transport("preset=tiny steps=7 nz=12 ntheta=16 ne=40");
    let wanted = exact(&workload);
    for device in devices() {
        for form in [
            "streaming=gather energy=gather",
            "streaming=gather energy=scatter group_x=16 group_z=8",
            "streaming=scatter energy=gather group_x=8 group_z=1",
            "streaming=scatter energy=scatter sparse=planes",
            "streaming=gather energy=gather sparse=planes group_x=64 group_z=2",
            "fusion=stream_energy",
            "fusion=stream_energy sparse=planes group_x=16 group_z=4",
            "fusion=theta_stream energy=gather",
            "fusion=theta_stream energy=scatter sparse=planes group_x=8 group_z=8",
            "fusion=all",
            "fusion=all energy_block=1 group_x=8 group_z=4",
            "fusion=all energy_block=4 sparse=planes group_x=16 group_z=2",
            "fusion=all energy_block=64 group_x=16 group_z=4",
        ] {
            agree(&device, &workload, &wanted, form);
        }
    }
}

#[test]
fn a_gpu_finds_where_there_is_weight() {
    let workload = transport("preset=tiny steps=9 nz=12 ntheta=16 ne=40");
    let wanted = exact(&workload);
    for device in devices() {
        let windows = [
            "rows",
            "box cutoff=1e-9",
            "planes cutoff=1e-12",
            "box",
            "rows cutoff=1e-12",
        ];
        let mut turn = windows.iter().cycle();
        for form in [
            "streaming=gather energy=gather",
            "streaming=gather energy=scatter",
            "streaming=scatter energy=scatter group_x=16",
            "fusion=stream_energy",
            "fusion=theta_stream energy=gather group_x=8 group_z=4",
            "fusion=theta_stream energy=scatter",
            "fusion=all energy_block=4 group_x=16 group_z=2",
            "fusion=all energy_block=1",
        ] {
            for window in turn.by_ref().take(2) {
                let form = format!("{form} sparse={window}");
                agree(&device, &workload, &wanted, &form);
            }
        }
    }
}

#[test]
fn a_gpu_visits_fewer_cells_the_closer_its_window_is() {
    let workload = transport("preset=tiny steps=9 nz=12 ntheta=16 ne=40");
    for (name, device) in devices() {
        let cells = ["none", "planes", "rows", "box", "box cutoff=1e-9"].map(|window| {
            let form = super::tests::with(&format!("fusion=all sparse={window}"));
            let mut executable = workload.prepare(&device, &form).unwrap();
            executable.poison();
            executable.run().unwrap();
            let all = executable.attributes();
            all.iter()
                .find(|(name, _)| name == "cells_visited")
                .expect("it is counted")
                .1
        });
        assert!(cells.is_sorted_by(|a, b| a > b), "{name}: {cells:?}");
    }
}

#[test]
fn every_order_of_the_cells_and_every_storage_on_gpus() {
    let workload = transport("preset=tiny steps=7 nx=12 nz=12 ntheta=16 ne=40");
    let wanted = exact(&workload);
    for device in devices() {
        for order in ["energy_place_angle", "place_energy_angle"] {
            for form in [
                "energy=gather",
                "streaming=scatter sparse=box",
                "fusion=stream_energy sparse=planes",
                "fusion=theta_stream energy=gather",
                "fusion=all sparse=rows",
            ] {
                agree(
                    &device,
                    &workload,
                    &wanted,
                    &format!("layout={order} {form}"),
                );
            }
        }
        for (precision, most) in [
            ("f16_storage", 3e-3),
            ("f16_scaled", 1e-3),
            ("bf16_storage", 2e-2),
        ] {
            for form in [
                "energy=gather",
                "fusion=all sparse=box",
                "fusion=theta_stream energy=gather",
            ] {
                let form = format!("precision={precision} {form}");
                let (name, gpu) = &device;
                match run_on(gpu, &workload, &form, &wanted) {
                    Ok((output, metrics)) => {
                        let error = rel_l2(&output, &wanted);
                        let lost = metric(&metrics, "mass_error");
                        assert!((1e-7..most).contains(&error), "{name}: {form}: {error}");
                        assert!(lost < most, "{name}: {form}: {lost}");
                    }
                    Err(Ending::Unsupported { reason }) => {
                        let has_none = *name == "wgsl"
                            && (precision == "bf16_storage" || reason.contains("f16"));
                        assert!(has_none, "{name}: {form}: {reason}");
                    }
                    Err(other) => panic!("{name}: {form}: {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_beam_stops_on_gpus_as_in_the_definition() {
    // Until everything has stopped: the window closes, and what escapes is counted.
    let workload =
        transport("preset=tiny steps=30 nx=12 nz=12 ntheta=12 ne=24 energy=30 highest=36 depth=20");
    let wanted = exact(&workload);
    for device in devices() {
        for sparse in ["none", "planes", "box"] {
            for form in [
                "fusion=stream_energy",
                "energy=gather",
                "fusion=theta_stream",
                "fusion=all",
            ] {
                agree(
                    &device,
                    &workload,
                    &wanted,
                    &format!("{form} sparse={sparse}"),
                );
            }
        }
    }
}

#[test]
fn other_physics_is_the_same_on_gpus_and_processors() {
    let workload = transport("preset=tiny steps=5 nx=12 nz=12 ntheta=16 ne=40");
    let reference = exact(&workload);
    for physics in [
        "splitting=strang",
        "scattering=rossi",
        "step=first_order",
        "kernel=buckets_8",
        "grid=half_angles",
    ] {
        let host = run_on(
            &Device::Host,
            &workload,
            &format!("{physics} fusion=all"),
            &reference,
        );
        let wanted = host.unwrap().0;
        for device in devices() {
            for form in [
                "energy=gather",
                "energy=gather sparse=box",
                "fusion=stream_energy sparse=planes",
                "fusion=all sparse=rows",
            ] {
                agree(&device, &workload, &wanted, &format!("{physics} {form}"));
            }
        }
    }
}

#[test]
fn what_a_gpu_does_not_have_is_refused_with_the_reason() {
    let workload = transport("preset=tiny");
    for (name, device) in devices() {
        for (form, word) in [
            ("simd=avx2", "processor"),
            ("workers=2", "processor"),
            ("precision=f16_storage", "atomic"),
            ("cutoff=1e-12", "no-op"),
            ("energy_block=4", "fusion=all"),
            ("fusion=theta_stream streaming=scatter", "streaming=gather"),
            ("z_tile=8", "z_tile"),
            ("prefetch=next_plane", "prefetch"),
            ("parallel=pipes", "processes"),
            ("fusion=stream_energy energy=gather", "energy=gather"),
            ("fusion=stream_energy streaming=scatter", "streaming=gather"),
        ] {
            match workload.prepare(&device, &super::tests::with(form)) {
                Err(Ending::Unsupported { reason }) => {
                    assert!(reason.contains(word), "{name}: {form}: {reason}");
                }
                Err(other) => panic!("{name}: {form}: {other:?}"),
                Ok(_) => panic!("{name}: {form} is accepted"),
            }
        }
    }
}
