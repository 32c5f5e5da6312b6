//! The recipes of this repository: `cargo xtask NAME`. `.ci/run` calls the same
//! ones. They need nothing but Rust; what needs more says so.

// A recipe starts programs and tells a person about it: that is all it does.
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::env;
use std::process::{Command, ExitCode};

/// A program and its arguments.
type Step = &'static [&'static str];

/// A recipe: its name, what it is for, its steps, and what it sets in the environment.
struct Recipe {
    name: &'static str,
    about: &'static str,
    steps: &'static [Step],
    variables: &'static [(&'static str, &'static str)],
}

const RECIPES: &[Recipe] = &[
    Recipe {
        name: "test",
        about: "all tests (those that need Node are skipped, visibly, without it)",
        steps: &[&["cargo", "test", "--workspace"]],
        variables: &[],
    },
    Recipe {
        name: "interop-deps",
        about: "installs the Node packages that the interop tests need (needs npm)",
        steps: &[&["npm", "ci", "--no-audit", "--no-fund", "--prefix", "tests/interop/node"]],
        variables: &[],
    },
    Recipe {
        name: "seeded",
        about: "shows that the histories find each seeded mistake of the core",
        steps: &[&[
            "cargo",
            "test",
            "--features",
            "seeded-bugs",
            "--test",
            "bridge",
            "--",
            "seeded",
            "--nocapture",
        ]],
        variables: &[],
    },
    Recipe {
        name: "histories",
        about: "a million random histories, optimised (minutes)",
        steps: &[&["cargo", "test", "--release", "--test", "bridge", "--", "histories"]],
        variables: &[("DRAWBRIDGE_HISTORIES", "1000000")],
    },
    Recipe {
        name: "allocations",
        about: "what a frame costs on the hot path, against benches/hot-path.txt (counts, no times)",
        steps: &[&["cargo", "run", "--package", "bench", "--", "allocations"]],
        variables: &[],
    },
    Recipe {
        name: "bench",
        about: "measures it beside a bare relay and the official conductor; writes docs/performance.md (minutes)",
        steps: &[
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
        ],
        variables: &[],
    },
    Recipe {
        name: "soak",
        about: "ten minutes with thousands of sessions and faults at random; what is left of it fails it",
        steps: &[
            &["cargo", "build", "--release", "--workspace"],
            &["target/release/bench", "soak"],
        ],
        variables: &[],
    },
    Recipe {
        name: "lint",
        about: "format and lints, warnings denied",
        steps: &[
            &["cargo", "fmt", "--all", "--check"],
            &[
                "cargo",
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                "seeded-bugs",
                "--",
                "-D",
                "warnings",
            ],
        ],
        variables: &[],
    },
    Recipe {
        name: "docs",
        about: "the API documentation, warnings denied",
        steps: &[&["cargo", "doc", "--workspace", "--no-deps"]],
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
    for name in names {
        let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) else {
            eprintln!("there is no recipe `{name}`; `cargo xtask` lists them");
            return ExitCode::from(2);
        };
        if !follow(recipe) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Takes the steps of a recipe; `false` if one fails.
fn follow(recipe: &Recipe) -> bool {
    recipe.steps.iter().all(|step| {
        eprintln!("+ {}", step.join(" "));
        let [program, arguments @ ..] = step else { return true };
        let mut command = Command::new(program);
        command.args(arguments);
        for (name, value) in recipe.variables {
            // A person who sets it has a reason.
            if env::var_os(name).is_none() {
                command.env(name, value);
            }
        }
        match command.status() {
            Ok(status) => status.success(),
            Err(error) => {
                eprintln!("`{program}` cannot be started: {error}");
                false
            }
        }
    })
}
