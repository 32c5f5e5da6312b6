//! The recipes of this repository: `cargo xtask NAME`. `.ci/run` calls the same
//! ones. They need nothing but Rust; what needs more says so.

// A recipe starts programs and tells a person about it: that is all it does.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

mod fuzz;
mod mutants;
mod scripts;

use std::env;
use std::process::{Command, ExitCode};

/// A program and its arguments.
type Step = &'static [&'static str];

/// A recipe: its name, what it is for, what it does, and what it sets in the environment.
struct Recipe {
    name: &'static str,
    about: &'static str,
    work: Work,
    variables: &'static [(&'static str, &'static str)],
}

/// The action of a recipe.
enum Work {
    Steps(&'static [Step]),
    /// A function, where a list of programs is not enough; it returns `false` if it fails.
    Code(fn() -> bool),
    /// The same with an amount, if one stands behind the name of the recipe.
    Measured(fn(Option<&str>) -> bool),
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "test",
        about: "all tests (those that need Node are skipped, visibly, without it)",
        work: Work::Steps(&[&["cargo", "test", "--workspace"]]),
        variables: &[],
    },
    Recipe {
        name: "interop-deps",
        about: "installs the Node packages that the interop tests need (needs npm)",
        work: Work::Steps(&[&[
            "npm",
            "ci",
            "--no-audit",
            "--no-fund",
            "--prefix",
            "tests/interop/node",
        ]]),
        variables: &[],
    },
    Recipe {
        name: "seeded",
        about: "shows that the histories find each seeded mistake of the core",
        work: Work::Steps(&[&[
            "cargo",
            "test",
            "--features",
            "seeded-bugs",
            "--test",
            "bridge",
            "--",
            "seeded",
            "--nocapture",
        ]]),
        variables: &[],
    },
    Recipe {
        name: "otel",
        about: "the tests of the events for OpenTelemetry, which a cargo feature adds",
        work: Work::Steps(&[&[
            "cargo",
            "test",
            "--features",
            "otel",
            "--test",
            "process",
            "--",
            "telemetry",
        ]]),
        variables: &[],
    },
    Recipe {
        name: "histories",
        about: "a million random histories, optimised (minutes)",
        work: Work::Steps(&[&[
            "cargo",
            "test",
            "--release",
            "--test",
            "bridge",
            "--",
            "histories",
        ]]),
        variables: &[("DRAWBRIDGE_HISTORIES", "1000000")],
    },
    Recipe {
        name: "fuzz",
        about: "arbitrary bytes for ten minutes a target, or DRAWBRIDGE_FUZZ_SECONDS (needs cargo-fuzz)",
        work: Work::Code(fuzz::run),
        variables: &[],
    },
    Recipe {
        name: "scripts",
        about: "random scripts for the core, optimised, for ten minutes; `scripts 60s` for a minute, `scripts 5000` plays so many",
        work: Work::Measured(scripts::run),
        variables: &[],
    },
    Recipe {
        name: "mutants",
        about: "small mistakes in the core that no test finds, for an hour, or DRAWBRIDGE_MUTANTS_SECONDS (installs cargo-mutants)",
        work: Work::Code(mutants::run),
        variables: &[],
    },
    Recipe {
        name: "allocations",
        about: "what a frame costs on the hot path, against benches/hot-path.txt (counts, no times)",
        work: Work::Steps(&[&["cargo", "run", "--package", "bench", "--", "allocations"]]),
        variables: &[],
    },
    Recipe {
        name: "bench",
        about: "measures it beside a bare relay and the official conductor; writes docs/performance.md (minutes)",
        work: Work::Steps(&[
            &["cargo", "build", "--release", "--package", "acp-drawbridge", "--package", "bench"],
            &[
                "cargo",
                "run",
                "--release",
                "--package",
                "bench",
                "--",
                "run",
                "--install-conductor",
                "--out",
                "docs",
            ],
        ]),
        variables: &[],
    },
    Recipe {
        name: "soak",
        about: "ten minutes with thousands of sessions and faults at random; what is left of it fails it",
        work: Work::Steps(&[
            &["cargo", "build", "--release", "--workspace"],
            &["cargo", "run", "--release", "--package", "bench", "--", "soak"],
        ]),
        variables: &[],
    },
    Recipe {
        name: "town",
        about: "five minutes with 200 editors of one daemon, in which editors, agents and daemons die",
        work: Work::Steps(&[
            &["cargo", "build", "--release", "--workspace"],
            &["cargo", "run", "--release", "--package", "bench", "--", "town"],
        ]),
        variables: &[],
    },
    Recipe {
        name: "lint",
        about: "format and lints, warnings denied",
        work: Work::Steps(&[
            &["cargo", "fmt", "--all", "--check"],
            &[
                "cargo",
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                "seeded-bugs,otel",
                "--",
                "-D",
                "warnings",
            ],
        ]),
        variables: &[],
    },
    Recipe {
        name: "macos",
        about: "lints what is built on macOS (needs `rustup target add aarch64-apple-darwin`)",
        work: Work::Steps(&[&[
            "cargo",
            "clippy",
            "--package",
            "acp-drawbridge",
            "--package",
            "agent-stub",
            "--all-targets",
            "--target",
            "aarch64-apple-darwin",
            "--",
            "-D",
            "warnings",
        ]]),
        variables: &[],
    },
    Recipe {
        name: "docs",
        about: "the API documentation, warnings denied",
        work: Work::Steps(&[&["cargo", "doc", "--workspace", "--no-deps"]]),
        variables: &[("RUSTDOCFLAGS", "-D warnings")],
    },
];

fn main() -> ExitCode {
    let names: Vec<String> = env::args().skip(1).collect();
    if names.is_empty() {
        for recipe in RECIPES {
            eprintln!("cargo xtask {:13} {}", recipe.name, recipe.about);
        }
        return ExitCode::SUCCESS;
    }
    let mut names = names.iter().peekable();
    while let Some(name) = names.next() {
        let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) else {
            eprintln!("there is no recipe `{name}`; `cargo xtask` lists them");
            return ExitCode::from(2);
        };
        let is_measured = matches!(recipe.work, Work::Measured(_));
        let is_amount =
            |next: &&String| is_measured && next.starts_with(|first: char| first.is_ascii_digit());
        let amount = names.next_if(is_amount);
        if !follow(recipe, amount.map(String::as_str)) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Does the work of a recipe; `false` if something fails.
fn follow(recipe: &Recipe, amount: Option<&str>) -> bool {
    let steps = match recipe.work {
        Work::Steps(steps) => steps,
        Work::Code(run) => return run(),
        Work::Measured(run) => return run(amount),
    };
    steps.iter().all(|step| {
        // A variable that is already set wins over the recipe's.
        let unset = recipe.variables.iter().filter(|(name, _)| env::var_os(name).is_none());
        take(step, unset.copied())
    })
}

/// Runs one program; `false` if it fails.
fn take<'a>(step: &[&str], variables: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    eprintln!("+ {}", step.join(" "));
    let [program, arguments @ ..] = step else { return true };
    match Command::new(program).args(arguments).envs(variables).status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("`{program}` cannot be started: {error}");
            false
        }
    }
}
