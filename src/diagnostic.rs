//! A message to the author of a plan: what is wrong, where, what to do. Rendered by `cli`, never here.

/// One finding about a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    /// What is wrong: "unknown parameter `tile_nz`".
    pub message: String,
    /// Where: byte range in the plan file, or the `--set` option that said it.
    pub origin: Origin,
    /// What to do: "the workload pstm has tile_nx, tile_ny (did you mean tile_ny?)".
    pub help: Option<String>,
}

/// Where a value of the plan came from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Byte range in the plan's text; `0..0` where only the whole file can be named.
    File { start: usize, end: usize },
    /// The text of the `--set` option, or of another command-line argument.
    Option(String),
}
