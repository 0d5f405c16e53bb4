//! The documents say what is there: files that they name exist, links lead somewhere, lists are
//! complete. And so do the docs in the code.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .expect("the repository is there")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files below a folder with this ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, ending, found);
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
}

/// The library crates that have unsafe code.
const PACKAGES: [&str; 3] = ["runtime", "sync", "net"];

#[test]
fn the_map_lists_each_file_with_unsafe_code() {
    let map = read(root().join("docs/ARCHITECTURE.md"));
    let (_, list) = map
        .split_once("## Where the unsafe code is")
        .expect("the section");
    let (list, _) = list.split_once("\n## ").expect("the next section");
    for package in PACKAGES {
        let has_some: BTreeSet<_> = sources(package)
            .into_iter()
            .filter(|(_, text)| has_unsafe(text))
            .map(|(name, _)| name)
            .collect();
        let listed = listed(list, package);
        let wrong: Vec<_> = listed.symmetric_difference(&has_some).collect();
        assert!(
            wrong.is_empty(),
            "{package}: {wrong:?} is either listed, or has unsafe code, not both"
        );
    }
}

#[test]
fn each_file_with_unsafe_code_says_so_in_its_first_line() {
    for package in PACKAGES {
        let wrong: Vec<_> = sources(package)
            .into_iter()
            .filter(|(_, text)| text.starts_with("//! ⚠ ") != has_unsafe(text))
            .map(|(name, _)| name)
            .collect();
        assert!(
            wrong.is_empty(),
            "{package}: a file opens with `//! ⚠` if it has unsafe code, and only then: {wrong:?}"
        );
    }
}

/// The files that the map names for a package.
fn listed(list: &str, package: &str) -> BTreeSet<String> {
    let begin = list
        .find(&format!("`{package}`: "))
        .expect("the package's list");
    let end = ["`sync`: ", "`net`: ", "All other files"]
        .iter()
        .filter_map(|next| list[begin + 1..].find(next))
        .min()
        .expect("something follows");
    list[begin..begin + 1 + end]
        .split('`')
        .skip(3)
        .step_by(2)
        .filter(|name| name.contains(".rs"))
        .flat_map(expanded)
        .collect()
}

/// The source files of a package but for its tests: their names below `src`, and what is in them.
fn sources(package: &str) -> Vec<(String, String)> {
    let source = root().join(package).join("src");
    let mut all = Vec::new();
    files(&source, ".rs", &mut all);
    all.iter()
        .map(|path| {
            let name = path.strip_prefix(&source).expect("below it");
            (name.to_string_lossy().into_owned(), read(path))
        })
        .filter(|(name, _)| !is_for_tests(name))
        .collect()
}

fn is_for_tests(name: &str) -> bool {
    let ending = ["tests.rs", "_stress.rs"];
    name.starts_with("models/")
        || name.contains("/tests/")
        || ending.iter().any(|ending| name.ends_with(ending))
}

/// `task/{cell,join}.rs` is two names.
fn expanded(name: &str) -> Vec<String> {
    match (name.split_once('{'), name.split_once('}')) {
        (Some((before, _)), Some((within, after))) => {
            let (_, within) = within.split_once('{').expect("found above");
            let names = within.split(',');
            names.map(|one| format!("{before}{one}{after}")).collect()
        }
        _ => vec![name.to_owned()],
    }
}

fn has_unsafe(text: &str) -> bool {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let words = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
    code.into_iter()
        .any(|line| words.iter().any(|word| line.contains(word)))
}

/// Where public items are that are no part of the surface: what macros expand to, and traits that
/// nobody else can implement.
const INSIDE: [&str; 8] = [
    "runtime/src/__private.rs",
    "runtime/src/time/lasting.rs",
    "sync/src/select/arm.rs",
    "sync/src/select/forever.rs",
    "sync/src/select/protocol.rs",
    "sync/src/select/selecting.rs",
    "sync/src/context/arm.rs",
    "sync/src/context/values.rs",
];

#[test]
fn every_public_item_is_shown_in_use_and_says_what_go_calls_it() {
    let mut faults = Vec::new();
    for package in ["runtime", "sync"] {
        let mut sources = Vec::new();
        files(&root().join(package).join("src"), ".rs", &mut sources);
        for source in sources {
            let name = source.strip_prefix(root()).expect("below it").display();
            let name = name.to_string();
            if !is_for_tests(&name) && !name.contains("/models/") && !INSIDE.contains(&&*name) {
                faults_in(&name, &read(&source), &mut faults);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the docs of the public items in a file lack. In these crates what is `pub` is public: a
/// lint sees to that.
fn faults_in(name: &str, text: &str, faults: &mut Vec<String>) {
    let (mut docs, mut hidden) = (String::new(), false);
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(doc) = line.strip_prefix("///") {
            docs += doc;
            docs.push('\n');
            continue;
        }
        let kinds = [
            "fn ",
            "async fn ",
            "const fn ",
            "struct ",
            "enum ",
            "trait ",
        ];
        let item = line.strip_prefix("pub ").unwrap_or_default();
        if kinds.iter().any(|kind| item.starts_with(kind)) && !hidden {
            for needed in ["```", "**Go:**"] {
                if !docs.contains(needed) {
                    faults.push(format!("{name}:{}: no {needed} above {line}", n + 1));
                }
            }
            if item.starts_with("async") && !docs.contains("# Cancel safety") {
                faults.push(format!("{name}:{}: no `# Cancel safety`", n + 1));
            }
        }
        let goes_on = line.starts_with("#[") || line.starts_with("//") || line.ends_with(")]");
        hidden = goes_on && (hidden || line == "#[doc(hidden)]");
        if !goes_on {
            docs.clear();
        }
    }
}

/// What is written for readers, and not in code.
fn documents() -> Vec<PathBuf> {
    let lone = [
        "README.md",
        "benches/README.md",
        "net/tests/README.md",
        "runtime/src/scheduler/README.md",
        "sync/tests/README.md",
    ];
    let mut pages = lone.map(|page| root().join(page)).to_vec();
    files(&root().join("docs"), ".md", &mut pages);
    pages
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut broken = Vec::new();
    for page in &documents() {
        let text = read(page);
        let folder = page.parent().expect("a file is in a folder");
        for target in text.split("](").skip(1) {
            let target = target.split([')', '#']).next().unwrap_or_default();
            let is_path = !target.is_empty() && !target.contains("://");
            if is_path && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_example_is_in_the_list_and_opens_with_how_to_run_it() {
    let examples = root().join("examples");
    let list = read(examples.join("src/lib.rs"));
    let manifest = read(examples.join("Cargo.toml"));
    let programs: Vec<(&str, &str)> = manifest
        .split("[[example]]")
        .skip(1)
        .filter_map(|entry| Some((quoted(entry, "name = ")?, quoted(entry, "path = ")?)))
        .collect();
    assert!(programs.len() > 25, "{programs:?}");
    for (name, path) in &programs {
        assert!(
            list.contains(&format!("| `{name}` | ")),
            "examples/src/lib.rs does not list {name}"
        );
        let program = read(examples.join(path));
        let (story, _) = program.split_once("\n\n").expect("a story, then code");
        assert!(
            story.starts_with("//!") && story.contains(&format!("--example {name}")),
            "{path} does not say how to run it"
        );
    }
    let mut sources = Vec::new();
    for entry in fs::read_dir(&examples).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push(path);
        }
    }
    for source in sources {
        let name = source.file_name().expect("a file").to_string_lossy();
        assert!(
            programs.iter().any(|(_, path)| *path == name),
            "examples/Cargo.toml does not name {name}"
        );
    }
}

/// What stands in quotes behind `key`.
fn quoted<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key)?.1.split('"').nth(1)
}

/// Where comments end, as rustfmt's code does, which does not touch them.
const WIDTH: usize = 100;

#[test]
fn comments_end_where_code_ends() {
    let mut too_wide = Vec::new();
    for folder in ["runtime", "sync", "net", "macros", "examples", "benches"] {
        let mut found = Vec::new();
        files(&root().join(folder), ".rs", &mut found);
        // What the compiler says of these names their lines.
        found.retain(|path| !path.components().any(|part| part.as_os_str() == "ui"));
        for path in found {
            for line in wide_comments(&read(&path)) {
                too_wide.push(format!("{}:{line}", path.display()));
            }
        }
    }
    assert!(
        too_wide.is_empty(),
        "comments beyond column {WIDTH}: {too_wide:#?}"
    );
}

/// The lines of comments that are too wide and could be shorter: no code, no table, and no piece
/// that cannot be taken apart.
fn wide_comments(text: &str) -> Vec<usize> {
    let (mut wide, mut in_code) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        let Some(comment) = line.trim_start().strip_prefix("//") else {
            in_code = false;
            continue;
        };
        let comment = comment.trim_start_matches(['/', '!']).trim_start();
        if comment.starts_with("```") {
            in_code = !in_code;
        }
        let whole = in_code || comment.starts_with('|') || longest_piece(comment) > WIDTH / 2;
        if !whole && line.chars().count() > WIDTH {
            wide.push(number);
        }
    }
    wide
}

/// Where prose ends in documents, which no code stands beside.
const PAGE: usize = 120;

#[test]
fn prose_in_documents_ends_at_the_pages_edge() {
    let mut too_wide = Vec::new();
    for page in documents() {
        for line in wide_prose(&read(&page)) {
            too_wide.push(format!("{}:{line}", page.display()));
        }
    }
    assert!(
        too_wide.is_empty(),
        "prose beyond column {PAGE}: {too_wide:#?}"
    );
}

/// The lines of prose that are too wide: no code, no table, and nothing that a program wrote.
fn wide_prose(text: &str) -> Vec<usize> {
    let (mut wide, mut in_code, mut made) = (Vec::new(), false, false);
    for (number, line) in (1..).zip(text.lines()) {
        in_code ^= line.trim_start().starts_with("```");
        made = (made || line.contains("<!-- begin")) && !line.contains("<!-- end");
        let whole = in_code || made || line.starts_with(['|', '<', '!']);
        if !whole && longest_piece(line) <= PAGE / 2 && line.chars().count() > PAGE {
            wide.push(number);
        }
    }
    wide
}

#[test]
fn wide_prose_is_found_and_code_and_tables_are_not() {
    let wide = "word ".repeat(30);
    let text = format!(
        "{wide}\n| {wide}\n```\n{wide}\n```\n<!-- begin x -->\n{wide}\n<!-- end x -->\n{wide}"
    );
    assert_eq!(wide_prose(&text), [1, 9]);
}

/// The longest word, or code between backticks.
fn longest_piece(comment: &str) -> usize {
    let pieces = comment.split('`').enumerate().flat_map(|(i, part)| {
        let code = (i % 2 == 1).then_some(part);
        let words = (i % 2 == 0).then(|| part.split(' ')).into_iter().flatten();
        code.into_iter().chain(words)
    });
    pieces.map(str::len).max().unwrap_or(0)
}
