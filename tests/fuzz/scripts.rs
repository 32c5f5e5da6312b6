//! Random scripts for the core.
//!
//! A script is an entry of the corpus with words changed, two entries in one, or words at
//! random. One that fails is made smaller, word by word, then digit by digit; what is left is
//! written to `fuzz/artifacts/`. `DRAWBRIDGE_SCRIPTS` is the number of scripts, or
//! `DRAWBRIDGE_SCRIPT_SECONDS` the time; `DRAWBRIDGE_SEED` is their seed.

// What a run showed is for people to read, and it may have a time to end.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::cell::Cell;
use std::fmt;
use std::fs;
use std::panic::{catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;
use std::time::{Duration, Instant};

use proptest::arbitrary::any;
use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use crate::{files, targets};

/// How many scripts the ordinary run plays.
const ORDINARY: u64 = 500;
/// How many scripts are played between two looks at the time.
const ROUND: u64 = 500;
/// The length of the limits at the beginning of a script.
const HEAD: usize = 16;

/// Words, and how often each comes: a letter, then `#` for any digit, `.` for a low one, or
/// the name of one of the [`LETTERS`].
const WORDS: &[(usize, &str)] = &[
    (2, "c"),
    (5, "v#"),
    (1, "V#"),
    (2, "m."),
    (6, "C"),
    (5, "W"),
    (1, "T"),
    (1, "p"),
    (1, "h#"),
    (1, "P"),
    (4, "t#"),
    (1, "j#"),
    (1, "E."),
    (3, "s."),
    (1, "f."),
    (8, "r.R."),
    (4, "r.R#"),
    (6, "r.p."),
    (3, "K.R#"),
    (1, "d.R#"),
    (2, "n.N."),
    (3, "N.X#"),
    (3, "a.##"),
    (2, "Z.##"),
    (2, "w.#"),
    (2, "g."),
    (2, "R."),
    (1, "L.#"),
    (1, "S.."),
    (5, "A.#0"),
    (3, "A.##"),
    (3, "A.###"),
    (3, "U.##"),
    (3, "D.##"),
    (1, "l.#"),
    (3, "q.Q."),
    (5, "Q.Q#"),
    (3, "u.0."),
    (5, "o.#"),
    (3, "G.##"),
    (1, "I.#"),
    (6, "M.M#"),
    (1, "x.#"),
    (1, "O.##"),
    (1, "e.##"),
    (1, "k."),
    (1, "H.#"),
    (1, "F.."),
    (1, "y.#"),
    (1, "Y."),
    (1, "zA.#0"),
    (1, "zo.#"),
];

/// The letters of methods, by the name that [`WORDS`] give them.
const LETTERS: &[(u8, &[u8])] = &[
    (b'R', b"inpclrfdasLmoASOPQDHx"),
    (b'N', b"chx"),
    (b'Q', b"prwtkex"),
    (b'X', b"scadetumknhj"),
    (b'M', b"cmnvkeEpfzuxyad"),
];

/// A script: its limits, and its words.
#[derive(Clone)]
struct Script {
    head: Vec<u8>,
    words: Vec<Vec<u8>>,
}

impl Script {
    fn read(file: &[u8]) -> Self {
        let (head, mut rest) = file.split_at(file.len().min(HEAD));
        let mut words = Vec::new();
        loop {
            rest = rest.trim_ascii_start();
            let Some(first) = rest.first() else { break };
            let is_line = is_line(*first);
            let ends = |byte: &u8| *byte == b'\n' || (!is_line && byte.is_ascii_whitespace());
            let (word, others) = rest.split_at(rest.iter().position(ends).unwrap_or(rest.len()));
            words.push(word.to_vec());
            rest = others;
        }
        Script { head: head.to_vec(), words }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        bytes.push(b'\n');
        for word in &self.words {
            bytes.extend(word);
            let is_line = word.first().is_some_and(|first| is_line(*first));
            bytes.push(if is_line { b'\n' } else { b' ' });
        }
        bytes
    }

    /// The digits that can become a nought: all limits, and the digits behind the letter of a
    /// word.
    fn digits(&mut self) -> Vec<&mut u8> {
        let of_words = self.words.iter_mut().flat_map(|word| word.iter_mut().skip(1));
        self.head.iter_mut().chain(of_words.filter(|byte| byte.is_ascii_digit())).collect()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes()))
    }
}

/// Whether a word that begins with this letter takes the rest of its line.
fn is_line(first: u8) -> bool {
    matches!(first, b'b' | b'B')
}

/// Numbers at random (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end.max(1) as u64) as usize
    }

    fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn digit(&mut self) -> u8 {
        *self.one_of(b"0123456789abcdef")
    }

    fn word(&mut self) -> Vec<u8> {
        let all: usize = WORDS.iter().map(|(often, _)| often).sum();
        let mut at = self.below(all);
        let mut pattern = "";
        for (often, word) in WORDS {
            pattern = word;
            match at.checked_sub(*often) {
                Some(rest) => at = rest,
                None => break,
            }
        }
        let mut word = pattern.as_bytes().to_vec();
        for byte in word.iter_mut().skip(1) {
            let letters = LETTERS.iter().find(|(name, _)| *name == *byte);
            *byte = match (*byte, letters) {
                (b'#', _) => self.digit(),
                (b'.', _) => *self.one_of(b"0000112"),
                (_, Some((_, letters))) => *self.one_of(letters),
                (other, None) => other,
            };
        }
        word
    }
}

/// Every script that can be made of a corpus and of the [`WORDS`].
#[derive(Debug)]
struct Scripts {
    corpus: Vec<Script>,
}

impl Scripts {
    fn script(&self, dice: &mut Dice) -> Script {
        let mut script = dice.one_of(&self.corpus).clone();
        match dice.below(5) {
            0 | 1 => self.random(&mut script, dice),
            2 => {
                let other = dice.one_of(&self.corpus);
                script.words.truncate(dice.below(script.words.len() + 1));
                script.words.extend_from_slice(&other.words[dice.below(other.words.len())..]);
            }
            _ => {}
        }
        for _ in 0..dice.below(8) {
            change(&mut script, dice);
        }
        for digit in &mut script.head {
            if dice.below(24) == 0 {
                *digit = dice.digit();
            }
        }
        script
    }

    /// Some clients, then words at random; the limits are those of an entry, or the plainest.
    fn random(&self, script: &mut Script, dice: &mut Dice) {
        if dice.below(2) == 0 {
            script.head = vec![b'0'; HEAD];
        }
        script.words = vec![vec![b'm', *dice.one_of(b"011")]];
        for _ in 0..dice.below(4) {
            script.words.push(vec![b'v', *dice.one_of(b"0014c")]);
        }
        for _ in 0..5 + dice.below(40) {
            script.words.push(dice.word());
        }
    }
}

/// Makes one change to the words of a script.
fn change(script: &mut Script, dice: &mut Dice) {
    let words = &mut script.words;
    let at = dice.below(words.len() + 1);
    let other = dice.below(words.len());
    match dice.below(6) {
        0 if at < words.len() => drop(words.remove(at)),
        1 if at < words.len() => words.swap(at, other),
        2 if at < words.len() => words[at] = dice.word(),
        3 if at < words.len() => {
            if let Some(byte) = words[at].iter_mut().skip(1).find(|_| dice.below(2) == 0) {
                *byte = dice.digit();
            }
        }
        4 if other < words.len() => words.insert(at, words[other].clone()),
        _ => words.insert(at, dice.word()),
    }
}

impl Strategy for Scripts {
    type Tree = Smaller;
    type Value = Script;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = any::<u64>().new_tree(runner)?.current();
        let script = self.script(&mut Dice(seed));
        let size = script.words.len().next_power_of_two();
        Ok(Smaller { script, before: None, size, at: 0, nought: 0 })
    }
}

/// A script that becomes smaller, step by step: many words at a time are left out, then
/// fewer, then single ones; at last digits become noughts.
struct Smaller {
    script: Script,
    /// The script before the last step.
    before: Option<Script>,
    /// How many words are left out at a time; 0: no more.
    size: usize,
    /// The first of the words that are left out next.
    at: usize,
    /// The digit that becomes a nought next.
    nought: usize,
}

impl ValueTree for Smaller {
    type Value = Script;

    fn current(&self) -> Script {
        self.script.clone()
    }

    fn simplify(&mut self) -> bool {
        let before = self.script.clone();
        while self.size > 0 {
            let words = &mut self.script.words;
            if self.at < words.len() {
                words.drain(self.at..words.len().min(self.at + self.size));
                self.before = Some(before);
                return true;
            }
            (self.size, self.at) = (self.size / 2, 0);
        }
        for digit in self.script.digits().into_iter().skip(self.nought) {
            self.nought += 1;
            if *digit != b'0' {
                *digit = b'0';
                self.before = Some(before);
                return true;
            }
        }
        false
    }

    fn complicate(&mut self) -> bool {
        let Some(before) = self.before.take() else { return false };
        self.script = before;
        self.at += self.size;
        true
    }
}

thread_local! {
    /// Whether this thread plays a script whose panic is not shown.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Plays a script and says what went wrong.
fn fault(script: &Script) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                before(panic);
            }
        }));
    });
    let bytes = script.bytes();
    IS_QUIET.set(true);
    let played = catch_unwind(|| targets::core(&bytes));
    IS_QUIET.set(false);
    let payload = played.err()?;
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    Some(payload.downcast_ref::<String>().cloned().or(text).unwrap_or_default())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Plays that many scripts; gives back the smallest that fails, and why.
fn play(scripts: &Scripts, seed: u64, count: u64) -> Result<(), (String, Script)> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: count.try_into().unwrap_or(u32::MAX),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome = TestRunner::new_with_rng(config, rng)
        .run(scripts, |script| fault(&script).map_or(Ok(()), |why| Err(TestCaseError::fail(why))));
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, script)) => Err((why.to_string(), script)),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}

/// Writes a script that failed to where the fuzzer writes its own, and plays it once more, so
/// that its panic is shown.
fn report(why: &str, script: &Script, seed: u64) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/artifacts/core");
    let file = folder.join(format!("random-{seed}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(&file, script.bytes()).unwrap();
    println!("{why}\n{script:?}\nin {}", file.display());
    targets::core(&script.bytes());
    panic!("{why}; it does not fail again");
}

#[test]
fn random_scripts_keep_the_rules_of_the_core() {
    let corpus = files("core").iter().map(|file| Script::read(&fs::read(file).unwrap())).collect();
    let scripts = Scripts { corpus };
    let seconds = number("DRAWBRIDGE_SCRIPT_SECONDS");
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let count = end.map_or(number("DRAWBRIDGE_SCRIPTS").unwrap_or(ORDINARY), |_| ROUND);
    let first = number("DRAWBRIDGE_SEED").unwrap_or_default();
    for seed in first.. {
        if let Err((why, script)) = play(&scripts, seed, count) {
            report(&why, &script, seed);
        }
        if end.is_none_or(|end| Instant::now() >= end) {
            println!("{} scripts", (seed - first + 1) * count);
            return;
        }
    }
}

#[test]
fn a_script_that_fails_becomes_as_small_as_it_can() {
    let script = Script::read(b"0123456789abcdef\nc r0i0 b0one line\nC t7 v3");
    assert_eq!(script.words.len(), 6);
    let mut smaller = Smaller { size: 8, at: 0, nought: 0, before: None, script };
    let fails = |script: &Script| script.words.iter().any(|word| word.starts_with(b"r"));
    while smaller.simplify() {
        if !fails(&smaller.current()) {
            assert!(smaller.complicate());
        }
    }
    assert_eq!(smaller.current().bytes(), b"0000000000000000\nr0i0 ");
}
