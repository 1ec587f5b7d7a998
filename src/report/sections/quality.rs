//! QC images: the output of every variant and its difference from the baseline's. Variants with the same picture share one.
use crate::record::{Run, Trial};
use crate::report::plot::picture::picture;
use crate::report::{Figure, Files, Piece, counted, file_name, in_case, listed, listed_at_most};
use crate::trial::PictureRecord;
use std::collections::BTreeSet;

pub(in crate::report) fn section(run: &Run) -> Vec<Piece> {
    let pieces: Vec<Piece> = run
        .header
        .plan
        .cases
        .iter()
        .flat_map(|case| of_case(run, &case.name))
        .collect();
    if pieces.is_empty() {
        return vec![];
    }
    let intro = Piece::Paragraph(
        "Left the output, right its difference from the baseline's on a scale of its own; magenta: not a number. Variants whose pictures no eye could tell apart share one: nowhere do they differ by more than a thousandth of the colour scale.".into(),
    );
    [
        vec![Piece::Heading(2, "Quality control".into()), intro],
        pieces,
    ]
    .concat()
}

/// More pictures than this of one slice are a gallery that nobody looks at.
const MOST: usize = 12;

/// One distinct picture, and whose it is.
struct Group<'a> {
    record: &'a PictureRecord,
    values: Vec<f32>,
    names: Vec<String>,
    phase: &'a str,
}

fn of_case(run: &Run, case: &str) -> Vec<Piece> {
    let with_pictures: Vec<&Trial> = run
        .trials
        .iter()
        .filter(|t| t.case == case && !t.is_canary && !t.pictures.is_empty())
        .collect();
    // The first phase's reference is the baseline.
    let Some(first) = with_pictures.iter().find(|t| t.id.0 == 0) else {
        return vec![];
    };
    let mut pieces = vec![];
    let mut missing = BTreeSet::new();
    for shown in &first.pictures {
        let Ok(baseline) = run.picture(shown) else {
            missing.insert(shown.file.clone());
            continue;
        };
        let groups = groups(run, &with_pictures, shown, &mut missing);
        if groups.len() > MOST {
            pieces.push(Piece::Paragraph(in_case(
                case,
                &format!(
                    "{}: {} look different; the first {MOST} are shown, all are in the run's own folder.",
                    shown.title,
                    counted(groups.len() as u64, "picture")
                ),
            )));
        }
        for group in groups.into_iter().take(MOST) {
            let is_baseline = look_alike(&group.values, &baseline, shown.scale);
            pieces.push(figure(
                case,
                &group,
                (!is_baseline).then_some(&baseline[..]),
            ));
        }
    }
    if !missing.is_empty() {
        let names: Vec<String> = missing.into_iter().collect();
        pieces.push(Piece::Paragraph(format!(
            "Pictures of the records that could not be read: {}.",
            listed(&names)
        )));
    }
    pieces
}

fn groups<'a>(
    run: &Run,
    trials: &[&'a Trial],
    shown: &PictureRecord,
    missing: &mut BTreeSet<String>,
) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = vec![];
    let mut read: BTreeSet<&str> = BTreeSet::new();
    for trial in trials {
        let Some(record) = trial.pictures.iter().find(|p| p.title == shown.title) else {
            continue;
        };
        // A configuration that was checked before has the same file; references of later phases are such.
        if !read.insert(&record.file) {
            continue;
        }
        let name = format!("{} / {}", trial.phase, trial.name);
        match run.picture(record) {
            Err(_) => {
                missing.insert(record.file.clone());
            }
            Ok(values) => match groups
                .iter_mut()
                .find(|g| look_alike(&g.values, &values, shown.scale))
            {
                Some(group) => group.names.push(name),
                None => groups.push(Group {
                    record,
                    values,
                    names: vec![name],
                    phase: &trial.phase,
                }),
            },
        }
    }
    groups
}

/// Whether all values are within a thousandth of the colour scale: a quarter of the smallest step that it shows. NaN is the
/// same as NaN here.
fn look_alike(a: &[f32], b: &[f32], (low, high): (f64, f64)) -> bool {
    let step = 1e-3 * (high - low).abs();
    let is_close = |(a, b): (&f32, &f32)| {
        a == b || (a.is_nan() && b.is_nan()) || f64::from((a - b).abs()) <= step
    };
    a.len() == b.len() && a.iter().zip(b).all(is_close)
}

fn figure(case: &str, group: &Group<'_>, baseline: Option<&[f32]>) -> Piece {
    let stem = group
        .record
        .file
        .rsplit('/')
        .next()
        .unwrap_or("")
        .trim_end_matches(".npy");
    let folder = group.names[0].rsplit(" / ").next().unwrap_or("");
    let case_folder = if case.is_empty() {
        String::new()
    } else {
        format!("{}/", file_name(case))
    };
    let lost = group.values.iter().filter(|v| v.is_nan()).count();
    let mut caption = format!(
        "{}: {}",
        listed_at_most(&group.names, 8),
        group.record.title
    );
    if baseline.is_none() {
        caption = format!("{caption} (the baseline's picture)");
    }
    if lost > 0 {
        caption.push_str(&format!(
            ". {lost} of {} values are not numbers",
            group.values.len()
        ));
    }
    Piece::Figure(Figure {
        file: format!(
            "qc/{case_folder}{}/{}/{}",
            file_name(group.phase),
            file_name(folder),
            file_name(stem)
        ),
        title: in_case(case, &format!("{}: {}", group.names[0], group.record.title)),
        caption: format!("{caption}."),
        files: Files::PngOnly,
        sketch: picture(group.record, &group.values, baseline),
    })
}
