//! QC images: the output of every variant and its difference from the baseline's. Variants with the same picture share one.
use crate::record::{Run, Trial};
use crate::report::numbers::{NONE, small};
use crate::report::plot::picture::{Shown, picture, sheet};
use crate::report::{
    Figure, Files, Piece, Row, accuracy, columns, counted, file_name, in_case, listed,
    listed_at_most,
};
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
        "Above the output, below (or right) its difference from the baseline's on a scale of its own; magenta: not a number. Variants whose pictures no eye could tell apart share one: nowhere do they differ by more than a thousandth of the colour scale.".into(),
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
    let mut pieces = sheets(run, case, &with_pictures, first);
    let mut missing = BTreeSet::new();
    let mut single = vec![];
    for shown in &first.pictures {
        let Ok(baseline) = run.picture(shown) else {
            missing.insert(shown.file.clone());
            continue;
        };
        let groups = groups(run, &with_pictures, shown, &mut missing);
        if groups.len() > MOST {
            single.push(Piece::Paragraph(in_case(
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
            single.push(figure(
                case,
                &group,
                (!is_baseline).then_some(&baseline[..]),
            ));
        }
    }
    if !single.is_empty() {
        pieces.push(Piece::Folded {
            summary: in_case(case, "Every picture by itself"),
            pieces: single,
        });
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

/// A variant's pictures beside the baseline's.
struct Sheet<'a> {
    trial: &'a Trial,
    /// Record, values, the baseline's values, largest difference as a share of the scale.
    pictures: Vec<(&'a PictureRecord, Vec<f32>, Vec<f32>, f64)>,
}

impl Sheet<'_> {
    fn is_alike(&self) -> bool {
        self.pictures.iter().all(|(_, _, _, off)| *off <= ALIKE)
    }

    /// Largest difference among the pictures of one sort.
    fn off(&self, family: &str) -> Option<f64> {
        let of_it = |record: &PictureRecord| self::family(record) == family;
        let found = self.pictures.iter().filter(|(record, ..)| of_it(record));
        found.map(|(_, _, _, off)| *off).reduce(f64::max)
    }
}

/// What is checked of each variant by numbers, and a sheet of the pictures of each that is not the baseline's.
fn sheets<'a>(run: &'a Run, case: &str, trials: &[&'a Trial], first: &'a Trial) -> Vec<Piece> {
    let baseline: Vec<(&PictureRecord, Vec<f32>)> = (first.pictures.iter())
        .filter_map(|record| Some((record, run.picture(record).ok()?)))
        .collect();
    let mut read: BTreeSet<&str> = BTreeSet::new();
    let mut all: Vec<Sheet<'a>> = vec![];
    for trial in trials {
        let is_new = (trial.pictures.first()).is_some_and(|p| read.insert(p.file.as_str()));
        if !is_new {
            continue;
        }
        let pictures = trial.pictures.iter().filter_map(|record| {
            let (shown, expected) = baseline.iter().find(|(b, _)| b.title == record.title)?;
            let values = run.picture(record).ok()?;
            let off = apart(&values, expected, shown.scale);
            Some((record, values, expected.clone(), off))
        });
        all.push(Sheet {
            trial,
            pictures: pictures.collect(),
        });
    }
    let mut families: Vec<String> = vec![];
    for (record, _) in &baseline {
        let family = family(record);
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let mut pieces = vec![];
    let (alike, other): (Vec<&Sheet<'_>>, Vec<&Sheet<'_>>) =
        all.iter().partition(|sheet| sheet.is_alike());
    let name = |sheet: &Sheet<'_>| format!("{} / {}", sheet.trial.phase, sheet.trial.name);
    if all.len() > 1 {
        let names: Vec<String> = alike.iter().map(|sheet| name(sheet)).collect();
        pieces.push(Piece::Paragraph(in_case(
            case,
            &format!(
                "Matching the baseline in every picture: {}.",
                listed(&names)
            ),
        )));
    }
    if !other.is_empty() {
        pieces.push(checks(run, &families, &other));
    }
    let shown = all.iter().take(1).chain(other.into_iter().take(MOST));
    pieces.extend(shown.map(|sheet| sheet_figure(case, sheet, &name(sheet))));
    pieces
}

/// How far each variant's pictures are from the baseline's, and its own metrics.
fn checks(run: &Run, families: &[String], sheets: &[&Sheet<'_>]) -> Piece {
    let own: Vec<&str> = (run.header.declaration.own_metrics.iter())
        .map(|(name, _)| name.as_str())
        .filter(|name| sheets.iter().any(|s| accuracy(s.trial, name).is_some()))
        .collect();
    let mut header = vec!["Variant".to_owned()];
    header.extend(families.iter().map(|family| format!("{family} matches?")));
    header.extend(own.iter().map(|name| format!(">{name}")));
    let rows = sheets.iter().map(|sheet| {
        let mut cells = vec![format!("{} / {}", sheet.trial.phase, sheet.trial.name)];
        cells.extend(families.iter().map(|family| match sheet.off(family) {
            None => NONE.to_owned(),
            Some(off) if off <= ALIKE => "yes".to_owned(),
            Some(off) if off.is_nan() => "no: not a number".to_owned(),
            Some(off) => format!("no: off by up to {} % of the scale", small(100.0 * off)),
        }));
        cells.extend(
            own.iter()
                .map(|name| accuracy(sheet.trial, name).map_or_else(|| NONE.into(), small)),
        );
        Row::new(cells)
    });
    Piece::Table {
        header: columns(&header),
        rows: rows.collect(),
    }
}

/// "inline" of inline_256, "fold_map" of itself: a name without its places.
fn family(record: &PictureRecord) -> String {
    let words = stem(record).split('_');
    let has_digit = |word: &&str| word.chars().any(|c| c.is_ascii_digit());
    let kept: Vec<&str> = words.filter(|word| !has_digit(word)).collect();
    match kept.is_empty() {
        true => "picture".into(),
        false => kept.join("_"),
    }
}

fn stem(record: &PictureRecord) -> &str {
    let name = record.file.rsplit('/').next().unwrap_or("");
    name.trim_end_matches(".npy")
}

fn sheet_figure(case: &str, sheet_of: &Sheet<'_>, name: &str) -> Piece {
    let is_alike = sheet_of.is_alike();
    let shown: Vec<Shown<'_>> = (sheet_of.pictures.iter())
        .map(|(record, values, baseline, _)| Shown {
            record,
            values,
            baseline: (!is_alike).then_some(&baseline[..]),
        })
        .collect();
    Piece::Figure(Figure {
        file: format!(
            "qc/{}{}/{}/summary",
            case_folder(case),
            file_name(&sheet_of.trial.phase),
            file_name(&sheet_of.trial.name)
        ),
        title: in_case(case, &format!("{name}: all pictures")),
        caption: match is_alike {
            true => format!("{name}: the baseline's pictures."),
            false => format!("{name}: its pictures, and below each what the baseline's lacks."),
        },
        files: Files::PngOnly,
        sketch: sheet(&shown),
    })
}

fn case_folder(case: &str) -> String {
    match case.is_empty() {
        true => String::new(),
        false => format!("{}/", file_name(case)),
    }
}

/// Nowhere farther apart than this share of the colour scale: a quarter of the smallest step that it shows.
const ALIKE: f64 = 1e-3;

/// Largest difference as a share of the scale; NaN where only one is not a number, or the shapes differ.
fn apart(a: &[f32], b: &[f32], (low, high): (f64, f64)) -> f64 {
    if a.len() != b.len() {
        return f64::NAN;
    }
    let range = (high - low).abs().max(1e-300);
    let pairs = a.iter().zip(b);
    pairs.fold(0.0, |most: f64, (a, b)| match () {
        () if most.is_nan() || a == b || (a.is_nan() && b.is_nan()) => most,
        () => {
            let off = f64::from((a - b).abs()) / range;
            if off.is_nan() {
                f64::NAN
            } else {
                most.max(off)
            }
        }
    })
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

fn look_alike(a: &[f32], b: &[f32], scale: (f64, f64)) -> bool {
    apart(a, b, scale) <= ALIKE
}

fn figure(case: &str, group: &Group<'_>, baseline: Option<&[f32]>) -> Piece {
    let folder = group.names[0].rsplit(" / ").next().unwrap_or("");
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
            "qc/{}{}/{}/{}",
            case_folder(case),
            file_name(group.phase),
            file_name(folder),
            file_name(stem(group.record))
        ),
        title: in_case(case, &format!("{}: {}", group.names[0], group.record.title)),
        caption: format!("{caption}."),
        files: Files::PngOnly,
        sketch: picture(group.record, &group.values, baseline),
    })
}
