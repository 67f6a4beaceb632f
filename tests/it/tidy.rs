//! The architecture as `src/lib.rs` states it, held against the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::world::root;

/// A file that is longer is hard to read at a sitting.
const LINES_MAX: usize = 600;

fn sources() -> Vec<PathBuf> {
    let pattern = root().join("src/**/*.rs");
    glob::glob(pattern.to_str().unwrap())
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

/// The module at the top that a file belongs to; `None` for `main.rs` and `lib.rs`.
fn module(file: &Path) -> Option<String> {
    let path = file.strip_prefix(root().join("src")).unwrap();
    let first = Path::new(path.iter().next().unwrap())
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap();
    (!matches!(first, "main" | "lib")).then(|| first.to_owned())
}

/// The code of a file without comments and tests.
fn code(file: &Path) -> String {
    if file.file_name().unwrap() == "tests.rs" {
        return String::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let production = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let lines = production
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// The rows of the table in `lib.rs` whose heading begins with `heading`, as lists of the names in each cell.
fn table(heading: &str) -> Vec<Vec<Vec<String>>> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = lib.lines().map(|line| line.trim_start_matches("//! "));
    let rows = lines
        .skip_while(|line| !line.starts_with(heading))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let names = |cell: &str| {
        cell.split(',')
            .map(|name| name.trim().trim_matches('`').to_owned())
            .collect()
    };
    rows.map(|row| row.trim_matches('|').split('|').map(names).collect())
        .collect()
}

/// Every name that stands before `::` after `prefix`, with the module that names it.
fn named(prefix: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for file in sources() {
        let Some(module) = module(&file) else {
            continue;
        };
        let code = code(&file);
        for (at, _) in code.match_indices("::") {
            let before = &code[..at];
            let start = before
                .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
                .map_or(0, |i| i + 1);
            if prefix.is_empty() {
                found.insert((module.clone(), before[start..].to_owned()));
            } else if before[start..] == *prefix {
                let after = &code[at + 2..];
                let end = after
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(after.len());
                found.insert((module.clone(), after[..end].to_owned()));
            }
        }
    }
    found
}

#[test]
fn modules_name_only_those_they_may() {
    let allowed: BTreeMap<String, Vec<String>> = table("| layer |")
        .into_iter()
        .map(|row| (row[1][0].clone(), row[2].clone()))
        .collect();
    assert!(allowed.len() > 10, "the table in lib.rs was not found");
    let forbidden: Vec<_> = named("crate")
        .into_iter()
        .filter(|(module, other)| module != other && !allowed[module].contains(other))
        .collect();
    assert_eq!(forbidden, [], "(module, names)");
}

#[test]
fn every_module_has_its_row() {
    let rows: BTreeSet<String> = table("| layer |")
        .into_iter()
        .map(|row| row[1][0].clone())
        .collect();
    let modules: BTreeSet<String> = sources().iter().filter_map(|file| module(file)).collect();
    assert_eq!(rows, modules);
}

#[test]
fn crates_are_named_only_where_they_may_be() {
    let mut only: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in table("| crate |") {
        row[0]
            .iter()
            .for_each(|name| drop(only.insert(name.clone(), row[1].clone())));
    }
    assert!(only.len() > 10, "the table in lib.rs was not found");
    let forbidden: Vec<_> = named("")
        .into_iter()
        .filter(|(module, name)| {
            only.get(name)
                .is_some_and(|modules| !modules.contains(module))
        })
        .collect();
    assert_eq!(forbidden, [], "(module, crate)");
}

#[test]
fn the_core_names_no_other_crate() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("\n[")
        .next()
        .unwrap();
    let crates: BTreeSet<String> = dependencies
        .lines()
        .filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_")))
        .collect();
    assert!(crates.contains("aws_sdk_cloudwatch"));
    let core: BTreeSet<String> = table("| layer |")
        .into_iter()
        .filter(|row| row[0] == ["core"])
        .map(|row| row[1][0].clone())
        .collect();
    let named: Vec<_> = named("")
        .into_iter()
        .filter(|(module, name)| core.contains(module) && crates.contains(name))
        .collect();
    assert!(
        named
            .iter()
            .all(|(_, name)| name == "jiff" || name == "thiserror"),
        "{named:?}"
    );
}

#[test]
fn the_core_does_no_io_and_derives_no_format() {
    let core = ["metric", "store", "order", "math", "alarm", "pipeline"];
    let words = [
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::thread",
        "SystemTime",
        "Instant",
        "Serialize",
        "println!",
        "async fn",
    ];
    for file in sources()
        .iter()
        .filter(|file| module(file).is_some_and(|module| core.contains(&module.as_str())))
    {
        let code = code(file);
        let found: Vec<_> = words.iter().filter(|word| code.contains(**word)).collect();
        assert!(found.is_empty(), "{} has {found:?}", file.display());
    }
}

#[test]
fn files_can_be_read_at_a_sitting() {
    for file in sources() {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", file.display());
    }
}

#[test]
fn the_top_level_is_what_it_should_be() {
    let expected = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "config",
        "deploy",
        "src",
        "tests",
    ];
    let names = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<String> = names
        .filter(|name| !name.starts_with('.') && name != "target" && !name.starts_with("LICENSE"))
        .collect();
    found.sort();
    assert_eq!(found, expected);
}
