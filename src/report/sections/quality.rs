//! QC images: the output of a variant and its difference from the baseline's.
use crate::record::{Run, Trial};
use crate::report::plot::Drawing;
use crate::report::{Figure, Piece, file_name};

/// The checks of the first phase's reference are the baseline's pictures.
pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![];
    let mut alike: Vec<String> = vec![];
    for last_case in cases(run) {
        let Some(baseline) = run
            .trials
            .iter()
            .find(|t| t.case == last_case && t.id.0 == 0 && !t.pictures.is_empty())
        else {
            continue;
        };
        let mut shown: Vec<&Trial> = vec![];
        for trial in run
            .trials
            .iter()
            .filter(|t| t.case == last_case && !t.is_canary && !t.pictures.is_empty())
        {
            // A configuration that was checked before has the same pictures.
            if !shown
                .iter()
                .any(|s| s.pictures[0].file == trial.pictures[0].file)
            {
                shown.push(trial);
            }
        }
        let (changed, same): (Vec<&Trial>, Vec<&Trial>) = shown.into_iter().partition(|t| {
            t.pictures[0].file == baseline.pictures[0].file
                || largest_change(run, t, baseline) > SEEN_DB
        });
        alike.extend(same.iter().map(|t| format!("{} / {}", t.phase, t.name)));
        for trial in changed {
            for picture in &trial.pictures {
                let Some(twin) = baseline.pictures.iter().find(|p| p.title == picture.title) else {
                    continue;
                };
                let is_baseline = twin.file == picture.file;
                let stem = picture
                    .file
                    .rsplit('/')
                    .next()
                    .unwrap_or("")
                    .trim_end_matches(".npy");
                let name = if is_baseline {
                    "baseline".to_owned()
                } else {
                    format!("{} / {}", trial.phase, trial.name)
                };
                pieces.push(Piece::Figure {
                    figure: Figure {
                        file: format!(
                            "qc/{}/{}/{}",
                            file_name(&trial.phase),
                            file_name(&trial.name),
                            file_name(stem)
                        ),
                        drawing: Drawing::Picture {
                            picture: picture.clone(),
                            baseline: (!is_baseline).then(|| twin.clone()),
                        },
                    },
                    caption: format!("{name}: {}", picture.title),
                });
            }
        }
    }
    if !pieces.is_empty() {
        pieces.insert(0, Piece::Heading(2, "Quality control".into()));
        pieces.insert(1, Piece::Paragraph("Left the variant's output, right its difference from the baseline's on a scale of its own.".into()));
    }
    if !alike.is_empty() {
        pieces.push(Piece::Paragraph(format!(
            "Not shown, since no pixel differs from the baseline by more than {SEEN_DB} {}: {}.",
            run.trials
                .iter()
                .find_map(|t| t.pictures.first())
                .map_or("", |p| &p.unit),
            alike.join("; ")
        )));
    }
    pieces
}

/// A difference that nobody sees, in the pictures' unit.
const SEEN_DB: f64 = 0.05;

/// Largest difference of any pixel of any slice; infinite where a slice cannot be read, so that it is looked at.
fn largest_change(run: &Run, trial: &Trial, baseline: &Trial) -> f64 {
    trial
        .pictures
        .iter()
        .map(|picture| {
            let twin = baseline
                .pictures
                .iter()
                .find(|p| p.title == picture.title)?;
            let (a, b) = (run.picture(picture).ok()?, run.picture(twin).ok()?);
            let change = |(a, b): (&f32, &f32)| {
                if a.is_nan() {
                    f64::INFINITY
                } else {
                    f64::from((a - b).abs())
                }
            };
            Some(a.iter().zip(&b).map(change).fold(0.0, f64::max))
        })
        .fold(0.0, |most, change| {
            most.max(change.unwrap_or(f64::INFINITY))
        })
}

fn cases(run: &Run) -> Vec<String> {
    run.header
        .plan
        .cases
        .iter()
        .map(|c| c.name.clone())
        .collect()
}
