//! `devices`: where variants can execute on this machine.
use super::Failure;
use super::args::Common;
use super::terminal::{plain, say};
use std::process::ExitCode;

pub(super) fn devices(common: &Common) -> Result<ExitCode, Failure> {
    let all = crate::device::list();
    if common.json {
        let row =
            |(name, what): &(String, String)| serde_json::json!({ "name": name, "about": what });
        let rows: Vec<_> = all.iter().map(row).collect();
        return say(&serde_json::Value::from(rows).to_string());
    }
    let lines: Vec<String> = all
        .into_iter()
        .map(|(name, what)| format!("{name:<8} {what}"))
        .collect();
    say(&plain(&lines.join("\n")))
}
