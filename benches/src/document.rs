//! The document that shows the last report: its table, charts and figures are made anew between
//! marks, and the text around them is kept.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::results::{Results, Row};
use crate::suite::Group;
use crate::{charts, machine, model, tables};

/// Where the figures of the last report are.
pub(crate) fn figures(docs: &Path) -> PathBuf {
    docs.join("performance").join("figures.json")
}

/// Writes the charts, and the parts of `PERFORMANCE.md` that are made of figures.
pub(crate) fn renew(results: &Results, docs: &Path) -> Result<(), String> {
    charts::write(results, &docs.join("performance"))?;
    let path = docs.join("PERFORMANCE.md");
    let mut text = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    for (name, content) in parts(results) {
        text =
            replaced(&text, name, &content).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    std::fs::write(&path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// What is made of figures, by the name in the marks.
fn parts(results: &Results) -> Vec<(&'static str, String)> {
    let machine = &results.machine;
    let summary = format!(
        "{}. Medians of {} runs{}{}. The load of the machine was {} when it began.\n\n\
         ![How many times as good as the best peer, one line a workload](performance/overview.svg)\n\n{}",
        machine::line(machine),
        machine["runs"],
        scales(&results.rows),
        took(machine),
        machine["load"],
        standing(&results.rows),
    );
    vec![
        ("summary", summary),
        ("groups", groups(results)),
        ("workers", workers(results)),
        ("model", model::markdown()),
    ]
}

/// How long all of it took; rows that were measured again one by one do not say.
fn took(machine: &Value) -> String {
    match machine["seconds"].as_u64() {
        Some(seconds) => format!(", measured in {} minutes", seconds.div_ceil(60)),
        None => ", some of them measured one by one".to_owned(),
    }
}

fn scales(rows: &[Row]) -> String {
    let least = rows.iter().map(|row| row.scale).fold(1.0, f64::min);
    if least < 1.0 {
        format!(" at {least} of the sizes or more")
    } else {
        String::new()
    }
}

/// In how many rows we are ahead, and in which we are not.
fn standing(rows: &[Row]) -> String {
    let compared: Vec<(&str, f64)> = (rows.iter())
        .filter_map(|row| Some((row.workload.name, row.ahead()?)))
        .collect();
    let list = |among: &dyn Fn(f64) -> bool| {
        let named: Vec<String> = (compared.iter())
            .filter(|(_, ahead)| among(*ahead))
            .map(|(name, ahead)| format!("{name} ({ahead:.2})"))
            .collect();
        if named.is_empty() {
            "none".to_owned()
        } else {
            named.join(", ")
        }
    };
    let ahead = compared.iter().filter(|(_, ahead)| *ahead >= 1.25).count();
    format!(
        "Ahead of the best peer by a quarter or more in {ahead} of {} rows. Within a quarter, which another run may turn round: {}. Behind: {}.\n",
        compared.len(),
        list(&|ahead| ahead > 0.8 && ahead < 1.25),
        list(&|ahead| ahead <= 0.8),
    )
}

/// A chart and a table for each group, then the costs and what failed.
fn groups(results: &Results) -> String {
    let mut text = format!("{}\n", tables::MARKS);
    for &group in Group::ALL {
        let rows = |rows: &[Row]| -> Vec<Row> {
            let of_group = rows.iter().filter(|row| row.workload.group() == group);
            of_group.cloned().collect()
        };
        let rows = rows(&results.rows);
        if rows.is_empty() {
            continue;
        }
        let (title, name) = (group.title(), group.name());
        let _ = write!(
            text,
            "\n### {title}\n\n![{title}](performance/{name}.svg)\n\n<details><summary>Figures</summary>\n\n{}\n{}{}\n</details>\n",
            tables::figures(&rows),
            tables::tails(&rows),
            if group == Group::Fairness {
                String::new()
            } else {
                tables::costs(&rows)
            },
        );
    }
    text + &tables::failures(results)
}

fn workers(results: &Results) -> String {
    if results.sweep.is_empty() {
        return "Not measured in this run.\n".to_owned();
    }
    format!(
        "![How much slower with another number of workers](performance/workers.svg)\n\n\
         <details><summary>Figures</summary>\n\n{}\n</details>\n",
        tables::workers(&results.sweep)
    )
}

/// The text with what is between the marks of that name replaced.
fn replaced(text: &str, name: &str, content: &str) -> Result<String, String> {
    let begin = format!("<!-- begin {name}: made by benches --report -->\n");
    let end = format!("<!-- end {name} -->");
    let (before, rest) = text
        .split_once(&begin)
        .ok_or_else(|| format!("has no line {}", begin.trim()))?;
    let (_, after) = rest
        .split_once(&end)
        .ok_or_else(|| format!("has no line {end}"))?;
    Ok(format!(
        "{before}{begin}\n{}\n\n{end}{after}",
        content.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::row;

    #[test]
    fn only_what_is_between_the_marks_changes_and_twice_is_the_same_as_once() {
        let text =
            "# Title\n<!-- begin a: made by benches --report -->\nold\n<!-- end a -->\ntext\n";
        let once = replaced(text, "a", "new\n").expect("marks");
        assert_eq!(
            once,
            "# Title\n<!-- begin a: made by benches --report -->\n\nnew\n\n<!-- end a -->\ntext\n"
        );
        assert_eq!(replaced(&once, "a", "new").expect("marks"), once);
    }

    #[test]
    fn a_document_without_a_mark_is_left_alone_and_named() {
        let why = replaced("# Title\n", "a", "new").expect_err("no marks");
        assert!(why.contains("begin a"), "{why}");
        let open = "<!-- begin a: made by benches --report -->\nold\n";
        assert!(
            replaced(open, "a", "new")
                .expect_err("no end")
                .contains("end a")
        );
    }

    #[test]
    fn the_project_s_document_has_all_marks() {
        let mut text = include_str!("../../docs/PERFORMANCE.md").to_owned();
        for (name, content) in parts(&Results::default()) {
            text = replaced(&text, name, &content).expect("marks");
        }
    }

    #[test]
    fn the_standing_names_ties_and_losses() {
        let rows = [
            row("ring", &[("weftline", &[10.0]), ("go", &[40.0])]),
            row("yield", &[("weftline", &[10.0]), ("go", &[11.0])]),
            row("echo_1", &[("weftline", &[10.0]), ("go", &[40.0])]),
        ];
        let text = standing(&rows);
        assert!(text.contains("in 1 of 3 rows"), "{text}");
        assert!(text.contains("turn round: yield (1.10)"), "{text}");
        assert!(text.contains("Behind: echo_1 (0.25)"), "{text}");
    }
}
