//! The code in docs/COOKBOOK.md is the code of the servers here.
//!
//! A block of the page stands below a comment `<!-- FILE: PART -->`, and has the text between the
//! lines `// cookbook: PART` and `// cookbook: end` of that file.
//! `COOKBOOK=write cargo test -p weftline-servers --test cookbook` copies it anew.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn part(file: &str, part: &str) -> String {
    let text =
        fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let begin = format!("// cookbook: {part}\n");
    let (_, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{file} has no part {part}"));
    let (code, _) = rest
        .split_once("// cookbook: end")
        .unwrap_or_else(|| panic!("{file}: the part {part} has no end"));
    // A part from inside a function is moved to the left.
    let indented = code.len() - code.trim_start_matches(' ').len();
    let margin = &code[..indented];
    let lines = code.trim_end_matches(' ').lines();
    lines
        .map(|line| format!("{}\n", line.strip_prefix(margin).unwrap_or(line)))
        .collect()
}

/// The page, with each block as it is in its file. Counts them.
fn renewed(page: &str) -> (String, usize) {
    let (mut out, mut blocks, mut lines) = (String::new(), 0, page.lines());
    while let Some(line) = lines.next() {
        out += &format!("{line}\n");
        let Some(source) = line
            .strip_prefix("<!-- ")
            .and_then(|l| l.strip_suffix(" -->"))
        else {
            continue;
        };
        let (file, name) = source
            .split_once(": ")
            .expect("a comment names a file and a part");
        assert_eq!(lines.next(), Some("```rust"), "below {line}");
        for _ in lines.by_ref().take_while(|line| *line != "```") {}
        out += &format!("```rust\n{}```\n", part(file, name));
        blocks += 1;
    }
    (out, blocks)
}

#[test]
fn every_block_is_compiled_code() {
    let path = root().join("docs/COOKBOOK.md");
    let page = fs::read_to_string(&path).unwrap();
    let (renewed, blocks) = renewed(&page);
    if std::env::var_os("COOKBOOK").is_some_and(|how| how == "write") {
        fs::write(&path, &renewed).unwrap();
        return;
    }
    assert!(
        renewed == page,
        "docs/COOKBOOK.md has other code than the servers: see the head of {}",
        file!()
    );
    assert_eq!(
        page.matches("```rust").count(),
        blocks,
        "a block that comes from no file"
    );
    assert!(blocks >= 10);
}
