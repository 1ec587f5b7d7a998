//! Progress on stderr, and only on a terminal: phase, variant, blocks, the interval at the last look, time left; of a search the
//! incumbent, what was tried and what came to nothing.
use super::args::Common;
use super::terminal::{complain, is_interactive, plain};
use crate::campaign::{Event, Observer};
use crate::stats::Comparison;
use crate::trial::{Ending, Purpose};
use crate::worker::Voice;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Arc;

pub(super) struct Progress {
    bar: ProgressBar,
    phases: usize,
    is_verbose: bool,
    phase: String,
    /// Variants of the phase that are known when it starts, how many were checked, and how many of these cannot run.
    variants: usize,
    checked: usize,
    failed: usize,
    /// How a search stands; empty outside of one.
    standing: String,
    incumbent: String,
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
            variants: 0,
            checked: 0,
            failed: 0,
            standing: String::new(),
            incumbent: String::new(),
        }
    }

    /// How a cluster speaks: it waits, something was submitted again.
    pub(super) fn voice(&self, common: &Common) -> Voice {
        let (bar, is_quiet) = (self.bar.clone(), common.quiet);
        Voice(Arc::new(move |text| match bar.is_hidden() {
            true if is_quiet => {}
            true => complain(&format!("note: {text}")),
            false => bar.println(plain(&format!("note: {text}"))),
        }))
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

    fn at(&self, done: u64, planned: u64) {
        self.bar.set_length(planned);
        self.bar.set_position(done);
    }

    fn check(&mut self, variant: &str) {
        let variant = plain(variant);
        if !self.standing.is_empty() {
            let standing = &self.standing;
            self.bar.set_message(format!("{standing}; now {variant}"));
            return;
        }
        // The first is the reference.
        self.at(self.checked as u64, self.variants as u64 + 1);
        self.checked += 1;
        let failed = counted(self.failed, "invalid");
        self.bar.set_message(format!("checking {variant}{failed}"));
    }

    /// A line for each new incumbent, where lines are wanted.
    fn follow(&mut self, incumbent: Option<(&str, &Comparison)>, done: usize) {
        let Some((name, comparison)) = incumbent.filter(|(_, c)| c.speedup > 1.0) else {
            return;
        };
        if self.is_verbose && self.incumbent != name {
            self.incumbent = name.to_owned();
            let best = with_speedup(name, comparison);
            self.line(&format!("  {}: {best} after {done}", self.phase));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// "1.234× [1.200, 1.260]"; without an interval where the blocks are too few for one.
fn speedup(c: &Comparison) -> String {
    let interval = c
        .interval
        .map_or_else(String::new, |(l, u)| format!(" [{l:.3}, {u:.3}]"));
    format!("{:.3}×{interval}", c.speedup)
}

fn with_speedup(name: &str, c: &Comparison) -> String {
    format!("{} {}", plain(name), speedup(c))
}

/// ", 3 invalid", or nothing.
fn counted(n: usize, what: &str) -> String {
    match n {
        0 => String::new(),
        n => format!(", {n} {what}"),
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
                case,
                phase,
                index,
                variants,
            } => {
                let case = if case.is_empty() {
                    String::new()
                } else {
                    format!("{case}: ")
                };
                self.phase = plain(&format!("{case}{}", phase.name));
                (self.variants, self.checked, self.failed) = (variants.len(), 0, 0);
                self.standing.clear();
                self.incumbent.clear();
                self.bar
                    .set_prefix(format!("[{}/{}] {}", index + 1, self.phases, self.phase));
                self.bar.set_position(0);
                self.bar.set_message("");
            }
            Event::Checking { variant, .. } => self.check(variant),
            Event::VariantEnded {
                variant, ending, ..
            } => {
                self.failed += 1;
                let word = match ending {
                    Ending::Unsupported { .. } => "·",
                    _ => "✗",
                };
                self.line(&plain(&format!(
                    "  {word} {variant}: {}",
                    ending.sentence()
                )));
            }
            Event::Searched {
                done,
                planned,
                invalid,
                incumbent,
                remaining,
                ..
            } => {
                self.at(*done as u64, *planned as u64);
                // The name comes last: a narrow terminal cuts the line there.
                let (figure, name) = match incumbent {
                    Some((name, c)) if c.speedup > 1.0 => {
                        (speedup(c), format!(": {}", plain(name)))
                    }
                    _ => ("reference best".to_owned(), String::new()),
                };
                let invalid = counted(*invalid, "invalid");
                self.standing = format!("{figure}{invalid}, {remaining} left{name}");
                self.bar.set_message(self.standing.clone());
                self.follow(*incumbent, *done);
            }
            // Of a search, what it found says more than how it was measured.
            Event::BlockFinished {
                purpose: Purpose::Race,
                ..
            } if !self.standing.is_empty() => {}
            Event::BlockFinished {
                purpose,
                done,
                planned,
                live,
                remaining,
                best,
                ..
            } => {
                self.standing.clear();
                self.at(u64::from(*done), u64::from(*planned));
                let word = match purpose {
                    Purpose::Race => "race",
                    Purpose::Screen => "comparing",
                    Purpose::Confirm => "confirming",
                    Purpose::Calibrate => "side by side",
                };
                let best = best.map_or_else(String::new, |(name, c)| {
                    format!(", {}", with_speedup(name, c))
                });
                let failed = counted(self.failed, "invalid");
                self.bar.set_message(format!(
                    "{word} {live}{best}{failed}, at most {remaining} left"
                ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Nanoseconds;
    use clap::Parser;

    /// The text that a bar would show.
    fn shown(progress: &mut Progress, event: &Event<'_>) -> String {
        progress.event(event);
        progress.bar.message()
    }

    fn progress() -> Progress {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            common: Common,
        }
        Progress::new(&Only::parse_from(["phasetune"]).common)
    }

    fn searched<'a>(done: usize, invalid: usize, c: Option<&'a Comparison>) -> Event<'a> {
        Event::Searched {
            phase: "search",
            done,
            planned: 60,
            invalid,
            incumbent: c.map(|c| ("tile=64, threads=2", c)),
            elapsed: Nanoseconds(1e9),
            remaining: Nanoseconds(130e9),
        }
    }

    #[test]
    fn a_search_shows_its_incumbent_and_what_is_left() {
        let mut progress = progress();
        let found = |speedup: f64, interval| Comparison {
            speedup,
            interval,
            blocks: 3,
            ..Comparison::default()
        };
        assert_eq!(
            shown(&mut progress, &searched(1, 0, Some(&found(0.9, None)))),
            "reference best, 2m10s left"
        );
        assert_eq!(
            shown(&mut progress, &searched(12, 3, Some(&found(1.2345, None)))),
            "1.234×, 3 invalid, 2m10s left: tile=64, threads=2"
        );
        assert_eq!(
            (progress.bar.position(), progress.bar.length()),
            (12, Some(60))
        );
        let next = Event::Checking {
            phase: "search",
            variant: "tile=8\u{1b}[2J",
        };
        assert_eq!(
            shown(&mut progress, &next),
            "1.234×, 3 invalid, 2m10s left: tile=64, threads=2; now tile=8\u{fffd}[2J"
        );
        let interval = Some((1.2, 1.27));
        assert_eq!(
            shown(
                &mut progress,
                &searched(13, 3, Some(&found(1.2345, interval)))
            ),
            "1.234× [1.200, 1.270], 3 invalid, 2m10s left: tile=64, threads=2"
        );
    }
}
