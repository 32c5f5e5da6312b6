//! One word for one thing: the glossary's words are the ones in use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{ROOT, from_root, sources};

/// A row of `docs/glossary.md`.
struct Entry {
    word: String,
    meaning: String,
    not: Vec<String>,
}

fn glossary() -> Vec<Entry> {
    let text = fs::read_to_string(Path::new(ROOT).join("docs/glossary.md")).unwrap();
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| ")).map(cells);
    let rows = rows.filter(|cells| cells[0] != "word");
    rows.map(|cells| {
        let [word, meaning, not] = <[String; 3]>::try_from(cells).unwrap();
        let not = not.split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Entry { word, meaning, not }
    })
    .collect()
}

/// A text as words of small letters with one space around each.
fn words(text: &str) -> String {
    let letters = text.replace(|letter: char| !letter.is_alphanumeric(), " ").to_lowercase();
    let words: Vec<&str> = letters.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

/// Whether a text, as [`words`] gives it, holds a word or its plural.
fn holds(text: &str, word: &str) -> bool {
    let word = words(word);
    let plurals = ["s ", "es "].map(|ending| word.trim_end().to_owned() + ending);
    text.contains(&word) || plurals.iter().any(|plural| text.contains(plural))
}

fn documents() -> Vec<(String, String)> {
    let docs = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().display()));
    let docs = docs.filter(|name| name.ends_with(".md") && !name.ends_with("glossary.md"));
    let names = docs.chain(["README.md".to_owned(), "CHANGELOG.md".to_owned()]);
    names
        .map(|name| (words(&fs::read_to_string(Path::new(ROOT).join(&name)).unwrap()), name))
        .map(|(text, name)| (name, text))
        .collect()
}

fn help() -> (String, String) {
    let help = Command::new(env!("CARGO_BIN_EXE_drawbridge")).arg("--help").output().unwrap();
    ("drawbridge --help".to_owned(), words(&String::from_utf8(help.stdout).unwrap()))
}

/// The sources that are shipped: names, comments, help texts, messages.
fn code() -> Vec<(String, String)> {
    let files = sources(&["src", "agent-stub/src"]);
    files.into_iter().map(|(path, text)| (from_root(&path), words(&text))).collect()
}

#[test]
fn no_text_uses_a_word_that_the_glossary_replaces() {
    let texts: Vec<_> = documents().into_iter().chain([help()]).chain(code()).collect();
    let glossary = glossary();
    let replaced = glossary.iter().flat_map(|entry| entry.not.iter().map(move |not| (not, entry)));
    let mut found = Vec::new();
    for (not, entry) in replaced {
        for (name, _) in texts.iter().filter(|(_, text)| holds(text, not)) {
            found.push(format!("{name}: `{not}`; the word is `{}`", entry.word));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_word_of_the_glossary_is_explained_once_and_in_use() {
    let glossary = glossary();
    assert!(glossary.len() > 50, "the glossary is read");
    let texts: Vec<_> = documents().into_iter().chain(code()).collect();
    let mut seen = BTreeSet::new();
    for Entry { word, meaning, not } in &glossary {
        assert!(seen.insert(word), "{word} is explained twice");
        assert!(!meaning.is_empty(), "{word} is explained");
        assert!(texts.iter().any(|(_, text)| holds(text, word)), "{word} is in use");
        let is_word = |other: &String| glossary.iter().any(|entry| entry.word == *other);
        assert!(!not.iter().any(is_word), "what {word} replaces is no word of its own");
    }
}
