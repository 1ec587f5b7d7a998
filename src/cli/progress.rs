//! Progress on stderr, and only on a terminal: phase, variant, blocks, the interval at the last look, time left.
use super::args::Common;
use super::terminal::{complain, is_interactive, plain};
use crate::campaign::{Event, Observer};
use crate::trial::{Ending, Purpose};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
    phases: usize,
    is_verbose: bool,
    phase: String,
}

impl Progress {
    pub(super) fn new(common: &Common) -> Progress {
        let is_shown = is_interactive() && !common.quiet;
        let bar = ProgressBar::new(1);
        bar.set_draw_target(if is_shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        if let Ok(style) =
            ProgressStyle::with_template("{prefix:.bold} {bar:24} {pos}/{len} {wide_msg}")
        {
            bar.set_style(style.progress_chars("█▌ "));
        }
        Progress {
            bar,
            phases: 0,
            is_verbose: common.verbose,
            phase: String::new(),
        }
    }

    fn line(&self, text: &str) {
        if self.bar.is_hidden() {
            if self.is_verbose {
                complain(text);
            }
        } else {
            self.bar.println(text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Progress {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::CampaignStarted {
                run_id,
                phases,
                replayed_blocks,
            } => {
                self.phases = *phases;
                if *replayed_blocks > 0 {
                    self.line(&format!(
                        "going on with run {run_id}: {replayed_blocks} blocks are done already"
                    ));
                }
            }
            Event::PhaseStarted {
                case, phase, index, ..
            } => {
                let case = if case.is_empty() {
                    String::new()
                } else {
                    format!("{case}: ")
                };
                self.phase = plain(&format!("{case}{}", phase.name));
                self.bar
                    .set_prefix(format!("[{}/{}] {}", index + 1, self.phases, self.phase));
                self.bar.set_position(0);
                self.bar.set_message("");
            }
            Event::Checking { variant, .. } => {
                self.bar.set_message(format!("checking {}", plain(variant)))
            }
            Event::VariantEnded {
                variant, ending, ..
            } => {
                let word = match ending {
                    Ending::Unsupported { .. } => "·",
                    _ => "✗",
                };
                self.line(&plain(&format!(
                    "  {word} {variant}: {}",
                    ending.sentence()
                )));
            }
            Event::BlockFinished {
                purpose,
                done,
                planned,
                live,
                remaining,
                best,
                ..
            } => {
                self.bar.set_length(u64::from(*planned));
                self.bar.set_position(u64::from(*done));
                let word = match purpose {
                    Purpose::Race => "race",
                    Purpose::Screen => "comparing",
                    Purpose::Confirm => "confirming",
                    Purpose::Calibrate => "side by side",
                };
                let best = best.map_or_else(String::new, |(name, c)| {
                    let speedup = c.speedup;
                    let interval = c
                        .interval
                        .map_or_else(String::new, |(l, u)| format!(" [{l:.3}, {u:.3}]"));
                    format!(", {} {speedup:.3}×{interval}", plain(name))
                });
                self.bar
                    .set_message(format!("{word} {live}{best}, at most {remaining} left"));
            }
            Event::Dropped { variants, .. } => {
                self.bar.set_message(format!("dropped {}", variants.len()))
            }
            Event::PhaseEnded { outcome, .. } => {
                let kept = match &outcome.kept_variant {
                    Some(name) => format!("keeps {name}"),
                    None => "keeps the reference".into(),
                };
                self.line(&plain(&format!(
                    "  {}: {kept} ({} blocks, {})",
                    self.phase, outcome.blocks, outcome.elapsed
                )));
            }
            _ => {}
        }
    }
}
