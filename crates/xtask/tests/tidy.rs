//! Rules of the house that no compiler knows.
#![expect(clippy::unwrap_used, reason = "a test ends at what it does not expect")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file at most; at 300 it is asked what its second subject is.
const LINES_MAX: usize = 500;

/// Which shelves the crates of a shelf may use, for the program and for its tests.
const MAY_USE: [(&str, &[&str]); 5] = [
    ("contract", &[]),
    ("generic", &["generic"]),
    ("service", &["contract", "generic"]),
    ("assembly", &["contract", "generic", "service", "assembly"]),
    ("test", &["contract", "generic", "service", "assembly", "test"]),
];

struct Crate {
    name: String,
    shelf: String,
    uses: Vec<String>,
    manifest: toml::Table,
    folder: PathBuf,
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn crates() -> Vec<Crate> {
    let folders = fs::read_dir(workspace().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    let mut crates: Vec<Crate> = folders.filter(|folder| folder.join("Cargo.toml").is_file()).map(read).collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    crates
}

fn read(folder: PathBuf) -> Crate {
    let manifest: toml::Table = fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let uses = ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|section| manifest.get(section)?.as_table())
        .flat_map(|section| section.keys().cloned())
        .collect();
    Crate {
        name: text(&manifest["package"]["name"]),
        shelf: text(&manifest["package"]["metadata"]["shelf"]["name"]),
        uses,
        manifest,
        folder,
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All Rust files with their text.
fn texts() -> Vec<(PathBuf, String)> {
    sources(&workspace().join("crates"))
        .into_iter()
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

#[test]
fn dependencies_point_down_the_shelves() {
    let crates = crates();
    let shelves: BTreeMap<&str, &str> = crates.iter().map(|it| (it.name.as_str(), it.shelf.as_str())).collect();
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();

    for from in &crates {
        for to in from.uses.iter().filter_map(|name| Some((name, shelves.get(name.as_str())?))) {
            let (name, shelf) = to;
            assert!(
                may_use[from.shelf.as_str()].contains(shelf),
                "{} ({}) uses {name} ({shelf})",
                from.name,
                from.shelf
            );
        }
    }
}

#[test]
fn a_crate_is_called_like_its_folder_and_keeps_the_lints_of_the_house() {
    for it in crates() {
        assert_eq!(it.folder.file_name().unwrap().to_str(), Some(it.name.as_str()));
        assert_eq!(it.manifest["lints"]["workspace"].as_bool(), Some(true), "{} has lints of its own", it.name);
    }
}

#[test]
fn versions_stand_in_one_place() {
    for it in crates() {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, dependency) in it.manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let is_inherited = dependency.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(is_inherited, "{} gives {name} a version of its own", it.name);
            }
        }
    }
}

#[test]
fn no_dependency_is_listed_in_vain() {
    let root: toml::Table = fs::read_to_string(workspace().join("Cargo.toml")).unwrap().parse().unwrap();
    let used: BTreeSet<String> = crates().into_iter().flat_map(|it| it.uses).collect();

    for (name, dependency) in root["workspace"]["dependencies"].as_table().unwrap() {
        let is_ours = dependency.get("path").is_some();
        assert!(is_ours || used.contains(name), "no crate uses {name}");
    }
}

#[test]
fn the_first_line_of_a_file_names_its_job() {
    for (path, text) in texts() {
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in texts() {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_silenced_left_undone_or_skipped() {
    let forbidden = [
        concat!("#[al", "low("),
        concat!("#![al", "low("),
        concat!("#[ig", "nore"),
        concat!("todo", "!("),
        concat!("dbg", "!("),
    ];
    for (path, text) in texts() {
        for word in forbidden {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

#[test]
fn no_service_reads_the_tables_of_another() {
    let services: Vec<Crate> = crates().into_iter().filter(|it| it.shelf == "service").collect();
    let tables: Vec<(String, Vec<String>)> =
        services.iter().map(|it| (it.name.clone(), tables_of(&it.folder))).collect();
    assert!(tables.iter().map(|(_, tables)| tables.len()).sum::<usize>() > 5, "the migrations were not found");

    for service in &services {
        for (owner, tables) in tables.iter().filter(|(owner, _)| *owner != service.name) {
            for (path, text) in
                sources(&service.folder).into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
            {
                for table in tables {
                    let is_read = ["FROM", "INTO", "UPDATE", "JOIN"].iter().any(|verb| mentions(&text, verb, table));
                    assert!(!is_read, "{} reads {table}, which belongs to {owner}", path.display());
                }
            }
        }
    }
}

fn mentions(text: &str, verb: &str, table: &str) -> bool {
    text.match_indices(&format!("{verb} {table}"))
        .any(|(at, found)| !text[at + found.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

fn tables_of(folder: &Path) -> Vec<String> {
    let Ok(migrations) = fs::read_dir(folder.join("src/migrations")) else { return Vec::new() };
    let texts = migrations.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    texts
        .flat_map(|text| {
            let names = text.match_indices("CREATE TABLE ").map(|(at, found)| &text[at + found.len()..]);
            names.map(|rest| rest.split([' ', '(']).next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
        })
        .collect()
}
