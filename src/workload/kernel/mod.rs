//! The user's own GPU kernel as a workload: its source is completed with the configuration's values, its arguments are filled,
//! and each invocation launches it once.
#![allow(clippy::disallowed_methods, reason = "reads the kernel's sources")]
mod arguments;
#[cfg(test)]
mod tests;

use super::files::Element;
use super::template::Names;
use super::{Executable, Workload};
use crate::array::{Array, Values};
use crate::device::{
    Action, Buffer, Device, Gpu, Kernel, Language, Passed, Recording, Source, Step,
};
use crate::plan::{ArgumentKind, KernelChoice, KernelCode};
use crate::space::{Configuration, Restriction};
use crate::trial::{Ending, Invocation};
use crate::value::{Bytes, Nanoseconds, Value};
use arguments::{Filled, fill, poison};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Loads a kernel's sources.
///
/// # Errors
/// A source that cannot be read.
pub(super) fn load(choice: &KernelChoice) -> Result<Box<dyn Workload>, String> {
    let sources = |code: &KernelCode| -> Result<Sources, String> {
        let read = |file: &String| {
            let path = Path::new(&choice.folder).join(file);
            std::fs::read_to_string(&path)
                .map_err(|e| format!("the kernel {} cannot be read: {e}", path.display()))
        };
        Ok(Sources {
            code: code.clone(),
            wgsl: code.wgsl.as_ref().map(read).transpose()?,
            cuda: code.cuda.as_ref().map(read).transpose()?,
        })
    };
    Ok(Box::new(KernelWorkload {
        sources: sources(&choice.code)?,
        reference: choice.reference.as_ref().map(sources).transpose()?,
        choice: choice.clone(),
        made: Mutex::default(),
    }))
}

/// A kernel with its files read.
struct Sources {
    code: KernelCode,
    wgsl: Option<String>,
    cuda: Option<String>,
}

struct KernelWorkload {
    choice: KernelChoice,
    sources: Sources,
    reference: Option<Sources>,
    made: Mutex<Made>,
}

/// Contents that were made, by argument and shape.
type Made = BTreeMap<(usize, Vec<usize>), Arc<Filled>>;

impl Workload for KernelWorkload {
    fn prepare(
        &self,
        device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        Ok(Box::new(self.ready(
            device,
            configuration,
            &self.sources,
        )?))
    }

    fn compile(&self, device: &Device, configuration: &Configuration) {
        if let Device::Gpu(gpu) = device {
            let scope = Scope::new(&self.choice, configuration);
            let _ = self.kernel(&**gpu, &scope, configuration, &self.sources);
        }
    }

    fn exact(&self, device: &Device, baseline: &Configuration) -> Result<Option<Array>, Ending> {
        let Some(reference) = &self.reference else {
            return Ok(None);
        };
        let mut ready = self.ready(device, baseline, reference)?;
        ready.poison();
        ready.run()?;
        ready.output()
    }
}

impl KernelWorkload {
    /// Compiles one of the kernels with a configuration's values.
    fn kernel(
        &self,
        gpu: &dyn Gpu,
        scope: &Scope,
        configuration: &Configuration,
        sources: &Sources,
    ) -> Result<Kernel, Ending> {
        let unsupported = |reason: &str| Ending::Unsupported {
            reason: reason.into(),
        };
        let (file, text) = match gpu.language() {
            Language::Wgsl => (&sources.code.wgsl, &sources.wgsl),
            Language::Cuda => (&sources.code.cuda, &sources.cuda),
        };
        let (Some(file), Some(text)) = (file, text) else {
            return Err(unsupported(match gpu.language() {
                Language::Wgsl => "the kernel has no `wgsl:` source",
                Language::Cuda => "the kernel has no `cuda:` source",
            }));
        };
        // The reference may leave what is tuned aside.
        if std::ptr::eq(sources, &self.sources) {
            scope
                .check_use(text, &sources.code, &self.choice, gpu.language())
                .map_err(failed)?;
        }
        // CUDA has macros for it, and braces of its own that look alike.
        let text = match gpu.language() {
            Language::Cuda => text.clone(),
            Language::Wgsl => {
                let names = Names {
                    configuration: &scope.values,
                    scratch: Path::new(""),
                };
                names.render(text, file).map_err(failed)?
            }
        };
        let block = match &sources.code.block[..] {
            [] => None,
            written => Some(scope.axes(written, "block")?),
        };
        let shared_memory = match &sources.code.shared_memory {
            None => 0,
            Some(written) => u32::try_from(scope.whole(written).map_err(failed)?)
                .map_err(|_| failed(format!("shared_memory comes to no size (`{written}`)")))?,
        };
        gpu.compile(&Source {
            name: file,
            text: &text,
            entry: &sources.code.entry,
            constants: match gpu.language() {
                Language::Wgsl => scope.values.values(),
                // Scalars are arguments there.
                Language::Cuda => configuration.values(),
            },
            block,
            shared_memory,
            options: &sources.code.options,
        })
    }

    fn ready(
        &self,
        device: &Device,
        configuration: &Configuration,
        sources: &Sources,
    ) -> Result<Ready, Ending> {
        let Device::Gpu(gpu) = device else {
            return Err(Ending::Unsupported {
                reason: "a kernel needs a GPU: device: wgpu (any GPU, or one in software) or cuda"
                    .into(),
            });
        };
        let scope = Scope::new(&self.choice, configuration);
        let kernel = self.kernel(&**gpu, &scope, configuration, sources)?;
        let build_time = kernel.compile_time();
        let attributes = gpu.attributes(&kernel);
        let (mut buffers, mut arguments) = (vec![], vec![]);
        for (i, argument) in self.choice.arguments.iter().enumerate() {
            let element = Element::of_plan(&argument.element)
                .ok_or_else(|| failed("an unknown element type"))?;
            match &argument.kind {
                ArgumentKind::Scalar(value) => {
                    let mut bytes = vec![];
                    element.push(number(value).map_err(failed)?, &mut bytes);
                    arguments.push(Passed::Scalar(bytes));
                }
                ArgumentKind::Array {
                    shape, is_constant, ..
                } => {
                    let shape = scope.shape(shape, &argument.name)?;
                    // The device's limits come before the host's memory.
                    let size = element.size(&shape).map_err(failed)?;
                    let buffer = gpu.allocate(&argument.name, size as u64)?;
                    let filled = self.filled(i, element, shape).map_err(failed)?;
                    gpu.upload(&buffer, &filled.bytes)?;
                    arguments.push(match is_constant {
                        true => Passed::Constant(argument.name.clone(), buffer.clone()),
                        false => Passed::Buffer(buffer.clone()),
                    });
                    buffers.push((buffer, filled));
                }
            }
        }
        let step = Step {
            stage: None,
            action: Action::Launch {
                kernel,
                grid: scope.axes(&sources.code.grid, "grid")?,
                arguments,
            },
        };
        let recording = gpu.record(&[step])?;
        Ok(Ready {
            peak: gpu.take_peak(),
            gpu: gpu.clone(),
            buffers,
            recording,
            build_time,
            attributes,
        })
    }

    /// An argument's first content, which is made once for each shape.
    fn filled(&self, i: usize, element: Element, shape: Vec<usize>) -> Result<Arc<Filled>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filled) = made.get(&(i, shape.clone())) {
            return Ok(filled.clone());
        }
        let filled = fill(
            &self.choice.arguments[i],
            element,
            shape.clone(),
            &self.choice.folder,
        )?;
        let filled = Arc::new(filled);
        made.insert((i, shape), filled.clone());
        Ok(filled)
    }
}

/// The values that a configuration gives to the names in expressions and sources.
struct Scope {
    values: Configuration,
    names: Vec<crate::space::Parameter>,
}

impl Scope {
    fn new(choice: &KernelChoice, configuration: &Configuration) -> Scope {
        let parameters = configuration.values().iter();
        let parameters: Vec<_> = parameters
            .map(|(name, value)| crate::space::Parameter {
                name: name.clone(),
                values: vec![value.clone()],
            })
            .collect();
        let names = choice.names(&parameters);
        let values = names.iter().map(|p| (p.name.clone(), p.values[0].clone()));
        Scope {
            values: Configuration::new(values.collect()),
            names,
        }
    }

    /// A parameter that nothing reads would be tuned for nothing, and so would a scalar of another name than the shader's.
    fn check_use(
        &self,
        text: &str,
        code: &KernelCode,
        choice: &KernelChoice,
        language: Language,
    ) -> Result<(), String> {
        let shapes = choice
            .arguments
            .iter()
            .flat_map(|argument| match &argument.kind {
                ArgumentKind::Array { shape, .. } => &shape[..],
                ArgumentKind::Scalar(_) => &[],
            });
        let geometry = code
            .grid
            .iter()
            .chain(&code.block)
            .chain(&code.shared_memory);
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let words: BTreeSet<&str> = (std::iter::once(text))
            .chain(geometry.chain(shapes).map(String::as_str))
            .flat_map(|written| written.split(move |c| !is_part(c)))
            .collect();
        for (name, _) in self.values.values() {
            let is_scalar = choice
                .arguments
                .iter()
                .any(|argument| argument.name == *name);
            // A scalar of CUDA has its place among the arguments, not a name.
            let is_used = words.contains(name.as_str()) || is_scalar && language == Language::Cuda;
            if !is_used {
                let what = if is_scalar { "scalar" } else { "parameter" };
                return Err(format!(
                    "nothing uses the {what} `{name}`: it stands neither in the source nor in grid, block or a shape"
                ));
            }
        }
        Ok(())
    }

    fn whole(&self, written: &str) -> Result<i64, String> {
        let values: Vec<Value> = self.names.iter().map(|p| p.values[0].clone()).collect();
        Restriction::parse(written, &self.names)
            .map_err(|e| format!("`{written}`: {}", e.message))?
            .whole(&values)
    }

    /// x, y, z; the axes that are not written are 1.
    fn axes(&self, written: &[String], what: &str) -> Result<[u32; 3], Ending> {
        let mut axes = [1; 3];
        for (axis, text) in axes.iter_mut().zip(written) {
            let n = self.whole(text).map_err(failed)?;
            *axis = u32::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                failed(format!("the {what} comes to {n} along an axis (`{text}`)"))
            })?;
        }
        Ok(axes)
    }

    fn shape(&self, written: &[String], name: &str) -> Result<Vec<usize>, Ending> {
        let axis = |text: &String| {
            let n = self.whole(text).map_err(failed)?;
            usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                failed(format!(
                    "the shape of `{name}` comes to {n} along an axis (`{text}`)"
                ))
            })
        };
        written.iter().map(axis).collect()
    }
}

struct Ready {
    gpu: Arc<dyn Gpu>,
    buffers: Vec<(Buffer, Arc<Filled>)>,
    recording: Box<dyn Recording>,
    peak: Bytes,
    /// Of the kernel alone, without the arrays.
    build_time: Nanoseconds,
    attributes: Vec<(String, f64)>,
}

impl Executable for Ready {
    fn run(&mut self) -> Result<Invocation, Ending> {
        Ok(Invocation {
            timing: self.recording.run()?,
            ..Invocation::default()
        })
    }

    /// Inputs too: a kernel may have written to them.
    fn poison(&mut self) {
        for (buffer, filled) in &self.buffers {
            let pattern;
            let bytes = match filled.is_output && !filled.is_given {
                true => {
                    pattern = poison(filled.bytes.len());
                    &pattern
                }
                false => &filled.bytes,
            };
            // What is wrong with the device shows at the run that follows.
            let _ = self.gpu.upload(buffer, bytes);
        }
    }

    /// The outputs; of several, all values in one row.
    fn output(&mut self) -> Result<Option<Array>, Ending> {
        let mut found: Vec<(Vec<usize>, Vec<f64>)> = vec![];
        for (buffer, filled) in self.buffers.iter().filter(|(_, f)| f.is_output) {
            let bytes = self.gpu.download(buffer, filled.bytes.len() as u64)?;
            found.push((filled.shape.clone(), filled.element.values(&bytes).to_f64()));
        }
        let (shape, values) = match found.len() {
            0 => return Ok(None),
            1 => found.remove(0),
            _ => {
                let all: Vec<f64> = found.into_iter().flat_map(|(_, values)| values).collect();
                (vec![all.len()], all)
            }
        };
        Array::new(shape, Values::F64(values), false)
            .map(Some)
            .map_err(failed)
    }

    fn keeps_time(&self) -> bool {
        true
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        Some(self.build_time)
    }

    fn attributes(&self) -> Vec<(String, f64)> {
        self.attributes.clone()
    }

    fn device_peak(&self) -> Bytes {
        self.peak
    }
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Bool(b) => Ok(f64::from(u8::from(*b))),
        Value::Int(i) => Ok(*i as f64),
        Value::Float(f) => Ok(*f),
        Value::Text(text) => Err(format!("a scalar is a number, not `{text}`")),
    }
}

fn failed(reason: impl Into<String>) -> Ending {
    Ending::Failed {
        reason: reason.into(),
    }
}
