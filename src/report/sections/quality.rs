//! QC images: the output of a variant and its difference from the baseline's.
use crate::record::{Run, Trial};
use crate::report::plot::Drawing;
use crate::report::{Figure, Piece, file_name};

/// The checks of the first phase's reference are the baseline's pictures.
pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let mut pieces = vec![];
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
        for trial in shown {
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
    pieces
}

fn cases(run: &Run) -> Vec<String> {
    run.header
        .plan
        .cases
        .iter()
        .map(|c| c.name.clone())
        .collect()
}
