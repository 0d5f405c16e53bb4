//! Mistakes inside the body of a `#[runtime::main]` are reported by the compiler where the user
//! made them, as if there were no attribute.
//!
//! The programs below are compiled, and the places and codes of the errors compared; the compiler's
//! wording is its own affair.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Line and code of an error.
type Place<'a> = (usize, &'a str);

/// Name, expected places, program.
const PROGRAMS: [(&str, &[Place<'_>], &str); 5] = [
    (
        "wrong_value",
        &[(4, "E0308")],
        "#[runtime::main]\nasync fn main() -> Result<(), std::fmt::Error> {\n    runtime::yield_now().await;\n    7u8\n}\n",
    ),
    (
        "question_mark_without_result",
        &[(3, "E0277")],
        "#[runtime::main]\nasync fn main() {\n    let _: u8 = \"7\".parse()?;\n}\n",
    ),
    (
        "return_type_that_main_cannot_have",
        &[(2, "E0277")],
        "#[runtime::main]\nasync fn main() -> Vec<u8> {\n    Vec::new()\n}\n",
    ),
    (
        "unknown_name_in_a_test",
        &[(3, "E0425")],
        "#[runtime::test]\nasync fn test() {\n    nowhere();\n}\nfn main() {}\n",
    ),
    (
        "await_on_what_is_no_future",
        &[(3, "E0277")],
        "#[runtime::main]\nasync fn main() {\n    7u8.await;\n}\n",
    ),
];

#[test]
fn the_compiler_s_errors_point_into_the_body() {
    let package = write_package();
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--offline",
            "--quiet",
            "--tests",
            "--keep-going",
            "--message-format=short",
        ])
        .current_dir(&package)
        .env("CARGO_TARGET_DIR", package.join("target"))
        .env_remove("RUSTFLAGS")
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .expect("cargo starts");
    let text = String::from_utf8_lossy(&output.stderr);
    for (name, expected, _) in PROGRAMS {
        let mut found = errors_of(name, &text);
        found.sort();
        found.dedup();
        assert_eq!(found, expected, "{name}: the compiler said\n{text}");
    }
}

/// The errors of one program, as line and code, from lines such as
/// `src/bin/name.rs:4:5: error[E0308]: …`.
fn errors_of<'a>(name: &str, text: &'a str) -> Vec<Place<'a>> {
    let start = format!("src/bin/{name}.rs:");
    let places = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(&start)?;
        let (place, message) = rest.split_once(": error")?;
        let (line, _column) = place.split_once(':')?;
        let code = message
            .strip_prefix('[')
            .and_then(|code| code.split_once(']'));
        Some((line.parse().ok()?, code.map_or("", |(code, _)| code)))
    });
    places.collect()
}

/// A package with the programs, that depends on this crate and on nothing that the workspace has
/// not resolved already.
fn write_package() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("macros_spans");
    let programs = package.join("src/bin");
    fs::create_dir_all(&programs).expect("a folder in target");
    let manifest = format!(
        "[package]\nname = \"spans\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\nweftline-runtime = {{ path = {here:?} }}\n\n\
         [workspace]\n"
    );
    fs::write(package.join("Cargo.toml"), manifest).expect("a manifest");
    fs::copy(here.join("../Cargo.lock"), package.join("Cargo.lock")).expect("the lock file");
    for (name, _, program) in PROGRAMS {
        fs::write(programs.join(name).with_extension("rs"), program).expect("a program");
    }
    package
}
