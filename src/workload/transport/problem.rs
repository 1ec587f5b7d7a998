//! The plan's `problem:` mapping: sizes, beam and medium, or a phase space from a file (WORKLOADS §3a).
use super::beam::{Beam, Grid};
use super::physics::{Law, Stopping};
use crate::value::Value;
use crate::workload::Problem;
use crate::workload::files;
use std::path::Path;

/// Keys that `problem:` may have beside preset and seed, with what they are.
pub(super) const KEYS: &[&str] = &[
    "nx",
    "nz",
    "ntheta",
    "ne",
    "steps",
    "step",
    "energy",
    "spread",
    "half_width",
    "depth",
    "half_angle",
    "lowest",
    "highest",
    "cut",      // numbers
    "stopping", // bragg_kleeman, bethe
    "psi0",     // .npy
];

pub(super) const PRESETS: &[&str] = &["tiny", "laptop", "paper"];

/// Where a problem names none.
const DEFAULT_PRESET: &str = "laptop";

/// x, z, angles, energies, and steps.
fn size(preset: &str) -> Option<([usize; 4], usize)> {
    match preset {
        "tiny" => Some(([16, 32, 24, 60], 5)),
        "laptop" => Some(([25, 25, 36, 120], 10)),
        "paper" => Some(([40, 40, 72, 200], 50)),
        _ => None,
    }
}

/// Every preset in keys of the problem, the one first that is meant where a problem names none.
pub(super) fn sizes() -> Vec<(String, Vec<(String, Value)>)> {
    let mut names = PRESETS.to_vec();
    names.sort_by_key(|name| *name != DEFAULT_PRESET);
    let keys = |name: &str| {
        let ([nx, nz, angles, energies], steps) = size(name)?;
        let counts = [
            ("nx", nx),
            ("nz", nz),
            ("ntheta", angles),
            ("ne", energies),
            ("steps", steps),
        ];
        let counts = counts.map(|(key, n)| (key.to_owned(), Value::Int(n as i64)));
        Some((name.to_owned(), counts.to_vec()))
    };
    names.into_iter().filter_map(keys).collect()
}

/// # Errors
/// What is wrong with the problem, by key.
pub(super) fn beam(problem: &Problem) -> Result<Beam, String> {
    let written = Written(problem);
    written.check_names()?;
    let preset = written.text("preset")?.unwrap_or(DEFAULT_PRESET);
    let ([nx, nz, angles, energies], steps) = size(preset).ok_or_else(|| {
        format!(
            "transport has no preset `{preset}`; it has {}",
            PRESETS.join(", ")
        )
    })?;
    // The same everywhere: without noise there is nothing to draw.
    written.whole("seed")?;
    let mut beam = Beam {
        grid: Grid {
            nx: written.count("nx", nx, 2, 4096)?,
            nz: written.count("nz", nz, 2, 4096)?,
            angles: written.count("ntheta", angles, 2, 1024)?,
            energies: written.count("ne", energies, 2, 4096)?,
        },
        half_width: written.positive("half_width", 20.0)?,
        depth: written.positive("depth", 40.0)?,
        half_angle: written.positive("half_angle", 36.0)?.to_radians(),
        lowest: written.positive("lowest", 1.0)?,
        highest: written.positive("highest", 66.0)?,
        cut: written.positive("cut", 2.0)?,
        energy: written.positive("energy", 60.0)?,
        spread: written.positive("spread", 2.0)?,
        step: written.positive("step", 0.8)?,
        steps: written.count("steps", steps, 1, 100_000)?,
        law: match written.text("stopping")? {
            None | Some("bragg_kleeman") => Law::BraggKleeman,
            Some("bethe") => Law::Bethe,
            Some(other) => {
                return Err(format!(
                    "problem.stopping is bragg_kleeman or bethe, not `{other}`"
                ));
            }
        },
        external: None,
    };
    check(&beam)?;
    if let Some(file) = written.text("psi0")? {
        beam.external = Some(phase_space(file, &beam.grid)?);
    }
    Ok(beam)
}

fn check(beam: &Beam) -> Result<(), String> {
    if beam.highest <= beam.lowest || beam.lowest < 0.6 {
        return Err(format!(
            "energies go from lowest={} to highest={}; they must increase, from at least 0.6 MeV on",
            beam.lowest, beam.highest
        ));
    }
    let Grid { energies, .. } = beam.grid;
    if beam.energy < beam.energy_of(0) || beam.energy > beam.energy_of(energies - 1) {
        return Err(format!(
            "energy={} is not between the first and the last bin, {:.3} and {:.3} MeV",
            beam.energy,
            beam.energy_of(0),
            beam.energy_of(energies - 1)
        ));
    }
    // Streaming goes forwards only, and a shift longer than a few cells has no source in any medium.
    if beam.half_angle > 85_f64.to_radians() {
        return Err(
            "half_angle must be at most 85°: protons that go backwards are not transported".into(),
        );
    }
    if beam.step > 4.0 * beam.dz().min(beam.dx()) {
        return Err(format!(
            "step={} mm crosses more than four cells of {:.3} × {:.3} mm",
            beam.step,
            beam.dx(),
            beam.dz()
        ));
    }
    if beam.grid.cells() > 1 << 31 {
        return Err(format!("{} cells are too many", beam.grid.cells()));
    }
    // Two energies that end between the same bins would be one sum that no order of passes has: a slowing-down faster than any law's.
    let stopping = Stopping::new(beam.law, beam.highest);
    let after = |e: usize| stopping.after(beam.energy_of(e), beam.step);
    let width = beam.energy_width();
    let merges = |e: &usize| after(*e) > 0.0 && after(*e + 1) - after(*e) < width * (1.0 - 1e-9);
    if (0..energies - 1).any(|e| merges(&e)) {
        return Err(
            "with this step two energies end in the same bin; make ne or step smaller".into(),
        );
    }
    Ok(())
}

fn phase_space(file: &str, grid: &Grid) -> Result<Vec<f32>, String> {
    let array = files::read_array(Path::new(file), None)?;
    let wanted = [grid.energies, grid.angles, grid.nz, grid.nx];
    if array.shape != wanted {
        return Err(format!(
            "{file}: wanted [ne, ntheta, nz, nx] = {wanted:?}, found {:?}",
            array.shape
        ));
    }
    let values = array.to_f64();
    if let Some(wrong) = values.iter().find(|v| !v.is_finite() || **v < 0.0) {
        return Err(format!("{file}: {wrong} is no weight"));
    }
    if values.iter().sum::<f64>() == 0.0 {
        return Err(format!("{file}: there is no weight in it"));
    }
    Ok(values.into_iter().map(|v| v as f32).collect())
}

/// The mapping as it is written in the plan.
struct Written<'a>(&'a Problem);

impl Written<'_> {
    fn check_names(&self) -> Result<(), String> {
        let known = |name: &str| name == "preset" || name == "seed" || KEYS.contains(&name);
        match self.0.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(format!(
                "transport's problem has no `{name}`; it has preset, seed, {}",
                KEYS.join(", ")
            )),
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value)
    }

    fn text(&self, key: &str) -> Result<Option<&str>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(format!("problem.{key} is a name or a file, not `{other}`")),
        }
    }

    fn positive(&self, key: &str, default: f64) -> Result<f64, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) if *v > 0 => Ok(*v as f64),
            Some(Value::Float(v)) if v.is_finite() && *v > 0.0 => Ok(*v),
            Some(other) => Err(format!("problem.{key} is a number above 0, not `{other}`")),
        }
    }

    fn count(&self, key: &str, default: usize, least: usize, most: usize) -> Result<usize, String> {
        match self.get(key) {
            None => Ok(default),
            Some(Value::Int(v)) if *v >= least as i64 && *v <= most as i64 => Ok(*v as usize),
            Some(other) => Err(format!(
                "problem.{key} is a whole number from {least} to {most}, not `{other}`"
            )),
        }
    }

    fn whole(&self, key: &str) -> Result<(), String> {
        match self.get(key) {
            None | Some(Value::Int(_)) => Ok(()),
            Some(other) => Err(format!("problem.{key} is a whole number, not `{other}`")),
        }
    }
}
