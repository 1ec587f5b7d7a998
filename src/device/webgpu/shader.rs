//! What a WGSL source says of itself before any driver sees it: its group, memory, bindings and constants, and what is wrong.
use super::{failed, over};
use crate::device::Source;
use crate::trial::Ending;
use crate::value::Value;
use wgpu::naga;

/// What a WGSL source says of itself once its constants have values.
pub(super) struct Shader {
    pub(super) group: [u32; 3],
    /// Bytes of workgroup memory.
    pub(super) memory: u64,
    pub(super) bindings: Vec<u32>,
    /// Of the pipeline-overridable constants that it has.
    pub(super) constants: Vec<(String, f64)>,
}

impl Shader {
    pub(super) fn read(source: &Source<'_>) -> Result<Shader, Ending> {
        let Source {
            name, text, entry, ..
        } = *source;
        let module = naga::front::wgsl::parse_str(text)
            .map_err(|e| failed(e.emit_to_string_with_path(text, name)))?;
        let info = validator()
            .validate(&module)
            .map_err(|e| failed(e.emit_to_string_with_path(text, name)))?;
        let entries: Vec<&str> = module
            .entry_points
            .iter()
            .map(|e| e.name.as_str())
            .collect();
        if !entries.contains(&entry) {
            return Err(failed(format!(
                "{name} has no entry point `{entry}`; it has {}",
                entries.join(", ")
            )));
        }
        let constants = constants(&module, source)?;
        let values = constants.iter().cloned().collect();
        let stage = naga::ShaderStage::Compute;
        let (module, info) = naga::back::pipeline_constants::process_overrides(
            &module,
            &info,
            Some((stage, entry)),
            &values,
        )
        .map_err(|e| unfit(name, &e))?;
        let index = module.entry_points.iter().position(|e| e.name == entry);
        let index =
            index.ok_or_else(|| failed(format!("{name}: `{entry}` is no compute shader")))?;
        let uses = info.get_entry_point(index);
        let mut layouter = naga::proc::Layouter::default();
        layouter
            .update(module.to_ctx())
            .map_err(|e| failed(format!("{name}: {e}")))?;
        let (mut memory, mut bindings) = (0, vec![]);
        for (handle, variable) in module.global_variables.iter() {
            if uses[handle].is_empty() {
                continue;
            }
            if variable.space == naga::AddressSpace::WorkGroup {
                memory += u64::from(layouter[variable.ty].size);
            }
            if let Some(binding) = &variable.binding {
                if binding.group != 0 {
                    return Err(failed(format!(
                        "{name}: `{}` is in @group({}); buffers are bound to @group(0)",
                        variable.name.as_deref().unwrap_or("?"),
                        binding.group
                    )));
                }
                bindings.push(binding.binding);
            }
        }
        bindings.sort_unstable();
        Ok(Shader {
            group: module.entry_points[index].workgroup_size,
            memory,
            bindings,
            constants,
        })
    }
}

/// A shader that its constants make invalid, with every reason.
fn unfit(name: &str, error: &naga::back::pipeline_constants::PipelineConstantError) -> Ending {
    let mut why = format!("{name}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        why.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    match why.contains("Workgroup size is out of range") {
        true => over(why),
        false => failed(why),
    }
}

fn validator() -> naga::valid::Validator {
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::all(),
    )
}

/// The constants that the shader lets be overridden, of those that the source comes with.
fn constants(module: &naga::Module, source: &Source<'_>) -> Result<Vec<(String, f64)>, Ending> {
    let mut found = vec![];
    for (_, constant) in module.overrides.iter() {
        let Some(name) = &constant.name else { continue };
        let Some((_, value)) = source.constants.iter().find(|(n, _)| n == name) else {
            continue;
        };
        let kind = match &module.types[constant.ty].inner {
            naga::TypeInner::Scalar(scalar) => scalar.kind,
            _ => continue,
        };
        let is_whole = matches!(kind, naga::ScalarKind::Sint | naga::ScalarKind::Uint);
        let wrong = |why: &str| {
            failed(format!(
                "{}: override `{name}` cannot be {value}: {why}",
                source.name
            ))
        };
        let number = match value {
            Value::Bool(b) => f64::from(u8::from(*b)),
            // Larger ones are no numbers of WGSL.
            Value::Int(i) => *i as f64,
            // wgpu would cut it silently.
            Value::Float(f) if is_whole && f.fract() != 0.0 => {
                return Err(wrong("it is a whole number"));
            }
            Value::Float(f) => *f,
            Value::Text(_) => return Err(wrong("it is a number; use {{ }} where text is meant")),
        };
        if kind == naga::ScalarKind::Uint && number < 0.0 {
            return Err(wrong("it has no sign"));
        }
        found.push((name.clone(), number));
    }
    Ok(found)
}
