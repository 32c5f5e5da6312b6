//! The reference of the control API: the methods and the types in `docs/control.md` are those of
//! the code, with the words of its comments. With the variable `BLESS` set, the test writes them.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use crate::{ROOT, sources};

/// The line behind which the page is made from the code.
const MARK: &str = "<!-- made from the code, by cargo test --test tidy with BLESS=1 -->\n";

/// A comment and the line of code that it belongs to.
struct Item {
    depth: usize,
    says: String,
    code: String,
}

/// The commented lines of a file, in their order.
fn items(text: &str) -> Vec<Item> {
    let (mut found, mut says) = (Vec::new(), String::new());
    for line in text.lines() {
        let code = line.trim_start();
        let depth = (line.len() - code.len()) / 4;
        if let Some(comment) = code.strip_prefix("///") {
            says = format!("{says} {}", comment.trim());
        } else if line == "}" {
            // The end of a type.
            found.push(Item { depth: 0, says: String::new(), code: String::new() });
        } else if !code.starts_with('#') && !says.is_empty() {
            let (says, code) = (std::mem::take(&mut says).trim().to_owned(), code.to_owned());
            found.push(Item { depth, says, code });
        }
    }
    found
}

/// `a_name` as `aName`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &part[..1].to_uppercase() + &part[1..])
}

/// `AName` as `a_name`.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

/// A type of Rust as one of JSON.
fn json_type(rust: &str) -> String {
    let rust = rust.trim().trim_end_matches(',');
    let inner = |prefix: &str| rust.strip_prefix(prefix)?.strip_suffix('>').map(json_type);
    if let Some(inner) = inner("Option<") {
        return format!("{inner} or null");
    }
    if let Some(inner) = inner("Vec<") {
        return format!("array of {inner}");
    }
    match rust.rsplit("::").next().unwrap_or(rust) {
        "String" => "text".to_owned(),
        "bool" => "boolean".to_owned(),
        "u32" | "u64" | "usize" => "number".to_owned(),
        name => format!("[{name}](#{})", name.to_lowercase()),
    }
}

/// A text of a comment, with its links as code.
fn plain(text: &str) -> String {
    text.replace(['[', ']'], "").replace("`None`", "null").replace('|', "\\|")
}

fn methods() -> String {
    let text = fs::read_to_string(Path::new(ROOT).join("src/control/rpc.rs")).unwrap();
    let mut page =
        String::from("## Methods\n\n| method | params | result | meaning |\n|---|---|---|---|\n");
    let mut name = String::new();
    let mut says = String::new();
    let mut signature = String::new();
    for line in text.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            says = format!("{says} {}", comment.trim());
        } else if let Some((_, rest)) = line.split_once("name = \"") {
            name = rest.split('"').next().unwrap().to_owned();
        } else if line.starts_with("async fn") || !signature.is_empty() {
            signature += line;
            if !line.ends_with(';') {
                continue;
            }
            let (params, result) =
                signature.split_once("&self").unwrap().1.split_once(')').unwrap();
            let params = params.split(", ").filter(|one| one.contains(':')).map(|one| {
                let (name, kind) = one.split_once(": ").unwrap();
                format!("`{}`: {}", camel(name), json_type(kind))
            });
            let result = result.trim_start_matches(" -> ").trim_end_matches(';');
            let result = match result.strip_prefix("RpcResult<").and_then(|it| it.strip_suffix('>'))
            {
                Some("()") => "null".to_owned(),
                Some(kind) => json_type(kind),
                None => "the id of the subscription".to_owned(),
            };
            let params = params.collect::<Vec<_>>().join(", ");
            let says = plain(says.trim());
            writeln!(page, "| `bridge_{name}` | {params} | {result} | {says} |").unwrap();
            signature.clear();
        }
        if line.is_empty() || line.ends_with(['{', ';']) {
            says.clear();
        }
    }
    page
}

/// The rows of one type.
fn rows(items: &[Item], is_enum: bool) -> String {
    let mut page = String::new();
    let mut place = 0;
    while let Some(item) = items.get(place).filter(|item| item.depth > 0) {
        place += 1;
        if item.depth > 1 {
            continue;
        }
        let says = plain(&item.says);
        if is_enum {
            let name = item.code.split([' ', ',']).next().unwrap();
            let fields = items[place..].iter().take_while(|field| field.depth == 2);
            let fields: Vec<String> = fields
                .map(|field| {
                    let (name, kind) = field.code.split_once(": ").unwrap();
                    format!("`{}`: {}; {}", camel(name), json_type(kind), plain(&field.says))
                })
                .collect();
            writeln!(page, "| `{}` | {says} | {} |", snake(name), fields.join("<br>")).unwrap();
        } else {
            let code = item.code.trim_start_matches("pub ");
            let (name, kind) = code.split_once(": ").unwrap();
            writeln!(page, "| `{}` | {} | {says} |", camel(name), json_type(kind)).unwrap();
        }
    }
    page
}

fn types() -> String {
    let mut page = String::from("## Types\n");
    let mut files = sources(&["src/api"]);
    files.sort();
    for (_, text) in files {
        let items = items(&text);
        for (place, item) in items.iter().enumerate().filter(|(_, item)| item.depth == 0) {
            let mut words = item.code.split([' ', '{']).skip(1);
            let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let is_enum = kind == "enum";
            if !(is_enum || kind == "struct") || name == "Fault" {
                continue;
            }
            let heads =
                if is_enum { "| word | meaning | fields |" } else { "| field | type | meaning |" };
            write!(page, "\n### {name}\n\n{}\n\n{heads}\n|---|---|---|\n", plain(&item.says))
                .unwrap();
            page += &rows(&items[place + 1..], is_enum);
        }
    }
    page
}

#[test]
fn the_reference_of_the_control_api_is_that_of_the_code() {
    let path = Path::new(ROOT).join("docs/control.md");
    let page = fs::read_to_string(&path).unwrap();
    let (own, made) = page.split_once(MARK).expect("the mark");
    let expected = format!("\n{}\n{}", methods(), types());
    if env::var_os("BLESS").is_some() {
        fs::write(&path, format!("{own}{MARK}{expected}")).unwrap();
    } else {
        assert!(made == expected, "docs/control.md differs from src/api; run this with BLESS=1");
    }
    assert!(expected.contains("| `bridge_retireChannel` | `channel`: text, `how`:"), "{expected}");
    assert!(expected.contains("| `session_died` |"));
    assert!(expected.matches("\n### ").count() > 20);
}
