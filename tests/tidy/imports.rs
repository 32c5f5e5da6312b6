//! Which file imports which: every `use` and every path in the code, resolved to
//! the file that it leads to.
//!
//! A path leads to the file of the last module in it. So `super::X` is an import
//! of the parent's file, wherever `X` came from before, and `super::child::X` is
//! one of the child's. A `mod` declaration is no import; nor is a `pub use` of
//! what stands below, unless the file uses the name itself.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::{Token, tokens};
use crate::{from_root, sources};

/// The crates whose files are looked at: where each has its root, and its name in
/// paths.
const CRATES: [(&str, &str); 2] = [("src", "drawbridge"), ("agent-stub/src", "agent_stub")];

/// A module's place: the name of its crate, then the names of modules.
type Module = Vec<String>;

/// Which files a file imports, by their paths from the repository's root.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// The imports of these files, given by path and text.
pub fn imports<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Imports {
    let files: Vec<(&str, &str)> = files.collect();
    let modules: BTreeMap<Module, &str> =
        files.iter().filter_map(|(path, _)| Some((module_of(path)?, *path))).collect();
    let mut imports = Imports::new();
    for (module, path) in &modules {
        let Some((_, text)) = files.iter().find(|(other, _)| other == path) else { continue };
        let mut found = FileImports::new(&modules, module);
        found.read(&tokens(without_tests(text)));
        let targets = found.targets.into_iter().filter(|target| target != path);
        imports.insert((*path).to_owned(), targets.map(str::to_owned).collect());
    }
    imports
}

/// The same, of all files of the crates.
pub fn imports_of_crates() -> Imports {
    let folders = CRATES.map(|(folder, _)| folder);
    let sources = sources(&folders);
    let files: Vec<(String, String)> =
        sources.into_iter().map(|(path, text)| (from_root(&path), text)).collect();
    imports(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
}

/// The module of a file. The program's `main.rs` stands apart: nobody imports it.
fn module_of(path: &str) -> Option<Module> {
    let (rest, name) = CRATES.iter().find_map(|(folder, name)| {
        Some((path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?, *name))
    })?;
    let mut module = vec![name.to_owned()];
    match rest {
        "lib" => {}
        "main" => module.push("main".to_owned()),
        _ => module.extend(rest.split('/').map(str::to_owned)),
    }
    Some(module)
}

/// The text in front of the file's tests.
fn without_tests(text: &str) -> &str {
    let is_module = |at: &usize| {
        let mut behind = text[*at..].lines().skip_while(|line| line.starts_with("#["));
        behind.next().is_some_and(|line| line.starts_with("mod "))
    };
    let mut marks = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at);
    marks.find(is_module).map_or(text, |at| &text[..at])
}

/// The imports of one file, while it is read.
struct FileImports<'a> {
    modules: &'a BTreeMap<Module, &'a str>,
    module: &'a Module,
    targets: BTreeSet<&'a str>,
    /// Names that a `use` has brought in, with what they stand for where that is
    /// a module.
    names: BTreeMap<String, Option<Module>>,
    /// Names that a `pub use` passes on from below, with where they come from.
    passed_on: BTreeMap<String, &'a str>,
}

/// A path as it is written, and the name that it has in this file.
struct Written {
    path: Vec<String>,
    name: String,
}

impl<'a> FileImports<'a> {
    fn new(modules: &'a BTreeMap<Module, &'a str>, module: &'a Module) -> Self {
        let (names, passed_on) = (BTreeMap::new(), BTreeMap::new());
        FileImports { modules, module, targets: BTreeSet::new(), names, passed_on }
    }

    fn read(&mut self, tokens: &[Token]) {
        let rest = self.read_uses(tokens);
        self.read_code(&rest);
    }

    /// Takes in every `use`; what is left is the rest of the code.
    fn read_uses(&mut self, tokens: &[Token]) -> Vec<Token> {
        let mut rest = Vec::new();
        let mut scopes = Scopes::new(self.module);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            scopes.see(tokens, at);
            let is_use = token.is("use") && !tokens.get(at + 1).is_some_and(|next| next.is("<"));
            if is_use {
                let end = at + tokens[at..].iter().position(|token| token.is(";")).unwrap();
                let mut written = Vec::new();
                read_tree(&tokens[at + 1..end], &[], &mut written);
                let is_public = at > 0 && (tokens[at - 1].is("pub") || tokens[at - 1].is(")"));
                for one in written {
                    self.take_in(&one, is_public, scopes.current());
                }
                at = end;
            } else {
                rest.push(token.clone());
            }
            at += 1;
        }
        rest
    }

    fn take_in(&mut self, written: &Written, is_public: bool, scope: &Module) {
        let place = self.place(&written.path, scope);
        let target = place.as_ref().map(|place| self.deepest(place));
        let is_below =
            |module: &Module| module.len() > self.module.len() && module.starts_with(self.module);
        if let Some((module, file)) = target {
            if is_public && is_below(&module) {
                self.passed_on.insert(written.name.clone(), file);
            } else {
                self.targets.insert(file);
            }
        }
        let module = place.filter(|place| self.modules.contains_key(place));
        self.names.insert(written.name.clone(), module);
    }

    /// Takes in every path in the code, and every name that is passed on and used.
    fn read_code(&mut self, tokens: &[Token]) {
        let mut scopes = Scopes::new(self.module);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            scopes.see(tokens, at);
            let visibility = token.is("pub") && tokens.get(at + 1).is_some_and(|next| next.is("("));
            if visibility {
                at += tokens[at..].iter().position(|token| token.is(")")).unwrap();
            } else if let Some(word) = token.word() {
                let mut path = vec![word.to_owned()];
                while tokens.get(at + 1).is_some_and(|next| next.is("::"))
                    && let Some(word) = tokens.get(at + 2).and_then(Token::word)
                {
                    path.push(word.to_owned());
                    at += 2;
                }
                self.take_in_path(&path, scopes.current());
            }
            at += 1;
        }
    }

    fn take_in_path(&mut self, path: &[String], scope: &Module) {
        if let Some(file) = self.passed_on.get(&path[0]) {
            self.targets.insert(*file);
        }
        if path.len() == 1 {
            return;
        }
        let place = match self.names.get(&path[0]) {
            Some(module) => module.as_ref().map(|module| [module, &path[1..]].concat()),
            None => self.place(path, scope),
        };
        if let Some(place) = place {
            let (_, file) = self.deepest(&place);
            self.targets.insert(file);
        }
    }

    /// The place that a path leads to, seen from a module; `None` if it leads out
    /// of the crates, or is no path of modules.
    fn place(&self, path: &[String], scope: &Module) -> Option<Module> {
        let mut place = match path[0].as_str() {
            "crate" => vec![self.module[0].clone()],
            "self" => scope.clone(),
            "super" => scope.split_last()?.1.to_vec(),
            name if CRATES.iter().any(|(_, known)| *known == name) => vec![name.to_owned()],
            name => {
                let child = [scope.as_slice(), &[name.to_owned()]].concat();
                self.modules.contains_key(&child).then_some(child)?
            }
        };
        for segment in &path[1..] {
            match segment.as_str() {
                "super" => drop(place.pop()),
                "self" => {}
                name => place.push(name.to_owned()),
            }
        }
        Some(place)
    }

    /// The last module on the way to a place that has a file, and that file.
    fn deepest(&self, place: &Module) -> (Module, &'a str) {
        let ways = (1..=place.len()).rev().map(|length| &place[..length]);
        let found = ways.into_iter().find_map(|way| self.modules.get_key_value(way));
        let (module, file) = found.unwrap_or_else(|| panic!("no file for {place:?}"));
        (module.clone(), file)
    }
}

/// The module that a token stands in: that of the file, or one written out in it.
struct Scopes {
    modules: Vec<Module>,
    /// For each open brace, whether it is that of a module.
    braces: Vec<bool>,
}

impl Scopes {
    fn new(module: &Module) -> Scopes {
        Scopes { modules: vec![module.clone()], braces: Vec::new() }
    }

    fn current(&self) -> &Module {
        self.modules.last().unwrap()
    }

    fn see(&mut self, tokens: &[Token], at: usize) {
        if tokens[at].is("{") {
            let head = at.checked_sub(2).map(|start| &tokens[start..at]);
            let name = head.filter(|head| head[0].is("mod")).and_then(|head| head[1].word());
            self.braces.push(name.is_some());
            if let Some(name) = name {
                let inner = [self.current().as_slice(), &[name.to_owned()]].concat();
                self.modules.push(inner);
            }
        } else if tokens[at].is("}") && self.braces.pop() == Some(true) {
            self.modules.pop();
        }
    }
}

/// Reads the tree behind a `use`, without its semicolon.
fn read_tree(tokens: &[Token], before: &[String], found: &mut Vec<Written>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.is("{") {
            // A group is the last thing in its tree.
            for branch in branches(&tokens[at + 1..tokens.len() - 1]) {
                read_tree(branch, &path, found);
            }
            return;
        }
        if token.is("as") {
            let name = tokens[at + 1].word().unwrap_or("_").to_owned();
            return found.push(written(path, Some(name)));
        }
        if let Some(word) = token.word() {
            path.push(word.to_owned());
        }
        at += 1;
    }
    if path.len() > before.len() || tokens.iter().any(|token| token.is("*")) {
        found.push(written(path, None));
    }
}

fn written(mut path: Vec<String>, name: Option<String>) -> Written {
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = name.unwrap_or_else(|| path.last().cloned().unwrap_or_default());
    Written { path, name }
}

/// The parts between the commas of a group, whatever groups are in them.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0;
    let parts = tokens.split(|token| {
        depth += i32::from(token.is("{")) - i32::from(token.is("}"));
        depth == 0 && token.is(",")
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// The imports among files of `src` that are written out here.
fn imports_in(files: &[(&str, &str)], of: &str) -> Vec<String> {
    let root = ("src/lib.rs", "pub mod a;");
    let imports = imports(files.iter().copied().chain([root]));
    imports[of].iter().cloned().collect()
}

#[test]
fn trees_of_many_lines_are_read() {
    let text = "
        use std::{fs, io};
        use crate::{
            a::{self, b::{c as d, e::*}}, // a::f
            g::H,
        };
    ";
    let others = ["src/a.rs", "src/a/b.rs", "src/a/b/e.rs", "src/a/f.rs", "src/g.rs"];
    let mut files: Vec<_> = others.map(|path| (path, "")).to_vec();
    files.push(("src/x.rs", text));
    let expected = ["src/a.rs", "src/a/b.rs", "src/a/b/e.rs", "src/g.rs"];
    assert_eq!(imports_in(&files, "src/x.rs"), expected);
}

#[test]
fn a_path_in_the_code_is_an_import() {
    let text = r##"
        use super::c;
        pub(in crate::e) fn f(text: &'static str) -> char {
            let quoted = (r#"crate::e::"f"#, "\"crate::e::f", '"', b'\'', 'x');
            /* crate::e::f */
            c::d::f(drawbridge::a::f, std::e::f);
            self::g::f()
        }
        #[cfg(test)]
        #[allow(unused)] // by tests
        mod tests {
            use crate::e::f;
        }
    "##;
    let text: String = text.lines().map(|line| format!("{}\n", line.trim())).collect();
    let others = ["src/a.rs", "src/a/c.rs", "src/a/c/d.rs", "src/a/b/g.rs", "src/e.rs"];
    let mut files: Vec<_> = others.map(|path| (path, "")).to_vec();
    files.push(("src/a/b.rs", &text));
    let expected = ["src/a.rs", "src/a/b/g.rs", "src/a/c.rs", "src/a/c/d.rs"];
    assert_eq!(imports_in(&files, "src/a/b.rs"), expected);
}

#[test]
fn what_is_passed_on_is_no_import_of_who_passes_it_on() {
    let files = |facade| {
        let child = "use super::Y; mod inner { use super::super::Z; } use crate::a::c::X;";
        [("src/a.rs", facade), ("src/a/b.rs", child), ("src/a/c.rs", "")]
    };
    let facade = "mod b; mod c; pub use self::c::{X, W}; pub(super) use b::V;";
    assert_eq!(imports_in(&files(facade), "src/a.rs"), [""; 0]);
    assert_eq!(imports_in(&files(facade), "src/a/b.rs"), ["src/a.rs", "src/a/c.rs"]);
    let used = format!("{facade} fn f(x: X) {{}}");
    assert_eq!(imports_in(&files(&used), "src/a.rs"), ["src/a/c.rs"]);
    let used = "mod b; mod c; fn f() { c::f() }";
    assert_eq!(imports_in(&files(used), "src/a.rs"), ["src/a/c.rs"]);
}
