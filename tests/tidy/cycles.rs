//! Files that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::iter::successors;

use crate::imports::Imports;

/// The cycles among these files: from every file that stands in one, the shortest
/// way back to it, spelled out.
pub fn cycles(imports: &Imports) -> BTreeSet<String> {
    imports.keys().filter_map(|file| Some(spell(&shortest_cycle(imports, file)?))).collect()
}

fn shortest_cycle<'a>(imports: &'a Imports, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for next in imports.get(file).into_iter().flatten() {
            if next == start {
                let back = |file: &&str| came_from.get(file).copied();
                let mut cycle: Vec<&str> = successors(Some(file), back).collect();
                cycle.reverse();
                return Some(cycle);
            }
            if !came_from.contains_key(next.as_str()) {
                came_from.insert(next.as_str(), file);
                open.push_back(next);
            }
        }
    }
    None
}

/// `a.rs → b.rs → a.rs`, beginning with the first in the alphabet.
fn spell(cycle: &[&str]) -> String {
    let first = cycle.iter().enumerate().min_by_key(|(_, file)| **file).map_or(0, |(at, _)| at);
    let (before, from) = cycle.split_at(first);
    [from, before, &from[..1]].concat().join(" → ")
}

#[test]
fn a_cycle_is_spelled_out() {
    let files = [
        ("src/a.rs", "use crate::c::X;"),
        ("src/b.rs", "use crate::a::X; use crate::d::X;"),
        ("src/c.rs", "use crate::b::X;"),
        ("src/d.rs", ""),
    ];
    let found = cycles(&crate::imports::imports(files.into_iter()));
    let expected = "src/a.rs → src/c.rs → src/b.rs → src/a.rs";
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [expected]);
}
